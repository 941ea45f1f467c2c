"""Churn, for as long as one likes: does the server grow? ``python bench/soak.py MINUTES [--rounds N] [--length SECONDS] [--json]``.

Round after round, clients list in every form, page, err, watch and leave, some of them without a word and in the middle of an answer, while
the source works, hangs, fails, breaks off and hangs up. After each round everybody goes home, and what the server holds then is printed:
it should be the same every time. With ``--json`` each round is a line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import aiohttp
from cluster import Cluster, cluster_server, made_up_cluster
from figures import Table, megabytes
from processes import LOOPBACK, UNVERIFIED, Process
from server import API

__all__ = ["soak"]

_MOODS = ("work", "work", "hang", "work", "fail", "work", "half", "work", "drop")
_LISTERS, _WATCHERS, _RUDE = 4, 40, 4
_ACCEPTS = (
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/yaml",
    "text/csv",
)
_LISTS = (
    "/deployments",
    "/pods",
    "/namespaces/team-01/deployments?limit=5",
    "/namespaces",
    "/trafficmetrics",
    "/namespaces/team-01/deployments",
    "/namespaces/team-01/deployments?labelSelector=app.kubernetes.io/name=service-003",
    "/namespaces/team-01/deployments?fieldSelector=metadata.name%3Dservice-002&pretty=true",
    "/namespaces/team-01/deployments?labelSelector=%21%21",
    "/namespaces/team-00/deployments/service-001",
    "/namespaces/team-00/deployments/service-001/edges",
    "/namespaces/team-00/deployments/nobody",
    "/namespaces/nowhere/pods?includeIdle=true",
    "/pods?limit=7&continue=forged",
    "",
)
_WATCHES = (
    "/deployments?watch=true",
    "/namespaces/team-01/deployments?watch=true&allowWatchBookmarks=true",
    "/namespaces/team-01/pods?watch=1&timeoutSeconds=1",
    "/trafficmetrics?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
    "/namespaces/team-00/deployments?watch=true&resourceVersion=1",
    "/namespaces/team-00/deployments?watch=true&fieldSelector=metadata.name%3Dservice-001",
)
_QUIET = 8.0
"""Seconds after which everybody must have gone home."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round was, and what the server held when it was over: bytes, and numbers of things."""

    requests: int
    watches: int
    resident: int
    descriptors: int
    threads: int
    watching: int
    answering: int


def soak(minutes: float, rounds: int, length: float, *, as_json: bool) -> None:
    """Print what is left after every round, for so many minutes and rounds at least."""
    asyncio.run(_soak(minutes, rounds, length, as_json=as_json))


async def _soak(minutes: float, rounds: int, length: float, *, as_json: bool) -> None:
    table = Table(
        f"What the server holds after each round of {length:g} s of churn",
        ("round", "requests", "watches", "resident", "descriptors", "threads", "still watching", "still answering"),
    )
    end, number = time.monotonic() + minutes * 60, 0
    with made_up_cluster(2, 20, 3) as cluster, cluster_server(cluster.url, cluster.url) as server:
        while time.monotonic() < end or number < rounds:
            number += 1
            found = await _Churn(cluster, server).round(length)
            counts = (found.descriptors, found.threads, found.watching, found.answering)
            table.add(number, f"{found.requests:,}", f"{found.watches:,}", megabytes(found.resident), *counts)
            if as_json:
                print(json.dumps(asdict(found)), flush=True)
    if not as_json:
        table.print()


class _Churn:
    """One round: clients that come and go."""

    def __init__(self, cluster: Cluster, server: Process) -> None:
        self._cluster = cluster
        self._server = server
        self._requests = 0
        self._watches = 0

    async def round(self, length: float) -> Round:
        """Churn for ``length`` seconds, then see what is left."""
        workers: list[Callable[[], Awaitable[None]]] = [self._list] * _LISTERS + [self._watch] * _WATCHERS + [self._be_rude] * _RUDE
        tasks = [asyncio.create_task(_over_and_over(worker)) for worker in workers]
        for mood in _MOODS:
            await self._cluster.let_source(mood)
            await asyncio.sleep(length / len(_MOODS))
        await self._cluster.let_source("work")
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return await self._left()

    async def _left(self) -> Round:
        """What the server holds once it has noticed that everybody has gone; what it holds all the same after a while."""
        end = time.monotonic() + _QUIET
        while True:
            # Connections to the sources are kept for a moment, in case there is more to ask: as many each time.
            await asyncio.sleep(1)
            async with _session() as session, session.get(f"{self._server.url}/metrics") as response:
                lines = (await response.text()).splitlines()
            watching = _sum(lines, "trafficmetrics_watchers")
            # This very question is one of them.
            answering = _sum(lines, "apiserver_current_inflight_requests") - 1
            if time.monotonic() > end or not watching + answering:
                break
        await asyncio.sleep(0.5)
        server = self._server
        return Round(self._requests, self._watches, server.memory(), server.descriptors(), server.threads(), watching, answering)

    async def _list(self) -> None:
        """A client that stays for some requests."""
        async with _session() as session:
            for _ in range(random.randint(1, 20)):
                path = random.choice(_LISTS)
                headers = {"Accept": random.choice(_ACCEPTS), "Authorization": f"Bearer {random.randint(1, 30)}"}
                window = f"{'&' if '?' in path else '?'}window={random.randint(60, 70)}s"
                with suppress(TimeoutError):
                    async with asyncio.timeout(random.choice((0.05, 30))):
                        async with session.get(f"{self._server.url}{API}{path}{window}", headers=headers) as response:
                            await response.read()
                self._requests += 1
                await asyncio.sleep(random.uniform(0, 0.1))

    async def _watch(self) -> None:
        """A client that watches for a while, and leaves in one of the ways there are."""
        async with _session() as session:
            url = f"{self._server.url}{API}{random.choice(_WATCHES)}"
            headers = {"Accept": random.choice(_ACCEPTS[:2]), "Authorization": "Bearer watcher"}
            self._watches += 1
            with suppress(TimeoutError):
                async with asyncio.timeout(random.choice((0.05, 0.5, 1, 3))), session.get(url, headers=headers) as response:
                    async for _ in response.content.iter_any():
                        pass
        await asyncio.sleep(random.uniform(0, 0.5))

    async def _be_rude(self) -> None:
        """A connection that is torn down: at once, after half a request, or with the answer on its way."""
        port = urlsplit(self._server.url).port
        with suppress(OSError):
            _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=random.choice((UNVERIFIED, None)))
            request = f"GET {API}/pods HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 1\r\n\r\n".encode()
            writer.write(random.choice((b"", request[:-20], request, request * 3, b"\x00" * 100)))
            await asyncio.sleep(random.choice((0, 0.01, 0.2)))
            writer.transport.abort()
        self._requests += 1
        await asyncio.sleep(random.uniform(0, 0.2))


async def _over_and_over(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await work()


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=UNVERIFIED, limit=0))


def _sum(lines: list[str], metric: str) -> int:
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Let clients come and go, and see whether the server grows.")
    parser.add_argument("minutes", type=float, help="how long to go on; a round that has begun is ended")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how many rounds there are at least (3)")
    parser.add_argument("--length", type=float, default=30.0, metavar="SECONDS", help="how long a round is (30)")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each round, instead of a table")
    options = parser.parse_args()
    # Told to end, it still ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.minutes < 0 or options.length <= 0:
        sys.exit("minutes and seconds are positive")
    soak(options.minutes, options.rounds, options.length, as_json=options.json)


if __name__ == "__main__":
    main()
