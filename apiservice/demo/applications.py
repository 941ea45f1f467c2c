"""The applications of the shop: small servers that think for a while, call others through their own proxy, and sometimes fail.

They all live in this process, one server for each pod, each on a free loopback port. What they do is said in :mod:`apiservice.demo.shop`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import web

from apiservice.demo.bootstrap import HOST
from apiservice.demo.conduct import Conduct
from apiservice.demo.grpc import MIME, NO_FIELDS, OK, UNAVAILABLE, GrpcServer, status_of
from apiservice.demo.shop import Call

__all__ = ["Application", "ask"]

_CLOSE_SECONDS = 0.2

_KEEPALIVE_SECONDS = 3600.0
"""As long as Envoy keeps idle connections, or a request could meet a connection that is just being closed, and fail."""


class Application:
    """The application of one pod. ``outbound`` is the port of its proxy for calls to others, 0 when it makes none.

    ``grpc`` says that it is called by gRPC; ``grpc_peers`` are the hosts that it must call by gRPC.
    """

    def __init__(
        self, conduct: Conduct, session: aiohttp.ClientSession, outbound: int, *, grpc: bool, grpc_peers: Iterable[str] = ()
    ) -> None:
        self._conduct = conduct
        self._session = session
        self._outbound = outbound
        self._grpc = grpc
        self._grpc_peers = frozenset(grpc_peers)

    async def serve(self, stack: AsyncExitStack) -> int:
        """Serve until ``stack`` is closed, on the port returned."""
        if self._grpc:
            server = GrpcServer(self._answer_grpc)
            stack.push_async_callback(server.close)
            return await server.start(HOST)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer_http)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=_CLOSE_SECONDS, keepalive_timeout=_KEEPALIVE_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0).start()
        return int(runner.addresses[0][1])

    async def _answer_http(self, request: web.Request) -> web.Response:
        await request.read()
        status = await self._perform(request.path)
        return web.Response(status=status, text=f"{status}\n")

    async def _answer_grpc(self, path: str) -> int:
        return OK if await self._perform(path) == 200 else UNAVAILABLE

    async def _perform(self, path: str) -> int:
        """The HTTP status: 200, 404, 503 for a failure of its own, 502 for that of a peer."""
        act = self._conduct.act(path)
        if act is None:
            return 404
        await asyncio.sleep(next(act.times))
        for call in act.operation.calls:
            if not await self._call(call) and call.required:
                return 502
        return 503 if next(act.failures) else 200

    async def _call(self, call: Call) -> bool:
        url = f"http://{HOST}:{self._outbound}{call.path}"
        return await ask(self._session, url, call.peer, grpc=call.peer in self._grpc_peers)


async def ask(session: aiohttp.ClientSession, url: str, host: str, *, grpc: bool = False) -> bool:
    """Whether a request to ``host``, sent by way of a proxy at ``url``, was answered well."""
    headers = {"Host": host} | ({"Content-Type": MIME, "TE": "trailers"} if grpc else {})
    try:
        async with session.request("POST" if grpc else "GET", url, headers=headers, data=NO_FIELDS if grpc else None) as response:
            await response.read()
            return response.status < 500 and status_of(response.headers) == OK
    except (aiohttp.ClientError, TimeoutError):
        return False
