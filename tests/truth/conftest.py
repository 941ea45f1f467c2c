"""One fleet, scraped at the same time by a Prometheus, a VictoriaMetrics and the scrape source, for every test of the session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.scrape import ScrapeBackend, ScrapeSettings, Target
from metrics_api import Backend, TrafficQuery, Window
from tests.doubles.mesh import CLOCK, MESHES, MeshDouble
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_truth import Asked, rows
from tests.doubles.stores import prometheus, victoria_metrics

WINDOW = Window(10)
STORES = ("prometheus", "victoria-metrics", "scraping")

_LATE = 0.006
"""The share of a window by which scrapes may be late: what they are late by is missing from the counts, or too much."""

_PATIENCE = 60
"""Seconds to wait for a window in which scraping kept time; a busy machine has none, and then the tests tell."""

_DISCOVERY = 5
"""Seconds after which a Prometheus begins to scrape what its configuration lists."""

_RESTARTING = {pod.name for workload in WORKLOADS for pod in workload.pods if pod.restarts}


@dataclass(frozen=True, slots=True)
class Stores:
    """URLs by kind of store and mesh. Consul has stores of its own: its proxies are Envoys, and would be taken for plain ones."""

    fleet: MeshDouble
    urls: Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Fleet:
    """Sources by store and mesh, and the instant they are asked about: the window that ends there is full in all of them."""

    sources: Mapping[tuple[str, str], Backend]
    urls: Mapping[tuple[str, str], str]
    instant: int


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """The running fleet and its stores."""
    with ExitStack() as stack:
        fleet = stack.enter_context(MeshDouble())
        urls: dict[tuple[str, str], str] = {}
        for meshes in (("linkerd", "istio", "envoy"), ("consul",)):
            targets = [target for target in fleet.targets if target.mesh in meshes]
            for kind, start in (("prometheus", prometheus), ("victoria-metrics", victoria_metrics)):
                directory: Path = tmp_path_factory.mktemp(f"{kind}-{meshes[0]}")
                url = stack.enter_context(start(directory, targets))
                urls |= {(kind, mesh): url for mesh in meshes}
        yield Stores(fleet, urls)


@pytest.fixture(scope="session")
async def fleet(stores: Stores) -> AsyncIterator[Fleet]:
    """Every source, open, once the window is full and scraping kept time in it."""
    async with AsyncExitStack() as stack:
        sources: dict[tuple[str, str], Backend] = {}
        for mesh in MESHES:
            dialect = load_dialect(mesh)
            for kind in ("prometheus", "victoria-metrics"):
                settings = PrometheusSettings(name=f"{kind}-{mesh}", url=stores.urls[kind, mesh], dialect=dialect)
                sources[kind, mesh] = await stack.enter_async_context(PrometheusBackend(settings))
            targets = tuple(
                Target(target.address, target.path, labels=tuple(sorted(target.labels.items())))
                for target in stores.fleet.targets
                if target.mesh == mesh
            )
            scraped = ScrapeSettings(name=f"scraping-{mesh}", dialect=dialect, targets=targets, interval=1.0, timeout=1.0)
            sources["scraping", mesh] = await stack.enter_async_context(ScrapeBackend(scraped))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        # Before the window there is one sample; after it there is the time VictoriaMetrics takes to show the last ones.
        instant = int(time.time()) + _DISCOVERY + WINDOW.seconds + 1
        until = instant + _PATIENCE
        while True:
            await asyncio.sleep(max(0.0, instant + 3 - time.time()))
            late = [await _late(session, url) for url in await _asked(stores, instant)]
            late += [await _off(sources["scraping", mesh], mesh, instant) for mesh in MESHES]
            if max(late) <= _LATE or instant >= until:
                break
            instant = max(instant + 1, int(time.time()) - 3)
        stores.fleet.quieten()
        yield Fleet(sources, stores.urls, instant)


async def _asked(stores: Stores, instant: int) -> list[tuple[str, int, int]]:
    """Each store once, with the instant and the number of its targets that never restart."""
    counts: dict[str, int] = {}
    for (_, mesh), url in stores.urls.items():
        members = [target for target in stores.fleet.targets if target.mesh == mesh]
        counts[url] = counts.get(url, 0) + sum(target.path.rpartition("/")[2] not in _RESTARTING for target in members)
    return [(url, instant, count) for url, count in counts.items()]


async def _late(session: aiohttp.ClientSession, asked: tuple[str, int, int]) -> float:
    """The largest share of the window by which the clock of a target seems wrong in a store; all of it when a target is missing."""
    url, instant, targets = asked
    excluded = "|".join(f".*/{name}" for name in _RESTARTING)
    promql = f'increase({CLOCK}{{instance!~"{excluded}"}}[{WINDOW}]) / {1000 * WINDOW.seconds}'
    async with session.post(f"{url}/api/v1/query", data={"query": promql, "time": str(instant), "nocache": "1"}) as response:
        document = await response.json()
    shares = [float(row["value"][1]) for row in document["data"]["result"]]
    return max(abs(share - 1) for share in shares) if len(shares) == targets else 1.0


async def _off(source: Backend, mesh: str, instant: int) -> float:
    """The largest share by which the source that keeps its samples to itself is off about a pod."""
    answer = await source.answer(TrafficQuery(("Pod",), WINDOW, instant))
    got = {(sample.resource, sample.peer, "from"): sample for sample in answer.samples}
    off = 0.0
    for key, truth in rows(mesh, Asked(("Pod",))).items():
        true = (truth.success + truth.failure) * WINDOW.seconds
        if true and key[0].name not in _RESTARTING:
            sample = got.get(key)
            off = max(off, abs((sample.success or 0.0) + (sample.failure or 0.0) - true) / true if sample is not None else 1.0)
    return off
