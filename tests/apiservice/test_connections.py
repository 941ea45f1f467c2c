"""What one connection may take: requests that are never complete, and answers that are never read."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
from aiohttp import web

import apiservice.server
from apiservice.connection import Bounds, Connection
from apiservice.logs import REQUESTS
from apiservice.runner import Runner
from apiservice.sending import PIECE, send
from apiservice.serving import SERVER_LIMITS
from tests.doubles.authority import SERVER, Authority

GO_IDLE = 90.0
"""Seconds after which Go's clients close an idle connection: ``net/http.DefaultTransport``."""

HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * (64 * 1024 * 1024)
"""More than the kernel keeps for a connection nobody reads from."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Place:
    """A server that says hello at ``/``, much more at ``/large``, and nothing at ``/never``."""

    def __init__(self, runner: Runner, port: int, client: ssl.SSLContext | None) -> None:
        self._runner = runner
        self.port = port
        self.client = client

    async def connect(self) -> Streams:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.client, server_hostname="localhost" if self.client else None
        )

    @property
    def connections(self) -> list[Connection]:
        assert self._runner.server is not None
        return cast("list[Connection]", self._runner.server.connections)

    @property
    def waiting(self) -> int:
        """Bytes that wait in the server to be read by its clients."""
        return sum(each.transport.get_write_buffer_size() for each in self.connections if each.transport is not None)


@asynccontextmanager
async def place(
    bounds: Bounds, serving: ssl.SSLContext | None = None, client: ssl.SSLContext | None = None
) -> AsyncIterator[Place]:
    async def hello(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def large(request: web.Request) -> web.Response:
        response = web.Response(body=LARGE)
        await send(request, response)
        return response

    async def never(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/never", never)
    app.router.add_get("/large", large)
    runner = Runner(app, bounds=bounds, access_log=None, handler_cancellation=True, shutdown_timeout=1, **SERVER_LIMITS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=serving)
        await site.start()
        yield Place(runner, runner.addresses[0][1], client)
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(server: Place) -> AsyncIterator[Streams]:
    reader, writer = await server.connect()
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def until(holds: Callable[[], object], patience: float = 10) -> None:
    """Waits until something holds that nobody tells us of."""
    async with asyncio.timeout(patience):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def dropped(reader: asyncio.StreamReader, patience: float = 10) -> None:
    """Waits until the server has ended the connection."""
    with suppress(ConnectionError):
        async with asyncio.timeout(patience):
            while await reader.read(1):
                pass


# Requests that are never complete


async def test_a_connection_on_which_nothing_is_ever_asked_is_dropped() -> None:
    async with place(Bounds(head_time=0.2)) as server, connected(server) as (reader, _):
        await dropped(reader)


async def test_a_handshake_that_is_never_finished_is_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(apiservice.server, "_HANDSHAKE", 0.2)
    tls = Authority("serving-ca").server_context("localhost", directory=tmp_path)
    async with apiservice.server.listening(web.Application(), "127.0.0.1", 0, tls) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # The beginning of a record of the handshake.
        writer.write(b"\x16\x03\x01")
        await dropped(reader)
        writer.close()


async def test_a_request_that_trickles_in_is_dropped() -> None:
    async with place(Bounds(head_time=0.3)) as server, connected(server) as (reader, writer):

        async def trickle() -> None:
            writer.write(b"GET / HTTP/1.1\r\nX-Slow: ")
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        try:
            await dropped(reader)
        finally:
            trickling.cancel()


async def test_a_later_request_has_as_long_as_the_first_and_silence_before_it_does_not_count() -> None:
    async with place(Bounds(head_time=0.3)) as server, connected(server) as (reader, writer):
        for _ in range(2):
            writer.write(HELLO)
            assert b"200 OK" in await reader.readuntil(b"hello")
            await asyncio.sleep(0.5)
        writer.write(HELLO[:10])
        start = time.monotonic()
        await dropped(reader)
        assert time.monotonic() - start > 0.2


async def test_a_body_is_not_held_to_the_time_of_a_head() -> None:
    async with place(Bounds(head_time=0.2)) as server, connected(server) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        for letter in (b"b", b"o", b"d", b"y"):
            await asyncio.sleep(0.1)
            writer.write(letter)
        assert b"200 OK" in await reader.readuntil(b"hello")
        await asyncio.sleep(0.3)
        writer.write(HELLO)
        assert b"200 OK" in await reader.readuntil(b"hello")


def test_an_idle_connection_is_kept_until_the_clients_of_kubernetes_have_closed_it() -> None:
    assert SERVER_LIMITS["keepalive_timeout"] > GO_IDLE


def head(headers: int, size: int) -> bytes:
    """A request with so many headers of so many bytes each."""
    lines = [b"X-%06d: %s" % (number, b"v" * (size - 12)) for number in range(headers)]
    return b"GET / HTTP/1.1\r\nHost: x\r\n" + b"\r\n".join(lines) + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        pytest.param(15, 60_000, 200, id="few large ones"),
        pytest.param(4000, 200, 200, id="many small ones"),
        pytest.param(18, 60_000, 431, id="too large together"),
        pytest.param(4000, 300, 431, id="too many together"),
    ],
)
async def test_headers_may_take_a_mebibyte_together(headers: int, size: int, status: int) -> None:
    async with place(Bounds()) as server, connected(server) as (reader, writer):
        writer.write(head(headers, size))
        answer = await reader.readuntil(b"\r\n\r\n")
        assert int(answer.split()[1]) == status


async def test_the_headers_of_a_later_request_are_measured_on_their_own() -> None:
    async with place(Bounds(head_size=10_000)) as server, connected(server) as (reader, writer):
        for _ in range(3):
            writer.write(head(10, 600))
            await reader.readuntil(b"hello")
        writer.write(head(20, 600))
        assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"431"
        assert (
            b'"message":"the request line and the header fields together are longer than this server accepts"'
            in await reader.read()
        )


async def test_requests_sent_ahead_are_left_where_they_are() -> None:
    async with place(Bounds()) as server, connected(server) as (_, writer):
        writer.write(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n")
        ahead = head(15, 60_000)
        for _ in range(30):
            writer.write(ahead)
        before = -1
        while before != (left := cast("asyncio.Transport", writer.transport).get_write_buffer_size()):
            before = left
            await asyncio.sleep(0.3)
        # What is gone is in the buffers of the kernel, but for a few.
        assert left > 15 * len(ahead)
        writer.transport.abort()


async def test_requests_sent_ahead_are_answered_in_their_order() -> None:
    async with place(Bounds()) as server, connected(server) as (reader, writer):
        writer.write(HELLO * 200)
        for _ in range(200):
            await reader.readuntil(b"hello")


# Answers that are never read


@pytest.fixture(params=["plain", "tls"])
def protection(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """TLS of server and client, or none."""
    if request.param == "plain":
        return None, None
    authority = Authority("serving-ca")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*authority.issue("localhost", usage=(SERVER,), names=("localhost",)).save(tmp_path, "serving"))
    return serving, ssl.create_default_context(cadata=authority.pem)


async def test_a_client_that_does_not_read_pins_little_and_is_dropped(
    protection: tuple[ssl.SSLContext | None, ssl.SSLContext | None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(REQUESTS)
    async with place(Bounds(unread_time=0.5), *protection) as server, connected(server) as (reader, writer):
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: server.waiting)
        pinned = 0
        while server.connections:
            pinned = max(pinned, server.waiting)
            await asyncio.sleep(0.01)
        assert 0 < pinned < 3 * PIECE
        assert "nobody has read there what was sent" in caplog.text
        cast("asyncio.Transport", writer.transport).resume_reading()
        with suppress(ConnectionError):
            assert len(await reader.read()) < len(LARGE)


async def test_a_client_that_closes_nothing_and_reads_nothing_is_dropped_even_when_the_server_has_closed() -> None:
    """A connection that the server has closed stays open for as long as there is something left to be read."""
    async with place(Bounds(unread_time=0.5)) as server, connected(server) as (_, writer):
        cast("asyncio.Transport", writer.transport).pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: server.waiting)
        (connection,) = server.connections
        connection.force_close()
        async with asyncio.timeout(10):
            await connection.closed


async def test_a_client_that_reads_slowly_gets_everything(
    protection: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
) -> None:
    async with place(Bounds(unread_time=0.5), *protection) as server, connected(server) as (reader, writer):
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        received, start = 0, time.monotonic()
        while received < len(LARGE):
            received += len(await reader.readexactly(min(4 * 1024 * 1024, len(LARGE) - received)))
            await asyncio.sleep(0.1)
        assert time.monotonic() - start > 1


# The end


async def test_the_last_answer_has_left_before_the_server_ends() -> None:
    async with place(Bounds(unread_size=2 * len(LARGE))) as server:
        reader, writer = await server.connect()
        client = cast("asyncio.Transport", writer.transport)
        client.pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: server.waiting)
        (connection,) = server.connections
        # To the server, the request is answered.
        asyncio.get_running_loop().call_later(0.5, client.resume_reading)
        reading = asyncio.create_task(reader.read())
    assert connection.closed.done()
    assert (await reading).endswith(LARGE)
    writer.close()


async def test_a_connection_that_is_made_while_the_server_ends_is_closed_and_keeps_nobody_waiting():
    """Its TLS handshake may have begun long before. Who has sent a request there would wait as long as requests under way may take."""
    late: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def come_late(_: web.Application) -> None:
        late.append(await asyncio.open_connection("127.0.0.1", port))
        late[0][1].write(HELLO)
        await asyncio.sleep(0.05)

    app = web.Application()
    app.on_shutdown.append(come_late)
    runner = Runner(app, access_log=None, shutdown_timeout=20, **SERVER_LIMITS)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(5):
            await runner.cleanup()
            reader, writer = late[0]
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
    finally:
        server.close()
