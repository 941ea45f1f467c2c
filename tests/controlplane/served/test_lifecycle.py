"""Beginning and end: a server that starts is never wrong about what it has, and one that stops finishes what it began."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import ADMIN, SERVER
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER, STRANGER
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server

pytestmark = pytest.mark.real

TRAFFIC = f"{GV}/trafficmetrics"


async def test_while_it_starts_nothing_is_not_found(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory):
    home = api.plane.kubeconfig(ADMIN).parent
    # It makes its certificate as it starts, so there is nothing to verify it with yet.
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.load_cert_chain(home / "client.crt", home / "client.key")
    server = Server(api.plane, tmp_path_factory.mktemp("starting"), configured(api.plane, prometheus.url))
    seen: dict[str, set[int]] = {path: set() for path in ("/openapi/v3", "/openapi/v2", "/apis", GV, TRAFFIC)}
    refused = 0
    try:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            until = time.monotonic() + 30
            while not all(seen.values()) and time.monotonic() < until:
                for path, statuses in seen.items():
                    try:
                        async with session.get(server.url + path, ssl=tls) as response:
                            statuses.add(response.status)
                    except aiohttp.ClientError:
                        refused += 1
    finally:
        await server.daemon.stop()
    assert refused
    assert set(map(frozenset, seen.values())) == {frozenset({200})}


async def test_a_request_under_way_is_finished_before_the_end(
    api: Api, fragile: Prometheus, tmp_path_factory: pytest.TempPathFactory
):
    await fragile.covers(3)
    async with run_server(api.plane, tmp_path_factory.mktemp("ending"), patient(api, fragile)) as server:
        ending = Api(api.plane, server)
        fragile.hang()
        try:
            under_way = asyncio.create_task(ending.direct(TRAFFIC, user=ADMIN))
            await until_in_flight(ending, 2)
            os.kill(server.daemon.pid, signal.SIGTERM)
            await until_closed(ending)
            assert not under_way.done()
        finally:
            fragile.resume()
        assert (await under_way).status == 200
        assert await server.daemon.ended(10)
        assert server.daemon.exit_code() == 0
        assert "Traceback" not in server.daemon.tail(1000)


async def test_a_connection_that_was_kept_ends_without_a_byte_of_an_answer(
    api: Api, fragile: Prometheus, tmp_path_factory: pytest.TempPathFactory
):
    """Whoever has just sent a request on it can tell that it was not read, and sends it again elsewhere."""
    await fragile.covers(3)
    async with run_server(api.plane, tmp_path_factory.mktemp("kept"), patient(api, fragile)) as server:
        ending = Api(api.plane, server)
        reader, writer = await asyncio.open_connection(LOOPBACK, server.port, ssl=server.tls())
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\nok")
        fragile.hang()
        try:
            under_way = asyncio.create_task(ending.direct(f"{TRAFFIC}?window=7s", user=ADMIN))
            await until_in_flight(ending, 2)
            os.kill(server.daemon.pid, signal.SIGTERM)
            await until_closed(ending)
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        finally:
            fragile.resume()
        assert await reader.read() == b""
        writer.close()
        assert (await under_way).status == 200


def patient(api: Api, store: Prometheus) -> dict[str, Any]:
    """A configuration with which a question outlasts the closing of the server, which takes a while on a busy machine."""
    configuration = configured(api.plane, store.url, timeout="50s")
    configuration["metrics"]["deadline"] = "50s"
    return configuration


async def until_in_flight(api: Api, count: int) -> None:
    """Waits until so many requests are being answered, the one that asks included.

    Seen once it may be the one that asked before, which is answered and not done with.
    """
    line = f'apiserver_current_inflight_requests{{request_kind="readOnly"}} {count}.0'
    seen = 0
    for _ in range(200):
        seen = seen + 1 if line in (await api.direct("/metrics", user=ADMIN)).body.decode() else 0
        if seen == 3:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"there are never {count} requests in flight")


async def until_closed(api: Api) -> None:
    """Waits until no connection is accepted any more."""
    for _ in range(200):
        try:
            await api.direct("/livez")
        except aiohttp.ClientError:
            return
        await asyncio.sleep(0.05)
    pytest.fail("connections are still accepted")


async def test_an_idle_server_ends_at_once(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory):
    async with run_server(api.plane, tmp_path_factory.mktemp("idle"), configured(api.plane, prometheus.url)) as server:
        async with aiohttp.ClientSession() as session:
            # Its connection stays open, as the aggregator's do.
            async with session.get(f"{server.url}{TRAFFIC}", ssl=server.tls(ADMIN)) as response:
                assert response.status == 200
            os.kill(server.daemon.pid, signal.SIGTERM)
            assert await server.daemon.ended(3)
        assert server.daemon.exit_code() == 0


async def test_a_server_can_say_goodbye_before_it_goes(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory):
    configuration = configured(api.plane, prometheus.url) | {"server": {"shutdownDelayDuration": "2s"}}
    async with run_server(api.plane, tmp_path_factory.mktemp("leaving"), configuration) as server:
        leaving = Api(api.plane, server)
        assert "Connection" not in (await leaving.direct("/livez")).headers
        os.kill(server.daemon.pid, signal.SIGTERM)
        start = time.monotonic()
        while (ready := await leaving.direct("/readyz")).status == 200:
            assert time.monotonic() - start < 1
        assert (ready.status, b"[-]shutdown failed" in ready.body) == (500, True)
        for path in ("/livez", "/healthz", TRAFFIC):
            reply = await leaving.direct(path, user=ADMIN)
            # Whoever keeps a connection opens the next one elsewhere.
            assert (reply.status, reply.headers["Connection"]) == (200, "close")
        assert await server.daemon.ended(10)
        assert time.monotonic() - start > 1.5
        assert server.daemon.exit_code() == 0


async def test_watches_end_in_order_as_soon_as_the_server_goes(
    api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory
):
    configuration = configured(api.plane, prometheus.url) | {"server": {"shutdownDelayDuration": "1s"}}
    async with run_server(api.plane, tmp_path_factory.mktemp("watched"), configuration) as server:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}{TRAFFIC}?watch=true", ssl=server.tls(ADMIN)) as watch,
        ):
            assert watch.status == 200
            os.kill(server.daemon.pid, signal.SIGTERM)
            start = time.monotonic()
            lines = (await watch.read()).splitlines()
            assert 0.5 < time.monotonic() - start < 4
        assert {json.loads(line)["type"] for line in lines} <= {"ADDED", "MODIFIED", "BOOKMARK"}
        assert await server.daemon.ended(3)
        assert server.daemon.exit_code() == 0


async def test_a_second_signal_ends_it_on_the_spot(api: Api, fragile: Prometheus, tmp_path_factory: pytest.TempPathFactory):
    async with run_server(api.plane, tmp_path_factory.mktemp("killed"), patient(api, fragile)) as server:
        killed = Api(api.plane, server)
        fragile.hang()
        try:
            under_way = asyncio.create_task(killed.direct(f"{TRAFFIC}?window=8s", user=ADMIN))
            await until_in_flight(killed, 2)
            os.kill(server.daemon.pid, signal.SIGTERM)
            await until_closed(killed)
            assert not await server.daemon.ended(0.3)
            os.kill(server.daemon.pid, signal.SIGTERM)
            assert await server.daemon.ended(2)
            with pytest.raises(aiohttp.ClientError):
                await under_way
        finally:
            fragile.resume()
        assert server.daemon.exit_code() == 1


async def test_readiness_is_made_of_these_checks(api: Api):
    reply = await api.direct("/readyz?verbose")
    assert reply.status == 200
    assert reply.body.decode() == (
        "[+]ping ok\n[+]configmap-synced ok\n[+]inventory-synced ok\n[+]serving-cert ok\n[+]source-mesh ok\n[+]shutdown ok\n"
        "readyz check passed\n"
    )
    assert (reply.headers["Content-Type"], reply.headers["X-Content-Type-Options"]) == ("text/plain; charset=utf-8", "nosniff")
    assert (await api.direct("/livez?verbose")).body == b"[+]ping ok\nlivez check passed\n"
    assert (await api.direct("/healthz?verbose")).body.endswith(b"[+]serving-cert ok\nhealthz check passed\n")
    reply = await api.direct("/readyz?verbose&exclude=serving-cert&exclude=nothing,ping")
    assert b"[+]serving-cert excluded: ok\n" in reply.body
    assert b'warn: some health checks cannot be excluded: no matches for "nothing,ping"\n' in reply.body


async def test_the_reason_of_a_check_is_told_to_those_who_may_know(api: Api):
    assert (await api.direct("/readyz/serving-cert")).status == 403
    assert (await api.direct("/readyz/serving-cert", user=ADMIN)).body == b"ok"


async def test_when_nobody_can_say_who_may_nobody_may(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("blind")
    nowhere = directory / "kubeconfig"
    nowhere.write_text(api.plane.kubeconfig(SERVER).read_text().replace(api.plane.url, "https://127.0.0.1:1"))
    configuration = configured(api.plane, prometheus.url)
    configuration["kubernetes"]["authorizationKubeconfig"] = str(nowhere)
    async with run_server(api.plane, directory, configuration) as server:
        blind = Api(api.plane, server)
        reply = await blind.direct(TRAFFIC, user=SHOP_READER)
        assert (reply.status, reply.document["reason"]) == (500, "InternalError")
        assert (await blind.direct("/livez")).body == b"ok"


@pytest.mark.parametrize(
    ("change", "code", "complaint"),
    [
        pytest.param({"server": {"securePort": 0}}, 2, "server.securePort: 0 would serve nobody", id="a port of nobody"),
        pytest.param({"server": {"certDir": "/proc/nowhere"}}, 2, "certDir /proc/nowhere", id="a directory it cannot write"),
        pytest.param({"server": {"securePort": "taken"}}, 2, "Address already in use; is another server there?", id="a taken port"),
        pytest.param({"kubernetes": {"kubeconfig": "stranger"}}, 1, "kubectl create rolebinding", id="no rights"),
    ],
)
async def test_a_server_that_cannot_start_says_why(
    api: Api, tmp_path: Path, change: dict[str, dict[str, object]], code: int, complaint: str
):
    configuration = configured(api.plane, "http://127.0.0.1:1") | change
    if change.get("server", {}).get("securePort") == "taken":
        configuration["server"] = {"securePort": api.server.port}
    if "kubernetes" in change:
        configuration["kubernetes"] = {"kubeconfig": str(api.plane.kubeconfig(STRANGER))}
    server = Server(api.plane, tmp_path, configuration)
    try:
        assert await server.daemon.ended(20)
        assert server.daemon.exit_code() == code
        assert complaint in server.daemon.tail()
        assert "Traceback" not in server.daemon.tail()
    finally:
        await server.daemon.stop()
