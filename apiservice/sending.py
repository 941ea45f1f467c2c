"""Bodies on their way to clients: piece by piece, as fast as each client reads.

A body handed over whole is kept, and over TLS kept once more encrypted, until the last byte is read, for every client that has not read
it. Here no more than :data:`PIECE` is handed over before the client has made room for it, so that what a client can pin is a few times
that, whatever it asked for. A client that makes no room at all is cut off by its connection (:mod:`apiservice.connection`).
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from apiservice.encoding import GZIP_ABOVE, accepts_gzip
from apiservice.warning import warning_headers

__all__ = ["PIECE", "Streamed", "abort", "json_parts", "json_response", "send", "send_part"]

PIECE = 32 * 1024
"""Bytes handed over at once; the connection keeps as many before it asks to wait, and TLS twice as many beside them."""

_DEEP = 3
"""How deep in the answers of surfaces their rows and columns are, of which each is encoded at once."""

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


def json_response(document: Any, request: web.Request, warnings: Iterable[str] = ()) -> web.StreamResponse:
    """The response that holds a document as JSON, and ``warnings`` for its reader, to somebody who may say to accept something else.

    A large one is encoded while it is sent, and compressed for a client that can read that.

    Whoever encodes keeps all others waiting, in a thread as well: a whole answer may take a second, and a column of it some milliseconds.
    """
    headers = CIMultiDict({"Content-Type": "application/json", "Vary": "Accept-Encoding"})
    for text in warning_headers(warnings):
        headers.add("Warning", text)
    gzip = accepts_gzip(request.headers)
    parts = json_parts(document)
    begun, size = [], 0
    for part in parts:
        begun.append(part)
        size += len(part)
        if size > GZIP_ABOVE:
            return Streamed(chain(begun, parts), headers, gzip=gzip)
    return web.Response(body=b"".join(begun), headers=headers)


def json_parts(document: Any) -> Iterator[bytes]:
    """A document as JSON, in parts to be joined, which are about as large as :data:`PIECE`."""
    begun = bytearray()
    for piece in _pieces(document, _DEEP):
        begun += piece
        if len(begun) > PIECE:
            yield bytes(begun)
            begun.clear()
    yield bytes(begun + b"\n")


def _pieces(value: Any, deep: int) -> Iterator[bytes]:
    if not deep or not value or not isinstance(value, list | dict):
        yield msgspec.json.encode(value)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield b"," if place else b"["
            yield from _pieces(each, deep - 1)
        yield b"]"
    else:
        for place, (name, each) in enumerate(value.items()):
            yield (b"," if place else b"{") + msgspec.json.encode(name) + b":"
            yield from _pieces(each, deep - 1)
        yield b"}"


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
