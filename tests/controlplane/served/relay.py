"""Something between a client and kube-apiserver: it notes what is asked, and breaks off watches as networks do."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

import aiohttp
from aiohttp import web
from multidict import MultiDict
from yarl import URL

__all__ = ["Relay"]

_PASSED_ON = ("Accept", "Content-Type", "User-Agent")


class Relay:
    """Passes on what arrives at ``url`` (HTTP, no credentials) as the person whose certificate it has."""

    def __init__(self, target: str, tls: ssl.SSLContext) -> None:
        self.url = ""
        self.asked: list[MultiDict[str]] = []
        self._target = target
        self._tls = tls
        self._ageing = False
        self._closed = False
        self._watches: set[asyncio.Task[None]] = set()

    @property
    def lists(self) -> list[MultiDict[str]]:
        """The queries of the lists so far."""
        return [query for query in self.asked if not _watches(query)]

    @property
    def watches(self) -> list[MultiDict[str]]:
        """The queries of the watches so far."""
        return [query for query in self.asked if _watches(query)]

    @property
    def afresh(self) -> list[MultiDict[str]]:
        """The queries that asked for everything there is, of either sort."""
        return [query for query in self.asked if _is_afresh(query)]

    def cut(self, *, ageing: bool = False) -> None:
        """Ends the watches under way. With ``ageing``, whoever goes on from a version goes on from one long past, until it asks anew."""
        self._ageing = ageing
        for watch in self._watches:
            watch.cancel()

    def close(self) -> None:
        """Ends all watches, and begins no others."""
        self._closed = True
        self.cut()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Self]:
        """Has a port for as long as the context lasts."""
        application = web.Application()
        application.router.add_get("/{path:.*}", self._pass_on)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            self.close()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        if self._closed:
            raise web.HTTPServiceUnavailable
        query = MultiDict(request.query)
        watch = _watches(query)
        self.asked.append(query.copy())
        if _is_afresh(query):
            self._ageing = False
        elif self._ageing:
            query["resourceVersion"] = "1"
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout()) as session,
            session.get(URL(self._target).with_path(request.path).with_query(query), ssl=self._tls) as answer,
        ):
            response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
            await response.prepare(request)
            pump = asyncio.create_task(_pump(answer, response))
            if watch:
                self._watches.add(pump)
            try:
                await asyncio.wait([pump])
            finally:
                pump.cancel()
                self._watches.discard(pump)
            return response


def _watches(query: MultiDict[str]) -> bool:
    return query.get("watch", "").lower() in ("1", "true")


def _is_afresh(query: MultiDict[str]) -> bool:
    return not _watches(query) or query.get("sendInitialEvents") == "true"


async def _pump(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    """Passes on what comes, to its end or until one of the two goes."""
    with suppress(aiohttp.ClientError, ConnectionError):
        async for part in answer.content.iter_any():
            await response.write(part)
