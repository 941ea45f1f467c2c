"""Outage: when the store is down or hangs, traffic is refused in time, and everything else goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.plane import ADMIN, API_SERVICE
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

pytestmark = pytest.mark.real

TRAFFIC = f"{GV}/trafficmetrics"
DEADLINE = 3
"""Seconds the server gives its store."""


@pytest.fixture(scope="module")
async def weak(api: Api, fragile: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """The API served from a store that tests may stop and hang."""
    configuration = configured(api.plane, fragile.url, timeout=f"{DEADLINE}s")
    async with run_server(api.plane, tmp_path_factory.mktemp("weak"), configuration) as server:
        weak = Api(api.plane, server)
        await weak.register()
        yield weak
        await api.register()


@pytest.fixture
async def hung(fragile: Prometheus) -> AsyncIterator[Prometheus]:
    """The store, hung; and going on afterwards."""
    await fragile.covers(3)
    fragile.hang()
    yield fragile
    fragile.resume()


@pytest.fixture(scope="class")
async def stopped(fragile: Prometheus) -> AsyncIterator[Prometheus]:
    """The store, stopped; and running again afterwards."""
    await fragile.stop()
    yield fragile
    await fragile.start()


async def timed(api: Api, path: str, *, direct: bool = False) -> tuple[Reply, float]:
    start = time.monotonic()
    reply = await (api.direct(path, user=ADMIN) if direct else api.proxied(path))
    return reply, time.monotonic() - start


# Every question has a window of its own: equal questions of one second have one answer, which may be older than the outage.


@pytest.mark.usefixtures("hung")
async def test_a_store_that_hangs_is_given_up_in_time(weak: Api):
    (reply, seconds), run = await asyncio.gather(timed(weak, f"{TRAFFIC}?window=4s"), weak.kubectl("get", "tm", "-A"))
    assert DEADLINE - 0.5 < seconds < DEADLINE + 2
    assert (reply.status, reply.document["kind"], reply.document["reason"]) == (504, "Status", "Timeout")
    # kubectl would ask ten times more, and wait as long each time, if it were told when to come back.
    assert "Retry-After" not in reply.headers
    assert (run.code, run.stderr) == (
        1,
        f'Error from server (Timeout): Timeout: source "mesh": did not answer within {DEADLINE}s\n',
    )


@pytest.mark.usefixtures("hung")
async def test_a_request_sets_its_own_deadline(weak: Api):
    asked = f"{TRAFFIC}?window=5s&timeout=2s"
    # kube-apiserver holds itself to it too, and may be the first to give up.
    for reply, seconds in await asyncio.gather(timed(weak, asked), timed(weak, asked, direct=True)):
        assert 1.5 < seconds < DEADLINE
        assert (reply.status, reply.document["code"], reply.document["reason"]) == (504, 504, "Timeout")


@pytest.mark.usefixtures("hung")
async def test_while_its_store_hangs_what_needs_no_store_is_fast(weak: Api):
    slow = asyncio.create_task(weak.proxied(f"{TRAFFIC}?window=6s"))
    for path in (GV, f"/openapi/v3{GV}"):
        reply, seconds = await timed(weak, path)
        assert (reply.status, seconds < 1, slow.done()) == (200, True, False)
    assert (await slow).status == 504


async def test_kubectl_sits_out_a_short_outage(weak: Api, fragile: Prometheus):
    await fragile.covers(3)
    await fragile.stop()
    asking = asyncio.create_task(weak.names("tm", "-A", "--field-selector", "window=15s"))
    await asyncio.sleep(0.5)
    assert not asking.done()
    await fragile.start()
    assert await asking == ["data/deployment.api", "data/statefulset.db", "shop/deployment.api", "shop/deployment.web"]


class TestWithoutItsStore:
    async def test_the_api_is_unavailable_and_says_why(self, weak: Api, stopped: Prometheus):
        reply, seconds = await timed(weak, f"{TRAFFIC}?window=7s")
        document = reply.document
        assert seconds < DEADLINE
        assert (reply.status, document["kind"], document["reason"]) == (503, "Status", "ServiceUnavailable")
        assert f'source "mesh": cannot be reached at {stopped.url}' in document["message"]
        assert int(reply.headers["Retry-After"]) == document["details"]["retryAfterSeconds"] > 0

    @pytest.mark.usefixtures("stopped")
    async def test_nothing_else_is_disturbed(self, weak: Api):
        # A change makes kube-apiserver look at the API afresh.
        await weak.prints("annotate", "apiservice", API_SERVICE, f"looked-at={time.time()}")
        assert (await weak.prints("get", "pods", "-n", "shop", "-o", "name")).count("pod/") == 4
        weak.plane.forget_discovery()
        assert "trafficmetrics" in await weak.prints("api-resources")
        assert (await weak.prints("auth", "can-i", "list", "trafficmetrics")).strip() == "yes"
        assert (await weak.direct("/readyz")).body == b"ok"
        assert (await weak.proxied(f"/openapi/v3{GV}")).status == 200
        path = '{.status.conditions[?(@.type=="Available")]}'
        condition = json.loads(await weak.prints("get", "apiservice", API_SERVICE, "-o", f"jsonpath={path}"))
        assert (condition["status"], condition["reason"]) == ("True", "Passed")
