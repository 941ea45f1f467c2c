"""gRPC for applications that run in Python alone: enough to be called, and to answer with a status.

Python comes without an HTTP/2 server. Between the proxies gRPC is spoken over HTTP/2, as it is; from the last proxy to its application it
comes as HTTP/1.1, and the status goes back in the trailers of a chunked answer. aiohttp sends no trailers, hence this small server.

Source of the framing: "gRPC over HTTP2", Requests and Responses. A call that fails at once is answered without a body, the status among the
headers ("Trailers-Only").
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

__all__ = ["MIME", "NO_FIELDS", "OK", "UNAVAILABLE", "GrpcServer", "status_of"]

MIME = "application/grpc"
OK = 0
UNAVAILABLE = 14

NO_FIELDS = bytes(5)
"""One message without fields: not compressed, of length 0."""

_HEAD = f"HTTP/1.1 200 OK\r\ncontent-type: {MIME}\r\n".encode()


def status_of(headers: Mapping[str, str]) -> int:
    """The status among the headers of an answer. When there is none it follows the body, as it does on success."""
    return int(headers.get("grpc-status", OK))


class GrpcServer:
    """Answers each call with the gRPC status that ``answer`` gives for its path."""

    def __init__(self, answer: Callable[[str], Awaitable[int]]) -> None:
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str) -> int:
        """Listen on a free port, which is returned."""
        self._server = await asyncio.start_server(self._accept, host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, and leave the calls under way unanswered."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while path := await _read_call(reader):
                writer.write(_response(await self._answer(path)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the proxy has closed the connection
        finally:
            writer.close()


async def _read_call(reader: asyncio.StreamReader) -> str:
    """The path of the next call, whose message is read and dropped."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
    elif "transfer-encoding" in headers:
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        # Trailers, if any, end with an empty line.
        while await reader.readline() != b"\r\n":
            pass
    return head[0].split(" ")[1]


def _response(status: int) -> bytes:
    if status != OK:
        return _HEAD + f"grpc-status: {status}\r\ncontent-length: 0\r\n\r\n".encode()
    body = f"{len(NO_FIELDS):x}\r\n".encode() + NO_FIELDS + b"\r\n0\r\n"
    return _HEAD + b"transfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n" + body + f"grpc-status: {OK}\r\n\r\n".encode()
