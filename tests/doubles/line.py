"""A line between two parties, and what happens to lines: they are cut, nothing passes, or late, or not what was sent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum

__all__ = ["Line", "State", "open_line"]


class State(StrEnum):
    """What a line does. Only what comes back over it is late or corrupted: noise from the middle on, or nothing more."""

    CLEAR = "clear"
    CUT = "cut"
    STALLED = "stalled"
    LATE = "late"
    CORRUPTED = "corrupted"


_DELAY = 0.1
"""Seconds by which each piece is late."""

_PIECE = 65_536


class Line:
    """Listens on a port of its own, and passes on what comes to whoever is at ``host`` and ``port``. ``calls`` counts connections."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port = host, int(port)
        self.address = "127.0.0.1:0"
        self.calls = 0
        self.state = State.CLEAR
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._noise = random.Random(7)

    async def turn(self, state: State) -> None:
        """From now on the line is like that. What waited while nothing passed goes on when something passes again."""
        self.state = state
        if state is State.STALLED:
            self._passing.clear()
        else:
            self._passing.set()
        if state is State.CUT:
            await self._close()
        else:
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            host, _, port = self.address.rpartition(":")
            self._server = await asyncio.start_server(self._connected, host, int(port))
            self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.calls += 1
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, back}
        self._open |= ends
        pumps = [asyncio.ensure_future(self._there(reader, back)), asyncio.ensure_future(self._back(there, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in ends:
                end.close()
            self._open -= ends
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                await self._passing.wait()
                writer.write(piece)
                await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                await self._passing.wait()
                if self.state is State.LATE:
                    await asyncio.sleep(_DELAY)
                if self.state is State.CORRUPTED:
                    half = len(piece) // 2
                    breaks_off = self._noise.random() < 0.5
                    writer.write(piece[:half] + (b"" if breaks_off else self._noise.randbytes(len(piece) - half)))
                    if breaks_off:
                        return
                else:
                    writer.write(piece)
                await writer.drain()


@asynccontextmanager
async def open_line(target: str) -> AsyncIterator[Line]:
    """A line to ``target``, which is host and port, for as long as the context lasts."""
    line = Line(target)
    await line.turn(State.CLEAR)
    try:
        yield line
    finally:
        await line.turn(State.CUT)
