"""What a server needs in clusters of several sizes: time until it is ready, memory, and processor time of a request.

The cluster is made up (``cluster.py``). kube-apiserver's share of the time is not in it, nor is that of the network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from statistics import median

import aiohttp
from cluster import REFRESH, cluster_server, made_up_cluster
from figures import Table, megabytes, milliseconds, seconds
from processes import UNVERIFIED, Process
from server import API

__all__ = ["grow_up"]

_SIZES = ((2, 10, 5), (10, 20, 5), (10, 100, 5), (20, 200, 5))
_HEADERS = {"Authorization": "Bearer bench", "Accept-Encoding": "gzip"}
_TIMES = 5
_LISTED = 5000
"""Pods of which all are listed at once; nobody lists more than that without pages."""


_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_REQUESTS = (
    ("one workload", "/namespaces/team-03/deployments/service-007", {}),
    ("20 workloads, Table", "/namespaces/team-03/deployments", {"Accept": _TABLE}),
    ("20 workloads, JSON", "/namespaces/team-03/deployments", {}),
    ("200 workloads, Table", "/deployments", {"Accept": _TABLE}),
    ("200 workloads, JSON", "/deployments", {}),
    ("200 workloads, JSON, not compressed", "/deployments", {"Accept-Encoding": "identity"}),
)


def grow_up(*, quick: bool) -> None:
    """Print what it needs."""
    asyncio.run(_grow_up(_SIZES[:3] if quick else _SIZES, 1 if quick else 3))
    asyncio.run(_serve_requests(300 if quick else 1000))


async def _grow_up(sizes: tuple[tuple[int, int, int], ...], rounds: int) -> None:
    table = Table(
        "What the server needs in clusters of several sizes",
        ("pods", "workloads", "ready after", "processor time", "at rest", "workloads listed", "pods listed", "peak"),
        f"Medians of {rounds} starts. listed: resident after {_TIMES} lists of all of them, each of a refresh of its own.",
    )
    for namespaces, deployments, pods in sizes:
        number, found = namespaces * deployments * pods, list[tuple[float, ...]]()
        with made_up_cluster(namespaces, deployments, pods) as cluster:
            for _ in range(rounds):
                began = time.monotonic()
                with cluster_server(cluster.url, cluster.url) as server:
                    took, spent = time.monotonic() - began, server.cpu_seconds()
                    # What the start has left behind is collected.
                    await asyncio.sleep(2)
                    resting = server.memory()
                    listed = await _asked(server, "deployments")
                    all_listed = await _asked(server, "pods") if number <= _LISTED else 0
                    found.append((took, spent, resting, listed, all_listed, server.peak_memory()))
        columns = list(zip(*found, strict=True))
        held = [megabytes(median(each)) if any(each) else "-" for each in columns[2:]]
        table.add(f"{number:,}", f"{namespaces * deployments:,}", *map(seconds, columns[:2]), *held)
    table.print()


async def _asked(server: Process, kind: str) -> int:
    """Resident bytes after some lists of a kind."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=UNVERIFIED), headers=_HEADERS) as session:
        for _ in range(_TIMES):
            async with session.get(f"{server.url}{API}/{kind}") as response:
                assert response.status == 200, await response.text()
                await response.read()
            await asyncio.sleep(REFRESH)
    return server.memory()


async def _serve_requests(times: int) -> None:
    """Print what requests cost whose answers are known, and those that a source has to be asked for."""
    table = Table(
        f"Processor time of a request, of a cluster with 200 workloads: {times:,} of each on one connection",
        ("answer", "known already", "in a second", "new"),
        "in a second: so many would take all of one processor. new: with a window nobody has asked for, so that the source is asked.",
    )
    with made_up_cluster(10, 20, 5) as cluster, cluster_server(cluster.url, cluster.url) as server:
        connector = aiohttp.TCPConnector(ssl=UNVERIFIED)
        async with aiohttp.ClientSession(server.url, connector=connector, headers=_HEADERS, auto_decompress=False) as session:
            for name, path, headers in _REQUESTS:
                known = await _spent(session, server, [f"{API}{path}"] * times, headers)
                new = await _spent(
                    session, server, [f"{API}{path}?window={60 + number}s" for number in range(times // 20)], headers
                )
                table.add(name, milliseconds(known), f"{1 / known:,.0f}", milliseconds(new))
    table.print()


async def _spent(session: aiohttp.ClientSession, server: Process, paths: Sequence[str], headers: Mapping[str, str]) -> float:
    """Seconds of processor time of one request of those given."""
    before = server.cpu_seconds()
    for path in paths:
        async with session.get(path, headers=headers) as response:
            assert response.status == 200, await response.text()
            await response.read()
    return (server.cpu_seconds() - before) / len(paths)
