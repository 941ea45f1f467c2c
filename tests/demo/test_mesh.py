"""The mesh against its own description: real Envoys count exactly the traffic that was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from apiservice.demo import SHOP, Mesh, MeshFailure, Shop, run_mesh
from apiservice.demo.applications import ask
from apiservice.demo.shop import Call, External, Latency, Operation, Route, Visit, Workload
from apiservice.demo.simulation import Simulation
from backends.scrape import ScrapeBackend, read_settings
from metrics_api import Direction, Histogram, ResourceRef, Sample, TrafficQuery, Window
from metrics_api.document import Problems, parse_document
from tests.demo.lab import Series, children, files

pytestmark = pytest.mark.real

VISITS = {"/home": 12, "/product": 20, "/checkout": 110, "/api/items": 10}
"""So many that every kind of failure happens."""

QUICK = Latency(0.002, 0.002)

KNOWN = Shop(
    workloads=(
        Workload("edge", "gateway", routes=(Route("/", "front.shop"),)),
        Workload(
            "shop",
            "front",
            replicas=2,
            operations=(
                Operation(
                    "/buy",
                    QUICK,
                    (
                        Call("stock.shop", "/shop.Stock/Take", required=False),
                        Call("ledger.data", "/book", required=False),
                        Call("front.shop", "/again", required=False),
                    ),
                ),
                Operation("/again", QUICK),
            ),
        ),
        Workload("shop", "stock", grpc=True, operations=(Operation("/shop.Stock/Take", QUICK, failing=0.5),)),
        Workload("data", "ledger", kind="StatefulSet", operations=(Operation("/book", Latency(0.12, 0.12), failing=0.25),)),
    ),
    externals=(),
    visits=(),
)


GATEWAY = ResourceRef("Deployment", "edge", "gateway")
FRONT = ResourceRef("Deployment", "shop", "front")
STOCK = ResourceRef("Deployment", "shop", "stock")
LEDGER = ResourceRef("StatefulSet", "data", "ledger")


async def _visit(session: aiohttp.ClientSession, mesh: Mesh, paths: Iterable[str]) -> None:
    """Visits at the gateway, some at a time."""
    places = asyncio.Semaphore(16)

    async def one(path: str) -> None:
        async with places:
            await ask(session, mesh.entrances["gateway.edge"] + path, "gateway.edge")

    await asyncio.gather(*(one(path) for path in paths))


async def _scrape(session: aiohttp.ClientSession, address: str) -> Series:
    async with session.get(f"http://{address}/stats/prometheus") as response:
        return Series(await response.text())


COUNTED = {
    "envoy_cluster_upstream_rq_xx",
    "envoy_cluster_upstream_rq_time_count",
    "envoy_cluster_grpc_0",
    "envoy_cluster_grpc_14",
    "envoy_http_downstream_rq_xx",
}


async def _counts(session: aiohttp.ClientSession, addresses: Mapping[str, str], shop: Shop) -> Counter[tuple[str, ...]]:
    """What the pods of each workload counted together: by workload, metric, cluster or gateway's listener, and class."""
    counts: Counter[tuple[str, ...]] = Counter()
    for pod in shop.pods:
        for metric, labels, value in (await _scrape(session, addresses[pod.name])).rows():
            place = labels.get("envoy_cluster_name") or labels.get("envoy_http_conn_manager_prefix", "")
            # The listeners of sidecars and of the admin port count as well, but the dialect does not read them.
            if metric in COUNTED and value and ("envoy_cluster_name" in labels or place == "ingress_http"):
                counts[pod.workload.host, metric, place, labels.get("envoy_response_code_class", "")] += int(value)
    return counts


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.mark.usefixtures("envoy")
async def test_real_and_simulated_proxies_count_the_same_of_the_same_visits(session: aiohttp.ClientSession):
    shop = replace(SHOP, visits=())
    paths = [path for path, times in VISITS.items() for _ in range(times)]
    async with run_mesh(shop) as mesh:
        assert not mesh.simulated
        await _visit(session, mesh, paths)
        await asyncio.sleep(1.2)  # for the histograms
        addresses = {target.labels["pod"]: target.address for target in mesh.targets}
        real = await _counts(session, addresses, shop)
    simulation = Simulation(shop)
    for path in paths:
        await simulation.receive(Visit("gateway.edge", path, 1))
    async with contextlib.AsyncExitStack() as stack:
        simulated = await _counts(session, await simulation.serve(stack), shop)
    assert real == simulated
    # What was sent is known without either: 110 carts of which 2 fail, 108 reservations of which 5 fail, 103 charges of which 3 fail.
    received = "envoy_cluster_upstream_rq_xx", "local_app"
    assert real["cart.shop", *received, "2"] == 108
    assert real["cart.shop", *received, "5"] == 2
    assert real["inventory.shop", *received, "2"] == 108
    assert real["inventory.shop", "envoy_cluster_grpc_14", "local_app", ""] == 5
    assert real["payments.shop", *received, "5"] == 3
    assert real["payments.shop", *received, "2"] == 100
    assert real["wishlist.shop", *received, "2"] == 0


@pytest.mark.usefixtures("envoy")
async def test_the_scrape_source_tells_the_known_traffic(session: aiohttp.ClientSession):
    async with run_mesh(KNOWN) as mesh:
        await _visit(session, mesh, ["/buy"] * 24)  # so that every series exists
        document = parse_document(json.dumps(mesh.source("mesh", "100ms")), "demo", problems := Problems())
        settings = read_settings(document, "mesh")
        assert settings is not None, problems.found
        problems.raise_if_any()
        async with ScrapeBackend(settings) as backend:
            await asyncio.sleep(1.3)  # two flushes of the histograms have been seen
            began = time.time()
            await _visit(session, mesh, ["/buy"] * 80)
            await asyncio.sleep(1.5)
            # A second that is over, and a window that begins before the visits.
            instant = int(time.time())
            window = Window(math.ceil(instant - began) + 1)
            kinds = ("Deployment", "StatefulSet")
            totals = await backend.answer(TrafficQuery(kinds, window, instant))
            edges = await backend.answer(TrafficQuery(kinds, window, instant, edges=True, direction=Direction.TO))
    found = {sample.resource: sample for sample in totals.samples}
    assert set(found) == {GATEWAY, FRONT, STOCK, LEDGER}
    _expect(found[GATEWAY], 80, 0)
    _expect(found[FRONT], 160, 0)
    _expect(found[STOCK], 40, 40)
    _expect(found[LEDGER], 60, 20)
    # The bucket of 120 ms, whatever the machine adds to it.
    assert 0.1 < _quantile(found[LEDGER], 0.5) <= 0.25
    assert 0.001 <= _quantile(found[STOCK], 0.5) < 0.1
    sent = {(sample.resource, sample.peer.name, sample.peer.namespace): sample for sample in edges.samples}
    assert set(sent) == {
        (GATEWAY, "front", "shop"),
        (FRONT, "front", "shop"),
        (FRONT, "stock", "shop"),
        (FRONT, "ledger", "data"),
    }
    _expect(sent[FRONT, "stock", "shop"], 40, 40)
    _expect(sent[FRONT, "ledger", "data"], 60, 20)
    _expect(sent[FRONT, "front", "shop"], 80, 0)


def _expect(sample: Sample, success: int, failure: int) -> None:
    """Counts as sent, but for the stretch to the edges of the window; and the share of failures, which no stretch changes."""
    assert sample.success is not None
    assert sample.failure is not None
    assert sample.success + sample.failure == pytest.approx(success + failure, rel=0.12)
    assert sample.failure / (sample.success + sample.failure) == pytest.approx(failure / (success + failure), abs=0.01)


def _quantile(sample: Sample, share: float) -> float:
    assert isinstance(sample.latency, Histogram)
    value = sample.latency.quantile(share)
    assert value is not None
    return value


@pytest.mark.usefixtures("envoy")
async def test_leaving_the_mesh_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shop = replace(KNOWN, visits=(Visit("gateway.edge", "/buy", 50),))
    with pytest.raises(ValueError, match="of the body"):  # noqa: PT012 - what runs inside the block is what is tested
        async with run_mesh(shop) as mesh:
            await asyncio.sleep(0.3)
            assert files(tmp_path)
            raise ValueError("of the body")
    for proxy in mesh.proxies:
        with pytest.raises(ProcessLookupError):
            os.kill(proxy.pid, 0)
    assert not files(tmp_path)
    for address in [target.address for target in mesh.targets] + [url.removeprefix("http://") for url in mesh.entrances.values()]:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://{address}/")


@pytest.mark.usefixtures("envoy")
async def test_a_proxy_that_ends_by_itself_is_told_with_its_pod():
    async with run_mesh(KNOWN) as mesh:
        watching = asyncio.create_task(mesh.watch())
        await asyncio.sleep(0.1)
        assert not watching.done()
        os.kill(mesh.proxies[-1].pid, signal.SIGKILL)
        with pytest.raises(MeshFailure, match="the Envoy of pod ledger-0 ended with exit code -9"):
            await asyncio.wait_for(watching, 5)


@pytest.mark.usefixtures("envoy")
async def test_an_envoy_that_does_not_start_says_why_and_takes_the_others_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    broken = Workload("shop", "broken", operations=(Operation("/", QUICK, (Call("", "/"),)),))
    shop = replace(KNOWN, workloads=(*KNOWN.workloads, broken), externals=(External("", ()),))
    before = children(os.getpid())
    with pytest.raises(MeshFailure, match=r"(?s)the Envoy of pod broken-\S+ did not start with exit code 1.+ at least 1 char"):
        async with run_mesh(shop):
            pytest.fail("the mesh must not run without one of its proxies")
    assert children(os.getpid()) == before
    assert not files(tmp_path)
