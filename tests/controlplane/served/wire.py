"""The wire between a server and kube-apiserver, which a test can cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.controlplane.commands import LOOPBACK

__all__ = ["Wire", "stretch_wire"]


class Wire:
    """Passes bytes on to a port of loopback, in both directions. ``port`` is its own."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        """Let connections through; on the port it had before."""
        self._server = await asyncio.start_server(self._pass_on, LOOPBACK, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._server is not None:
            self._server.close()
            for end in self._ends:
                end.transport.abort()
            await self._server.wait_closed()

    def kubeconfig(self, original: Path, file: Path) -> Path:
        """A kubeconfig like the original one, through the wire."""
        config = json.loads(original.read_text())
        config["clusters"][0]["cluster"]["server"] = f"https://{LOOPBACK}:{self.port}"
        file.write_text(json.dumps(config))
        return file

    async def _pass_on(self, near_reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        far_reader, far = await asyncio.open_connection(LOOPBACK, self._target)
        self._ends |= {near, far}
        try:
            with suppress(OSError):
                await asyncio.gather(_copy(near_reader, far), _copy(far_reader, near))
        finally:
            self._ends -= {near, far}
            near.transport.abort()
            far.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def stretch_wire(url: str) -> AsyncIterator[Wire]:
    """One to a URL on loopback, whole at first."""
    wire = Wire(int(url.rpartition(":")[2]))
    await wire.mend()
    try:
        yield wire
    finally:
        await wire.cut()
