"""Bodies made while they are sent: whole for those who read them, and never taken for whole when they are not."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import ClientPayloadError, web
from aiohttp.test_utils import TestClient, TestServer

from apiservice.sending import PIECE, Streamed, abort, send

PARTS = [b"one,", b"", b"x" * 3 * PIECE, b",end"]


@asynccontextmanager
async def streaming(parts: Iterable[bytes], *, compressed: bool = False) -> AsyncIterator[TestClient[Any, Any]]:
    async def stream(request: web.Request) -> web.StreamResponse:
        response = Streamed(parts, {"Content-Type": "text/plain"}, gzip=compressed)
        try:
            await send(request, response)
        except ZeroDivisionError:
            abort(request)
        return response

    app = web.Application()
    app.router.add_get("/", stream)
    async with TestClient(TestServer(app), auto_decompress=False) as session:
        yield session


async def test_the_parts_together_are_the_body() -> None:
    async with streaming(PARTS) as session:
        response = await session.get("/")
        assert (response.status, "Content-Length" in response.headers) == (200, False)
        assert await response.read() == b"".join(PARTS)


async def test_a_compressed_body_is_compressed_as_a_whole() -> None:
    async with streaming(PARTS, compressed=True) as session:
        response = await session.get("/")
        body = await response.read()
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(body) < PIECE
    assert gzip.decompress(body) == b"".join(PARTS)


async def test_a_connection_goes_on_after_a_body_of_unknown_length() -> None:
    async with streaming(PARTS) as session:
        reader, writer = await asyncio.open_connection("127.0.0.1", session.port, limit=10 * PIECE)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"200 OK" in await reader.readuntil(b"\r\n0\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_nothing_is_made_for_who_asks_for_the_headers_alone() -> None:
    made = iter(PARTS)
    async with streaming(made) as session:
        response = await session.head("/")
        assert (response.status, await response.read()) == (200, b"")
    assert next(made) == PARTS[0]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
async def test_a_body_that_cannot_be_completed_is_not_taken_for_a_whole_one(*, compressed: bool) -> None:
    def parts() -> Iterator[bytes]:
        yield b"x" * 10 * PIECE
        yield bytes(1 // 0)

    async with streaming(parts(), compressed=compressed) as session:
        with pytest.raises((ClientPayloadError, ConnectionError)):
            await (await session.get("/")).read()


async def test_parts_are_made_as_they_are_read() -> None:
    made = 0

    def parts() -> Iterator[bytes]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield b"x" * PIECE

    async with streaming(parts()) as session:
        reader, writer = await asyncio.open_connection("127.0.0.1", session.port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        before = -1
        async with asyncio.timeout(10):
            while made > before:
                before = made
                await asyncio.sleep(0.3)
        # What was made fits into the buffers of the kernel.
        assert 0 < made < 500
        with suppress(asyncio.IncompleteReadError):
            while made < 1000:
                await reader.readexactly(PIECE)
        writer.transport.abort()
    assert made == 1000
