"""Bodies on their way to clients: piece by piece, as fast as each client reads.

A body handed over whole is kept, and over TLS kept once more encrypted, until the last byte is read, for every client that has not read
it. Here no more than :data:`PIECE` is handed over before the client has made room for it, so that what a client can pin is a few times
that, whatever it asked for. A client that makes no room at all is cut off by its connection (:mod:`apiservice.connection`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator, Mapping

from aiohttp import web

__all__ = ["PIECE", "Streamed", "abort", "send", "send_part"]

PIECE = 32 * 1024
"""Bytes handed over at once; the connection keeps as many before it asks to wait, and TLS twice as many beside them."""

_GZIP = 16 + zlib.MAX_WBITS
_FASTEST = 1


class Streamed(web.StreamResponse):
    """A response whose body is made while it is sent, so that no client makes a whole body wait in memory for it.

    ``parts`` together are the body; they are read on as the client reads. ``gzip`` compresses them, at the level that costs least time.
    The length is unknown when the response begins, so the body goes in chunks, and one that breaks off ends without the last chunk: no
    client takes it for the whole.
    """

    def __init__(self, parts: Iterable[bytes], headers: Mapping[str, str], *, gzip: bool = False) -> None:
        super().__init__(headers=headers)
        if gzip:
            self.headers["Content-Encoding"] = "gzip"
        self.parts = _compressed(parts) if gzip else parts


async def send(request: web.Request, response: web.StreamResponse) -> None:
    """Send all of a response, and return when the connection has taken its last byte; aiohttp has nothing to add then.

    Raises ConnectionError when the client has gone, or has been cut off because it does not read.
    """
    await response.prepare(request)
    parts = _parts(response) if request.method != "HEAD" else None
    if parts is None:
        await response.write_eof()
        return
    for part in parts:
        # Making a part takes a while, and a client that reads fast would not let others through.
        await asyncio.sleep(0)
        view = memoryview(part)
        for start in range(0, len(part), PIECE):
            await send_part(request, response, view[start : start + PIECE])
        # A client that reads fast must not keep all others waiting until it has everything.
        await asyncio.sleep(0)
    # Its own would send the body of a Response again.
    await web.StreamResponse.write_eof(response)


async def send_part(request: web.Request, response: web.StreamResponse, part: bytes | memoryview) -> None:
    """Send a part of a response that has begun, such as an event of a watch, and wait until the client has made room for the next.

    Raises ConnectionError when the client has gone, or has been cut off because it does not read.
    """
    await response.write(part)
    await request.writer.drain()


def abort(request: web.Request) -> None:
    """Drop the connection with all that waits in it to be sent: the client is to see that this is not the end of a response."""
    if request.transport is not None:
        request.transport.abort()


def _parts(response: web.StreamResponse) -> Iterable[bytes] | None:
    """What is to be sent in pieces; None for a small body, which aiohttp sends together with the headers, and for what has ended."""
    if isinstance(response, Streamed):
        return response.parts
    body = response.body if isinstance(response, web.Response) else None
    return (body,) if isinstance(body, bytes) and len(body) > PIECE else None


def _compressed(parts: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    for part in parts:
        yield compressor.compress(part)
    yield compressor.flush()
