"""What a server listens on: one address, or every address of IPv4 and IPv6, at one port, as far as the host has them."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import web

from apiservice import listeners
from apiservice.listeners import bind
from apiservice.server import listening
from metrics_api import BadConfiguration
from tests.doubles.authority import Authority

EVERYWHERE = ("0.0.0.0", "::")
everywhere = pytest.mark.parametrize("address", EVERYWHERE)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


with_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no ::1")


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """Runs what is to hold with both kinds of loops."""
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


async def _whoami(request: web.Request) -> web.Response:
    assert request.transport is not None
    return web.json_response({"remote": request.remote, "peer": request.transport.get_extra_info("peername")[0]})


def app() -> web.Application:
    """Says where a request comes from."""
    made = web.Application()
    made.router.add_get("/", _whoami)
    return made


async def asked(host: str, port: int, tls: ssl.SSLContext | None = None) -> dict[str, Any]:
    scheme = "http" if tls is None else "https"
    connector = aiohttp.TCPConnector(ssl=tls if tls is not None else False)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(f"{scheme}://{host}:{port}/") as response:
        answer: dict[str, Any] = json.loads(await response.read())
        return answer


@with_ipv6
@everywhere
def test_an_unspecified_address_is_all_addresses_of_both_families(runner: asyncio.Runner, tmp_path: Path, address: str) -> None:
    authority = Authority("serving-ca")
    tls = authority.server_context("localhost", directory=tmp_path)
    trusting = ssl.create_default_context(cadata=authority.pem)
    trusting.check_hostname = False

    async def check() -> None:
        async with listening(app(), address, 0, tls) as port:
            # Who comes by IPv4 is known by an address of IPv4, and not by ::ffff:127.0.0.1.
            assert await asked("127.0.0.1", port, trusting) == {"remote": "127.0.0.1", "peer": "127.0.0.1"}
            assert await asked("[::1]", port, trusting) == {"remote": "::1", "peer": "::1"}
        for host in ("127.0.0.1", "[::1]"):
            with pytest.raises(aiohttp.ClientConnectorError):
                await asked(host, port, trusting)
        # The port is free again at once.
        async with listening(app(), address, port, tls) as again:
            assert again == port

    runner.run(check())


@with_ipv6
@pytest.mark.parametrize(("address", "host", "other"), [("127.0.0.1", "127.0.0.1", "[::1]"), ("::1", "[::1]", "127.0.0.1")])
def test_one_address_is_that_one_alone(runner: asyncio.Runner, address: str, host: str, other: str) -> None:
    async def check() -> None:
        async with listening(app(), address, 0, None) as port:
            assert (await asked(host, port))["remote"] == address
            with pytest.raises(aiohttp.ClientConnectorError):
                await asked(other, port)

    runner.run(check())


def lacking(monkeypatch: pytest.MonkeyPatch, families: set[int], code: int) -> None:
    """Makes this host one without these families."""

    class Socket(socket.socket):
        def __init__(self, family: int = -1, *arguments: Any) -> None:
            if family in families and code == errno.EAFNOSUPPORT:
                raise OSError(code, "not here")
            super().__init__(family, *arguments)

        def bind(self, where: Any) -> None:
            if self.family in families:
                raise OSError(code, "not here")
            super().bind(where)

    monkeypatch.setattr(listeners.socket, "socket", Socket)


@everywhere
@pytest.mark.parametrize("code", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL])
@pytest.mark.parametrize(("lacked", "there"), [(socket.AF_INET6, socket.AF_INET), (socket.AF_INET, socket.AF_INET6)])
def test_a_family_that_the_host_lacks_is_left_out(
    monkeypatch: pytest.MonkeyPatch, address: str, lacked: int, there: int, code: int
) -> None:
    if there == socket.AF_INET6 and not _has_ipv6():
        pytest.skip("this machine has no ::1")
    lacking(monkeypatch, {lacked}, code)
    (bound,) = bind(address, 0)
    with closing(bound):
        assert bound.family == there
        assert bound.getsockname()[1]


def test_a_host_without_any_family_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, {socket.AF_INET, socket.AF_INET6}, errno.EAFNOSUPPORT)
    with pytest.raises(OSError, match="not here"):
        bind("::", 0)


@with_ipv6
@everywhere
async def test_a_port_that_is_taken_in_one_family_is_taken(address: str) -> None:
    """Half a server would be found by some of those who ask for it."""
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BadConfiguration, match=f"cannot listen on {address} port {port}: Address already in use"):
            async with listening(app(), address, port, None):
                pass
        # What was bound in the other family is let go.
        with closing(socket.create_server(("0.0.0.0", port))):
            pass


@with_ipv6
def test_a_free_port_is_free_in_both_families(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = listeners._bound
    taken: list[int] = []

    def unlucky(family: int, where: tuple[Any, ...]) -> socket.socket:
        if family == socket.AF_INET6 and len(taken) < 3:
            taken.append(where[1])
            raise OSError(errno.EADDRINUSE, "taken")
        return bound(family, where)

    monkeypatch.setattr(listeners, "_bound", unlucky)
    one, other = bind("::", 0)
    with closing(one), closing(other):
        assert len(taken) == 3
        assert one.getsockname()[1] == other.getsockname()[1]
