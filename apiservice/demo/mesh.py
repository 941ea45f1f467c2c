"""The mesh of the demonstration: everything that runs, started together and gone together.

An application calls its own Envoy, that calls the Envoy of the peer's pod, and that calls the peer's application: as in a cluster with
sidecars, only that pods are told apart by their loopback ports.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from apiservice.demo.applications import Application, ask
from apiservice.demo.bootstrap import HOST, Cluster, bootstrap
from apiservice.demo.conduct import Conduct
from apiservice.demo.ports import PortReservation
from apiservice.demo.proxy import NoEnvoy, Proxy, find_envoy, stop_all
from apiservice.demo.shop import LOCAL_APP, SHOP, Pod, Shop, Visit
from apiservice.demo.simulation import Simulation
from apiservice.demo.visitors import receive_visitors
from metrics_api import together

__all__ = ["Mesh", "Target", "run_mesh"]

_REQUEST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the proxy of one pod tells its metrics, and the labels that say whose they are."""

    address: str
    labels: Mapping[str, str]
    path: str = "/stats/prometheus"

    def wire(self) -> dict[str, Any]:
        """The target as the configuration of a scrape source writes it."""
        return {"address": self.address, "path": self.path, "labels": dict(self.labels)}


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running mesh.

    ``targets`` has one entry for each pod. ``simulated`` tells why the proxies are simulated; it is empty when they are real. ``entrances``
    are the URLs of real gateways by their hosts, and ``proxies`` the real proxies.
    """

    shop: Shop
    targets: tuple[Target, ...]
    simulated: str = ""
    entrances: Mapping[str, str] = field(default_factory=dict)
    proxies: tuple[Proxy, ...] = ()

    def source(self, name: str, interval: str) -> dict[str, Any]:
        """The entry of ``backends`` in a configuration that makes this mesh a source, scraped every ``interval`` (``2s``)."""
        targets = [target.wire() for target in self.targets]
        return {"name": name, "type": "scrape", "dialect": "envoy", "interval": interval, "targets": targets}

    async def watch(self) -> None:
        """Return never; :class:`apiservice.demo.proxy.MeshFailure` when a proxy ends by itself."""
        await together(*(proxy.watch() for proxy in self.proxies))
        await asyncio.Event().wait()

    def describe(self) -> list[str]:
        """What runs, in lines for people."""
        shop, pods = self.shop, len(self.targets)
        spaces = len({workload.namespace for workload in shop.workloads})
        lines = [f"A shop of {len(shop.workloads)} workloads in {spaces} namespaces, with {pods} pods."]
        if self.simulated:
            lines += [
                f"THE PROXIES ARE SIMULATED: {self.simulated}.",
                "No request is sent. The figures of the shop are worked out, and exposed in the format of Envoy.",
            ]
        else:
            lines.append(
                "Each pod is behind an Envoy process of its own, and every request between them passes through two of these."
            )
            lines += [f"Visitors, who are outside the mesh, come in at {url}" for url in self.entrances.values()]
        width = max(len(workload.host) for workload in shop.workloads)
        for workload in shop.workloads:
            what = f"{workload.kind}, {workload.replicas} {'pod' if workload.replicas == 1 else 'pods'}"
            lines.append(f"  {workload.host:{width}}  {what:20}  {workload.note}".rstrip())
        return lines


@asynccontextmanager
async def run_mesh(shop: Shop = SHOP, *, simulate: bool = False) -> AsyncIterator[Mesh]:
    """Everything running, until the block is left in whatever way.

    Proxies are simulated when ``simulate`` asks for it or there is no Envoy for this machine. :class:`apiservice.demo.proxy.MeshFailure`
    when an Envoy does not start.
    """
    async with AsyncExitStack() as stack:
        envoy, reason = (None, "as asked for") if simulate else await _find_envoy()
        yield await (_start(shop, stack, envoy) if envoy else _simulate(shop, stack, reason))


async def _find_envoy() -> tuple[Path | None, str]:
    """Envoy, or why there is none."""
    try:
        return await find_envoy(), ""
    except NoEnvoy as missing:
        return None, missing.message


async def _simulate(shop: Shop, stack: AsyncExitStack, reason: str) -> Mesh:
    simulation = Simulation(shop)
    addresses = await simulation.serve(stack)
    await stack.enter_async_context(_kept_going(receive_visitors(shop.visits, simulation.receive)))
    return Mesh(shop, _targets(shop, addresses), simulated=reason)


async def _start(shop: Shop, stack: AsyncExitStack, envoy: Path) -> Mesh:
    session = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS), auto_decompress=False
        )
    )
    folder = tempfile.TemporaryDirectory(prefix="trafficmetrics-demo-", ignore_cleanup_errors=True)
    stack.push_async_callback(asyncio.to_thread, folder.cleanup)
    with PortReservation(HOST) as ports:
        places = [_Place(pod, Proxy(pod.name, Path(folder.name)), ports.take(), ports.take()) for pod in shop.pods]
        clusters = await _serve_applications(shop, places, session, stack)
        stack.push_async_callback(stop_all, [place.proxy for place in places])
        ports.hand_over()
        await together(*(_start_proxy(place, clusters, session, envoy) for place in places))
    entrances = {place.pod.workload.host: f"http://{HOST}:{place.inbound}" for place in places if place.pod.workload.routes}

    async def receive(visit: Visit) -> None:
        await ask(session, f"{entrances[visit.gateway]}{visit.path}", visit.gateway)

    await stack.enter_async_context(_kept_going(receive_visitors(shop.visits, receive)))
    addresses = {place.pod.name: place.proxy.admin for place in places}
    return Mesh(shop, _targets(shop, addresses), entrances=entrances, proxies=tuple(place.proxy for place in places))


@dataclass(slots=True)
class _Place:
    """One pod, its proxy and the ports it has: for its callers, for the calls of its application, and of the application (0 for none)."""

    pod: Pod
    proxy: Proxy
    inbound: int
    outbound: int
    application: int = 0


async def _serve_applications(
    shop: Shop, places: Iterable[_Place], session: aiohttp.ClientSession, stack: AsyncExitStack
) -> Mapping[str, Cluster]:
    """Start every application; the cluster by which callers reach each host."""
    grpc = {workload.host for workload in shop.workloads if workload.grpc}
    conduct = {host: Conduct(operations) for host, operations in shop.operations.items()}
    ports: dict[str, list[int]] = {host: [] for host in conduct}
    for place in places:
        host = place.pod.workload.host
        ports[host].append(place.inbound)
        if place.pod.workload.operations:
            application = Application(conduct[host], session, place.outbound, grpc=host in grpc, grpc_peers=grpc)
            place.application = await application.serve(stack)
    for external in shop.externals:
        ports[external.host].append(await Application(conduct[external.host], session, 0, grpc=False).serve(stack))
    return {host: Cluster(host, tuple(found), http2=host in grpc) for host, found in ports.items()}


async def _start_proxy(place: _Place, clusters: Mapping[str, Cluster], session: aiohttp.ClientSession, envoy: Path) -> None:
    workload = place.pod.workload
    mine = [clusters[peer] for peer in workload.peers]
    if place.application:
        mine.append(Cluster(LOCAL_APP, (place.application,)))
    calls = place.outbound if workload.operations and workload.peers else 0
    await place.proxy.start(envoy, bootstrap(clusters=mine, inbound=place.inbound, outbound=calls, routes=workload.routes))
    await place.proxy.ready(session)


@asynccontextmanager
async def _kept_going(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """``work`` goes on in the background until the block is left. What it raises is raised there."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _targets(shop: Shop, addresses: Mapping[str, str]) -> tuple[Target, ...]:
    return tuple(Target(addresses[pod.name], pod.labels()) for pod in shop.pods)
