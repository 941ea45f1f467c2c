"""Clients: some ask and wait for answers, some watch, and some are slow, rude, or gone in the middle."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
from accounts import Accounts
from ledger import Ledger
from processes import LOOPBACK
from questions import Question, Questions
from server import API
from truth import Truth
from yarl import URL

__all__ = ["BUSY", "CLUSTER_AWAY", "GAP", "Callers", "Way"]

CLUSTER_AWAY, GAP, BUSY = "kube-apiserver away", "gap in a store", "machine too busy"
"""Excuses: requests fail that need kube-apiserver; numbers are not those of the fleet; and not even the store that nobody harms answers in
time, because other work has the processors.
"""
_LATE = ("503", "504", "hangs", "left before it began")

_BEGUN = 25.0
"""A watch begins when the sources have told what there is, or have had their time."""
_DEADLINE = 65.0
"""A request may take a minute; what takes longer hangs."""


class Way:
    """How the API is reached: at the server itself, or through kube-apiserver."""

    def __init__(self, name: str, url: str, tls: ssl.SSLContext) -> None:
        self.name = name
        self.url = url
        self.tls = tls

    def session(self) -> aiohttp.ClientSession:
        """Connections of somebody's own."""
        connector = aiohttp.TCPConnector(ssl=self.tls, limit=0)
        return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=1 << 18)


class Callers:
    """Everybody who asks; ``ways`` are taken by chance, the first three times as often as all the others."""

    def __init__(
        self, ways: list[Way], accounts: Accounts, questions: Questions, truth: Truth, ledger: Ledger, dice: random.Random
    ) -> None:
        self._ways = ways
        self._accounts = accounts
        self._questions = questions
        self._truth = truth
        self._ledger = ledger
        self._dice = dice

    async def ask(self, rate: float) -> None:
        """Somebody who asks some questions on one connection, and goes; about so many questions a second."""
        way = self._way()
        async with way.session() as session:
            for _ in range(self._dice.randint(1, 25)):
                began = time.monotonic()
                await self._question(session, way, self._questions.draw())
                await asyncio.sleep(max(0.0, self._dice.expovariate(rate) - (time.monotonic() - began)))

    async def compare(self) -> None:
        """Somebody who compares everything that is told with the truth."""
        way = self._ways[0]
        async with way.session() as session:
            for question in self._questions.all_true():
                await self._question(session, way, question, patient=True)

    async def watch(self) -> None:
        """Somebody who watches for a while, and leaves in one of the ways there are: in order, or in the middle."""
        way, question = self._way(), self._questions.watch()
        since, length = self._ledger.now, self._dice.choice((0.1, 2, 15, 30, 60))
        self._ledger.watches += 1
        outcome, expected, detail = "left before it began", length < _BEGUN, ""
        async with way.session() as session:
            try:
                async with asyncio.timeout(length), await self._request(session, way, question) as response:
                    outcome, expected = str(response.status), response.status == 200
                    async for line in response.content:
                        self._ledger.events += 1
                        if b'"ERROR"' in line[:40]:
                            outcome, expected, detail = "ERROR event", question.ends, line[:300].decode(errors="replace")
            except TimeoutError:
                pass
            except (aiohttp.ClientError, OSError, ValueError) as error:
                outcome, expected, detail = type(error).__name__, False, str(error)
        self._ledger.note(
            f"watch, {way.name}",
            outcome,
            expected=expected,
            excuse=self._excuse(outcome, since),
            since=since,
            detail=f"{question.path} {detail}",
        )
        await asyncio.sleep(self._dice.uniform(0, 1))

    async def be_slow(self) -> None:
        """Somebody who asks for everything, and does not read it for a while, or at all."""
        path = self._dice.choice((f"{API}/pods?window=60s&includeIdle=true&pretty=true", f"{API}/trafficmetrics?watch=true"))
        headers = await self._accounts.headers("cluster")
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
        with suppress(OSError, asyncio.IncompleteReadError):
            port = urlsplit(self._ways[0].url).port
            reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=self._ways[0].tls, limit=1024)
            try:
                writer.write(request * self._dice.choice((1, 1, 3)))
                await asyncio.sleep(self._dice.choice((1, 5, 45)))
                if self._dice.random() < 0.5:
                    async with asyncio.timeout(5):
                        await reader.read(1 << 16)
            except TimeoutError:
                pass
            finally:
                writer.transport.abort()
        self._ledger.requests += 1

    async def be_rude(self) -> None:
        """A connection that is torn down: at once, after half a request, with the answer on its way, or that was never one."""
        port = urlsplit(self._ways[0].url).port
        with suppress(OSError):
            tls = self._dice.choice((self._ways[0].tls, self._ways[0].tls, None))
            _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls)
            request = f"GET {API}/pods HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 1\r\n\r\n".encode()
            writer.write(self._dice.choice((b"", request[:-20], request, request * 3, b"\x00" * 100)))
            await asyncio.sleep(self._dice.choice((0, 0.01, 0.2, 3)))
            writer.transport.abort()
        self._ledger.requests += 1
        await asyncio.sleep(self._dice.uniform(0, 1))

    def _excuse(self, outcome: str, since: float) -> str:
        return BUSY if outcome in _LATE and self._ledger.is_disturbed(BUSY, since) else CLUSTER_AWAY

    def _way(self) -> Way:
        return self._ways[0] if self._dice.random() < 0.75 else self._dice.choice(self._ways[1:] or self._ways)

    async def _request(self, session: aiohttp.ClientSession, way: Way, question: Question) -> aiohttp.ClientResponse:
        headers = {"Accept": question.accept, **await self._accounts.headers(question.who)}
        if question.body:
            now = int(time.time())
            body = question.body.replace("NOW-180", str(now - 180)).replace("NOW", str(now))
            headers["Content-Type"] = "application/x-www-form-urlencoded" if question.form else "application/json"
            return await session.post(URL(way.url + question.path, encoded=True), headers=headers, data=body)
        return await session.get(URL(way.url + question.path, encoded=True), headers=headers)

    async def _question(self, session: aiohttp.ClientSession, way: Way, question: Question, *, patient: bool = False) -> None:
        """Ask, follow its pages, and write down what became of it."""
        since, began, name = self._ledger.now, time.monotonic(), f"{question.name}, {way.name}"
        self._ledger.requests += 1
        impatient = not patient and self._dice.random() < 0.05
        outcome, expected, detail = "", False, ""
        try:
            async with asyncio.timeout(0.05 if impatient else _DEADLINE), await self._request(session, way, question) as response:
                body = await response.read()
                outcome, expected = str(response.status), response.status in question.expected
                detail = f"{question.path} {'' if expected else body[:300].decode(errors='replace')}"
                if question.namespace and response.status == 200:
                    self._compare(question, json.loads(body), since)
        except TimeoutError:
            outcome, expected, detail = ("went away", True, "") if impatient else ("hangs", False, question.path)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            outcome, detail = type(error).__name__, f"{question.path} {error}"
        else:
            self._ledger.waited.append(time.monotonic() - began)
            if question.paged and outcome == "200":
                await self._next_page(session, way, question, body)
        self._ledger.note(name, outcome, expected=expected, excuse=self._excuse(outcome, since), since=since, detail=detail)

    async def _next_page(self, session: aiohttp.ClientSession, way: Way, question: Question, body: bytes) -> None:
        """Go on where the page ends; half of all readers do not come back for the last one."""
        following = json.loads(body)["metadata"].get("continue", "")
        if following and self._dice.random() < 0.8:
            base = question.path.partition("&continue=")[0]
            more = Question(question.name, f"{base}&continue={following}", question.who, question.accept, (200, 410), paged=True)
            await self._question(session, way, more)

    def _compare(self, question: Question, answer: Mapping[str, object], since: float) -> None:
        if self._ledger.is_disturbed(GAP, since):
            self._ledger.uncompared += 1
            return
        self._ledger.compared += 1
        items = answer["items"]
        assert isinstance(items, list)
        wrong = self._truth.differences(question.namespace, items, 60)
        if wrong:
            self._ledger.note(
                "truth", "wrong numbers", expected=False, since=since, detail=f"{question.path} {'; '.join(wrong[:4])}"
            )
