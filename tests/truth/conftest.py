"""One fleet for every test of the session: backfilled into stores, and scraped by stores and by the scrape source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from itertools import product

import aiohttp
import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.scrape import ScrapeBackend, ScrapeSettings, Target
from metrics_api import Backend, TrafficQuery, Window
from tests.doubles.backfill import INSTANT, apart, backfilled_prometheus, backfilled_victoria_metrics, series
from tests.doubles.mesh import CLOCK, MeshDouble
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_truth import Asked, refused, rows
from tests.doubles.meshes import Mesh
from tests.doubles.meshes.all import MESHES
from tests.doubles.stores import prometheus, victoria_metrics

WINDOW = Window(8)
"""What live stores are asked about."""

MINUTE = Window(60)
"""What backfilled stores are asked about."""

LIVE = ("linkerd", "istio", "envoy")
"""The meshes that every store scrapes, into one for all. The scrape source scrapes the others as well."""

OTHERWISE = ["linkerd", "istio", "envoy", "nginx", "otel-servicegraph"]
"""The meshes that a backfilled VictoriaMetrics keeps as well: between them they use every kind of query there is."""

_LATE = 0.006
"""The share of a window by which scrapes may be late: what they are late by is missing from the counts, or too much."""

_PATIENCE = 60
"""Seconds to wait for a window in which scraping kept time; a busy machine has none, and then the tests tell."""

_DISCOVERY = 5
"""Seconds after which a Prometheus begins to scrape what its configuration lists."""

_RESTARTING = {pod.name for workload in WORKLOADS for pod in workload.pods if pod.restarts}


@dataclass(frozen=True, slots=True)
class Past:
    """Sources over backfilled stores, by store and mesh, with the URLs of these and the instant at which their samples end."""

    sources: Mapping[tuple[str, str], Backend]
    urls: Mapping[tuple[str, str], str]
    instant: int = INSTANT


@dataclass(frozen=True, slots=True)
class Stores:
    """The running fleet, the URLs of what scrapes it, by kind of store, and when these were started (Unix seconds)."""

    fleet: MeshDouble
    urls: Mapping[str, str]
    began: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """Sources by store and mesh, and the instant they are asked about: the window that ends there is full in all of them."""

    sources: Mapping[tuple[str, str], Backend]
    instant: int


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """The running fleet and its stores."""
    with ExitStack() as stack:
        fleet = stack.enter_context(MeshDouble())
        targets = [target for target in fleet.targets if target.mesh in LIVE]
        started = {"prometheus": prometheus, "victoria-metrics": victoria_metrics}
        urls = {kind: stack.enter_context(start(tmp_path_factory.mktemp(kind), targets)) for kind, start in started.items()}
        yield Stores(fleet, urls, time.time())


@pytest.fixture(scope="session")
async def past(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:  # noqa: ARG001 see below
    """Every mesh in a Prometheus, and some in a VictoriaMetrics; meshes that share names of metrics are in different ones.

    The live stores are started first: while questions are asked about the past, they find what to scrape.
    """
    kept = {name: series(mesh) for name, mesh in MESHES.items()}
    groups = [("prometheus", meshes) for meshes in apart(kept)] + [("victoria-metrics", OTHERWISE)]
    start = {"prometheus": backfilled_prometheus, "victoria-metrics": backfilled_victoria_metrics}
    with ExitStack() as stack, ThreadPoolExecutor(len(groups)) as pool:
        kept_by = [
            start[kind](
                tmp_path_factory.mktemp(f"past-{kind}"), {text: moves for mesh in meshes for text, moves in kept[mesh].items()}
            )
            for kind, meshes in groups
        ]
        started = pool.map(stack.enter_context, kept_by)
        urls = {(kind, mesh): url for (kind, meshes), url in zip(groups, started, strict=True) for mesh in meshes}
        async with AsyncExitStack() as opened:
            sources: dict[tuple[str, str], Backend] = {}
            for (kind, mesh), url in urls.items():
                settings = PrometheusSettings(name=f"{kind}-{mesh}", url=url, dialect=load_dialect(mesh))
                sources[kind, mesh] = await opened.enter_async_context(PrometheusBackend(settings))
            yield Past(sources, urls)


@pytest.fixture(scope="session")
async def fleet(stores: Stores) -> AsyncIterator[Fleet]:
    """Every source, open, once the window is full and scraping kept time in it."""
    async with AsyncExitStack() as stack:
        sources: dict[tuple[str, str], Backend] = {}
        for kind, mesh in product(stores.urls, LIVE):
            settings = PrometheusSettings(name=f"{kind}-{mesh}", url=stores.urls[kind], dialect=load_dialect(mesh))
            sources[kind, mesh] = await stack.enter_async_context(PrometheusBackend(settings))
        scraped = [mesh for mesh in MESHES.values() if mesh.scraped]
        for mesh in scraped:
            sources["scraping", mesh.name] = await stack.enter_async_context(ScrapeBackend(_scraping(stores.fleet, mesh.name)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        # Before the window there is one sample; after it there is the time VictoriaMetrics takes to show the last ones.
        instant = int(max(time.time(), stores.began + _DISCOVERY)) + WINDOW.seconds + 1
        until = instant + _PATIENCE
        while True:
            await asyncio.sleep(max(0.0, instant + 3 - time.time()))
            late = [await _late(session, url, stores.fleet, instant) for url in stores.urls.values()]
            late += [await _off(sources["scraping", mesh.name], mesh, instant) for mesh in scraped]
            if max(late) <= _LATE or instant >= until:
                break
            instant = max(instant + 1, int(time.time()) - 3)
        stores.fleet.quieten()
        yield Fleet(sources, instant)


def _scraping(fleet: MeshDouble, mesh: str) -> ScrapeSettings:
    """What the scrape source is told of one mesh; those that no store scrapes it scrapes half as often."""
    targets = tuple(
        Target(target.address, target.path, labels=tuple(sorted(target.labels.items())))
        for target in fleet.targets
        if target.mesh == mesh
    )
    return ScrapeSettings(
        name=f"scraping-{mesh}", dialect=load_dialect(mesh), targets=targets, interval=1.0 if mesh in LIVE else 2.0, timeout=1.0
    )


async def _late(session: aiohttp.ClientSession, url: str, fleet: MeshDouble, instant: int) -> float:
    """The largest share of the window by which the clock of a target seems wrong in a store; all of it when a target is missing."""
    targets = [target for target in fleet.targets if target.mesh in LIVE and target.path.rpartition("/")[2] not in _RESTARTING]
    excluded = "|".join(f".*/{name}" for name in _RESTARTING)
    promql = f'increase({CLOCK}{{instance!~"{excluded}"}}[{WINDOW}]) / {1000 * WINDOW.seconds}'
    async with session.post(f"{url}/api/v1/query", data={"query": promql, "time": str(instant), "nocache": "1"}) as response:
        document = await response.json()
    shares = [float(row["value"][1]) for row in document["data"]["result"]]
    return max(abs(share - 1) for share in shares) if len(shares) == len(targets) else 1.0


async def _off(source: Backend, mesh: Mesh, instant: int) -> float:
    """The largest share by which the source that keeps its samples to itself is off about something whose pods do not restart."""
    asked = next(asked for kind in ("Pod", "Service", "Deployment") if not refused(mesh, asked := Asked((kind,))))
    answer = await source.answer(TrafficQuery(asked.kinds, WINDOW, instant))
    got = {(sample.resource, sample.peer, "from"): sample for sample in answer.samples}
    off = 0.0
    for key, truth in rows(mesh, asked).items():
        true = (truth.success + truth.failure) * WINDOW.seconds
        if true and not truth.restarting:
            sample = got.get(key)
            off = max(off, abs((sample.success or 0.0) + (sample.failure or 0.0) - true) / true if sample is not None else 1.0)
    return off
