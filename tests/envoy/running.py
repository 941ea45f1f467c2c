"""Proxies as a setup wants them, known traffic through all of them, and a scrape source over each mesh that has seen it.

Every series is there before the traffic begins, or its first requests would not be an increase. What is counted can then be more than what
was sent only by the stretch from the scrapes at both ends of the window to its edges: three percent at most while scraping keeps time,
which is less than one request of what is sent. When scraping did not keep time, the traffic is sent once more.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from apiservice.demo.bootstrap import HOST, Cluster, bootstrap
from apiservice.demo.ports import PortReservation
from apiservice.demo.proxy import Proxy
from apiservice.demo.shop import LOCAL_APP, Route
from backends.dialects import load_dialect
from backends.scrape import ScrapeBackend, ScrapeSettings, Target
from backends.scrape.increase import Stretch
from metrics_api import Answer, Direction, TrafficQuery, Window
from tests.demo.lab import Laboratory, serve_grpc, serve_http
from tests.envoy.setups import GATEWAY, Setup, extension
from tests.envoy.traffic import CALLS, KNOCKS, PACKAGE, RESPONSES, SLOW_SECONDS, UNREACHED

__all__ = ["Run", "run_all"]

_WINDOW = 10
_INTERVAL = 0.15
_FLUSH_SECONDS = 0.1
_AT_ONCE = 12
_SLOWDOWNS = (1, 1, 2, 4, 8)
_STRETCH = 1.03


@dataclass(frozen=True, slots=True)
class Run:
    """A setup after the traffic, which was over at ``sent``: its proxies by the workload, and the source to ask."""

    setup: Setup
    proxies: Mapping[str, Laboratory]
    source: ScrapeBackend
    window: Window
    instant: int
    sent: float

    async def answer(self, kind: str, direction: str) -> Answer:
        """What the source says of a kind; ``direction`` is ``to``, ``from``, or empty for totals."""
        edges = {"edges": True, "direction": Direction(direction)} if direction else {}
        return await self.source.answer(TrafficQuery((kind,), self.window, self.instant, **edges))


async def run_all(
    stack: AsyncExitStack, session: aiohttp.ClientSession, envoy: Path, folder: Path, setups: Mapping[str, Setup]
) -> dict[str, Run]:
    """Every setup, started and sent its traffic; ``stack`` ends it."""
    meshes: dict[str, dict[str, Laboratory]] = {}
    with PortReservation(HOST) as ports:
        taken = {name: {proxy: (ports.take(), ports.take()) for proxy in setup.proxies} for name, setup in setups.items()}
        ports.hand_over()
        for at, (name, setup) in enumerate(setups.items()):
            meshes[name] = await _start(stack, session, envoy, folder / f"mesh-{at}", setup, taken[name])
        await asyncio.gather(*(lab.proxy.ready(session) for mesh in meshes.values() for lab in mesh.values()))
    # A machine that is busy with all of them at once would be seen in the latencies.
    places = asyncio.Semaphore(_AT_ONCE)
    await asyncio.gather(*(_send(mesh, setups[name].behind, places, once=True) for name, mesh in meshes.items()))
    await asyncio.sleep(3 * _FLUSH_SECONDS)
    for slowdown in _SLOWDOWNS:
        async with AsyncExitStack() as attempt:
            runs = await _attempt(attempt, setups, meshes, places, slowdown)
            late = [name for name, run in runs.items() if not _kept_time(run)]
            if not late:
                stack.push_async_exit(attempt.pop_all())
                return runs
    pytest.fail(f"this machine is too busy: not even every {_INTERVAL * _SLOWDOWNS[-1]:g}s was every proxy scraped in time: {late}")


async def _attempt(
    stack: AsyncExitStack,
    setups: Mapping[str, Setup],
    meshes: Mapping[str, Mapping[str, Laboratory]],
    places: asyncio.Semaphore,
    slowdown: int,
) -> dict[str, Run]:
    """All traffic once, with scraping that has begun before it and goes on until ``stack`` ends it; ``slowdown`` makes it all longer."""
    interval, window = _INTERVAL * slowdown, Window(_WINDOW * slowdown)
    sources = {name: await stack.enter_async_context(_source(setups[name], mesh, interval)) for name, mesh in meshes.items()}
    await asyncio.sleep(1 + 4 * interval)
    began = time.time()
    await asyncio.gather(*(_send(mesh, setups[name].behind, places) for name, mesh in meshes.items()))
    sent = time.time()
    # The first scrape in the window is of before the traffic, and the window is over when the last histogram has been scraped: it ends at
    # a whole second.
    instant = math.floor(began - 2 * interval + window.seconds)
    await asyncio.sleep(instant - time.time() + interval)
    return {name: Run(setups[name], mesh, sources[name], window, instant, sent) for name, mesh in meshes.items()}


def _kept_time(run: Run) -> bool:
    """Whether all was sent in time and every proxy scraped near both edges of the window; on a machine that is too busy it is not."""
    if run.sent + 3 * _FLUSH_SECONDS > run.instant:
        return False
    begin = run.instant - run.window.seconds
    for history in run.source._loop.histories:
        shots = history.cut(begin, run.instant).snapshots
        if len(shots) < 2 or Stretch.of(shots[0].time, shots[-1].time, len(shots), begin, run.instant).whole > _STRETCH:
            return False
    return not any(watch.failure for watch in run.source._loop.watches.values())


async def _start(
    stack: AsyncExitStack,
    session: aiohttp.ClientSession,
    envoy: Path,
    folder: Path,
    setup: Setup,
    ports: Mapping[str, tuple[int, int]],
) -> dict[str, Laboratory]:
    """The proxies of one setup, on the inward and outward ports reserved for them; they are not ready yet."""
    await asyncio.to_thread(folder.mkdir)
    web = serve_grpc(stack, _status) if setup.sidecars else serve_http(stack)
    applications = {"api": await serve_http(stack), "web": await web}
    labs: dict[str, Laboratory] = {}
    for name, (inbound, outbound) in ports.items():
        where = {peer: ports[peer][0] if peer in ports else port for peer, port in applications.items() if peer != name}
        # Between proxies gRPC needs HTTP/2.
        clusters = [Cluster(peer, (port,), http2=peer in ports) for peer, port in where.items()]
        clusters.append(Cluster("dead", (1,), http2=name == "api"))
        if name == GATEWAY:
            routes = [Route(f"/{peer}", peer) for peer in setup.behind]
            config = bootstrap(clusters=clusters, inbound=inbound, routes=routes, flush=_FLUSH_SECONDS)
        else:
            own = Cluster(LOCAL_APP, (applications[name],))
            config = bootstrap(clusters=[own, *clusters], inbound=inbound, outbound=outbound, flush=_FLUSH_SECONDS)
        _dress(config, setup, name)
        proxy = Proxy(name, folder)
        stack.push_async_callback(proxy.stop)
        await proxy.start(envoy, config)
        labs[name] = Laboratory(proxy, session, inbound, outbound)
    return labs


async def _status(path: str) -> int:
    """The method's name tells the status: ``/shop.Stock/Take13``."""
    return int(path.rpartition("Take")[2])


def _dress(config: dict[str, Any], setup: Setup, workload: str) -> None:
    """Give clusters, listeners and stats the names they have in a mesh."""
    for cluster in config["static_resources"]["clusters"]:
        cluster["name"] = cluster["load_assignment"]["cluster_name"] = _cluster(setup, workload, cluster["name"])
    for listener in config["static_resources"]["listeners"]:
        manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
        kind = "gateway" if listener["name"] == "ingress" else listener["name"]
        manager["stat_prefix"] = setup.prefixes[kind]("api" if workload == "web" else "web")
        for host in manager["route_config"]["virtual_hosts"]:
            for route in host["routes"]:
                route["route"]["cluster"] = _cluster(setup, workload, route["route"]["cluster"])
        if listener["name"] == "outbound" and workload in setup.extended:
            manager["access_log"] = extension(workload)
        stats, router = manager["http_filters"]
        if setup.grpc_stats is None:
            manager["http_filters"] = [router]
        else:
            stats["typed_config"] |= setup.grpc_stats
    config["stats_config"] = {"use_all_default_tags": setup.default_tags, "stats_tags": setup.tags(workload)}


def _cluster(setup: Setup, workload: str, name: str) -> str:
    return setup.inbound(workload) if name == LOCAL_APP else setup.outbound(name)


async def _send(mesh: Mapping[str, Laboratory], behind: Sequence[str], places: asyncio.Semaphore, *, once: bool = False) -> None:
    """All traffic of a mesh; ``once`` is one request of each sort."""

    def times(counts: Mapping[int, int]) -> Iterator[int]:
        return (what for what, count in counts.items() for _ in range(1 if once else count))

    sent: list[Awaitable[object]] = []
    if "web" in mesh:
        web, api = mesh["web"], mesh["api"]
        sent += [_expect(web.ask("api", _path(status)), status) for status in times(RESPONSES)]
        sent += [_expect(web.ask("dead"), 503) for _ in times({503: UNREACHED["web"]})]
        sent += [api.call("web", f"{PACKAGE}{status}") for status in times(CALLS)]
        sent += [api.call("dead", f"{PACKAGE}0") for _ in times({14: UNREACHED["api"]})]
    if GATEWAY in mesh:
        gateway = mesh[GATEWAY]
        for callee in behind:
            sent += [_expect(gateway.knock(f"/{callee}{_path(status)}"), status) for status in times(KNOCKS[callee])]
    await asyncio.gather(*(_in_turn(places, each) for each in sent))


async def _in_turn(places: asyncio.Semaphore, request: Awaitable[object]) -> None:
    async with places:
        await request


def _path(status: int) -> str:
    return f"/?status={status}" + (f"&seconds={SLOW_SECONDS}" if status == 200 else "")


async def _expect(answer: Awaitable[int], status: int) -> None:
    got = await answer
    assert got == status, f"answered {got} (0: not at all), not {status}"


def _source(setup: Setup, mesh: Mapping[str, Laboratory], interval: float) -> ScrapeBackend:
    targets = tuple(
        Target(lab.proxy.admin, "/stats/prometheus?usedonly", labels=tuple(sorted(setup.labels(name).items())))
        for name, lab in mesh.items()
    )
    settings = ScrapeSettings(setup.name, load_dialect(setup.dialect), targets, interval=interval, timeout=interval)
    return ScrapeBackend(settings)
