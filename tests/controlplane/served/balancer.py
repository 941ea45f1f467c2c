"""What a Service is to its replicas: every new connection goes to one that was ready when it was last asked; old ones stay where they are.

kube-apiserver takes no EndpointSlice with addresses of loopback, so this stands where the Service would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

import aiohttp

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.served.server import Server

__all__ = ["PERIOD", "Balancer"]

PERIOD = 0.1
"""Seconds between two probes of readiness, after which at the latest no new connection goes to a replica that is stopping."""


class Balancer:
    """Takes connections at ``port`` of loopback. ``replicas`` may change at any time."""

    def __init__(self) -> None:
        self.port = 0
        self.replicas: list[Server] = []
        self._ready: list[Server] = []
        self._turn = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Probes and passes on for as long as the context lasts."""
        listener = await asyncio.start_server(self._pass_on, LOOPBACK, 0)
        self.port = listener.sockets[0].getsockname()[1]
        probing = asyncio.create_task(self._probe())
        try:
            yield self
        finally:
            probing.cancel()
            listener.close()

    @property
    def ready(self) -> list[Server]:
        """Those that were ready when they were last asked."""
        return self._ready

    async def until_ready(self, count: int) -> None:
        """Waits until so many replicas are ready."""
        async with asyncio.timeout(30):
            while len(self._ready) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _probe(self) -> None:
        while True:
            asked = list(self.replicas)
            answers = await asyncio.gather(*(_is_ready(replica) for replica in asked))
            self._ready = [replica for replica, ready in zip(asked, answers, strict=True) if ready]
            await asyncio.sleep(PERIOD)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self._turn += 1
            chosen = self._ready[self._turn % len(self._ready)]
            far_reader, far_writer = await asyncio.open_connection(LOOPBACK, chosen.port)
            try:
                await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                far_writer.close()
        finally:
            writer.close()


async def _is_ready(replica: Server) -> bool:
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.request("GET", f"{replica.url}/readyz", ssl=replica.tls(), timeout=timeout) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes on until one side is closed, and then closes the other."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
