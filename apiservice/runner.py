"""Runs the application on connections with bounds, and ends only when the last answer has left; otherwise it is aiohttp's runner."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from apiservice.connection import Bounds, Connection

__all__ = ["Runner"]

_FAREWELL = 5.0
"""Seconds the last bytes have to leave once every request is answered."""


class Runner(web.AppRunner):
    """Runs an application within ``bounds``; further arguments are those of :class:`aiohttp.web.AppRunner`."""

    __slots__ = ("_bounds", "_connections")

    def __init__(self, app: web.Application, *, bounds: Bounds = Bounds(), **kwargs: Any) -> None:  # noqa: B008 - frozen
        super().__init__(app, **kwargs)
        self._bounds = bounds
        self._connections: set[Connection] = set()

    async def cleanup(self) -> None:
        """Finish what is under way. aiohttp is content when an answer is handed to its connection; this waits until it has left."""
        await super().cleanup()
        if self._connections:
            await asyncio.wait([each.closed for each in self._connections], timeout=_FAREWELL)

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            self._bounds,
            self._connections,
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001  what the runner was given, which a server tells nobody else
        )


class _Server(web.Server):
    def __init__(self, bounds: Bounds, connections: set[Connection], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bounds = bounds
        self._open = connections
        self._ending = False

    def pre_shutdown(self) -> None:
        """Close the connections on which nothing is under way; from now on no other one is taken."""
        self._ending = True
        super().pre_shutdown()

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Take a connection; close one whose handshake took until after the others were closed.

        aiohttp would pass over what is sent on it, and wait for it to end as long as for a request that is under way.
        """
        super().connection_made(handler, transport)
        if self._ending:
            handler.force_close()

    def __call__(self) -> RequestHandler:
        connection = Connection(self, self._bounds, loop=self._loop, **self._kwargs)
        self._open.add(connection)
        connection.closed.add_done_callback(lambda _: self._open.discard(connection))
        return connection
