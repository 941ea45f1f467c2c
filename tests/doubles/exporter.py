"""An exporter we own: a real HTTP server on a free port that exposes what a test wants, however badly."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Visit:
    """One request that arrived: when (Unix seconds), what was asked with which headers, and the body that was sent."""

    moment: float
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Exporter:
    """What is exposed, to be changed at any moment, and who came.

    ``page`` is the body, or a function of Unix time that gives it. ``delay`` is seconds before the answer begins. ``busiest`` is the
    largest number of requests under way at once.
    """

    page: bytes | Callable[[float], bytes] = b""
    status: int = 200
    content_type: str = TEXT
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    gzip: bool = False
    address: str = ""
    visits: list[Visit] = field(default_factory=list)
    busiest: int = 0
    under_way: int = 0

    async def _answer(self, request: web.Request) -> web.Response:
        moment = time.time()
        self.under_way += 1
        self.busiest = max(self.busiest, self.under_way)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            body = self.page(moment) if callable(self.page) else self.page
            self.visits.append(Visit(moment, request.path_qs, dict(request.headers), body))
            headers = self.headers | ({"Content-Type": self.content_type} if self.content_type else {})
            response = web.Response(status=self.status, body=body, headers=headers)
            if self.gzip:
                response.enable_compression(web.ContentCoding.gzip)
            return response
        finally:
            self.under_way -= 1


@asynccontextmanager
async def exporter(page: bytes | Callable[[float], bytes] = b"", context: ssl.SSLContext | None = None) -> AsyncIterator[Exporter]:
    """An exporter that runs inside the ``async with``."""
    double = Exporter(page)
    app = web.Application()
    app.router.add_get("/{path:.*}", double._answer)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        double.address = f"127.0.0.1:{runner.addresses[0][1]}"
        yield double
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_exporter(answer: bytes) -> AsyncIterator[str]:
    """The address of a server that sends ``answer``, byte for byte, to whoever connects and asks, and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def sample(metric: str, value: float, **labels: str) -> str:
    """One line of an exposition."""
    escaped = {name: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, text in labels.items()}
    inside = ",".join(f'{name}="{text}"' for name, text in escaped.items())
    return f"{metric}{{{inside}}} {value!r}\n" if inside else f"{metric} {value!r}\n"


def buckets(metric: str, cumulative: Mapping[str, float], **labels: str) -> str:
    """The lines of a histogram's buckets; ``cumulative`` is by ``le``."""
    return "".join(sample(f"{metric}_bucket", value, **labels, le=bound) for bound, value in cumulative.items())


def page(*lines: str) -> bytes:
    """A body out of lines or groups of them."""
    return "".join(lines).encode()
