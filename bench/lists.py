"""Lists of a cluster with 1 000 workloads of 5 pods each, as its users get them: over TLS, with a token, permissions and objects looked up.

A latency is that of a whole request on a connection kept open, the client's share included. An answer is *cached* when the sources were
asked for it before, within the same refresh: it is put together for one and given to all.
"""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median, quantiles

import aiohttp
from cluster import REFRESH, Cluster, cluster_server, made_up_cluster
from figures import Table, megabytes, milliseconds
from processes import UNVERIFIED, Process
from server import API

__all__ = ["list_many"]

_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
_HEADERS = {"Authorization": "Bearer bench"}
_FORMS = (
    ("1 000 workloads, JSON", f"{API}/deployments", {"Accept": "application/json", "Accept-Encoding": "identity"}),
    ("1 000 workloads, JSON, gzip", f"{API}/deployments", {"Accept": "application/json", "Accept-Encoding": "gzip"}),
    ("1 000 workloads, Table, gzip", f"{API}/deployments", {"Accept": _TABLE, "Accept-Encoding": "gzip"}),
    ("one workload of them", f"{API}/namespaces/team-03/deployments/service-042", {"Accept": "application/json"}),
    ("discovery", API, {}),
    ("OpenAPI v2", "/openapi/v2", {}),
    ("OpenAPI v3", f"/openapi/v3{API}", {}),
)


_SHORTLY = 0.3
_AGAIN = 10


def list_many(*, quick: bool) -> None:
    """Print latencies and memory."""
    asyncio.run(_list_many(100 if quick else 400))


async def _list_many(times: int) -> None:
    with made_up_cluster(10, 100, 5) as cluster, cluster_server(cluster.url, cluster.url) as server:
        connector = aiohttp.TCPConnector(ssl=UNVERIFIED)
        async with aiohttp.ClientSession(server.url, connector=connector, headers=_HEADERS, auto_decompress=False) as session:
            fresh = server.memory()
            await _latencies(session, cluster, times)
            await _memory(session, server, fresh)


async def _latencies(session: aiohttp.ClientSession, cluster: Cluster, times: int) -> None:
    table = Table(
        "Latency of what is known already, of a cluster with 1 000 deployments and 5 000 pods",
        ("answer", "requests", "sent", "median", "p99", "worst", "queries at the source", "refreshes"),
    )
    for name, path, headers in _FORMS:
        before, latencies, size, refreshes, known = await cluster.queries(), list[float](), 0, 0, 0
        for _ in range(times):
            if known != (known := await _refresh()):
                # The first of a refresh asks the source: that one is not measured here.
                await _get(session, path, headers)
                refreshes += 1
            start = time.perf_counter()
            size = len(await _get(session, path, headers))
            latencies.append(time.perf_counter() - start)
        figures = (median(latencies), quantiles(latencies, n=100, method="inclusive")[98], max(latencies))
        queries = await cluster.queries() - before
        table.add(name, times, f"{size / 1000:,.1f} kB", *map(milliseconds, figures), queries, refreshes)
    table.print()


async def _refresh() -> int:
    """The number of the refresh it is; never shortly before the next one, so that no request begins in one and ends in the other."""
    if (left := REFRESH - time.time() % REFRESH) < _SHORTLY:
        await asyncio.sleep(left + 0.01)
    return int(time.time() // REFRESH)


async def _memory(session: aiohttp.ClientSession, server: Process, fresh: int) -> None:
    table = Table("Memory of the server in that cluster", ("after", "rows", "resident", "peak so far"))
    table.add("its start", "", megabytes(fresh), "")
    table.add("the lists above", "", megabytes(server.memory()), megabytes(server.peak_memory()))
    for name, lists in (("a list of all pods", 1), (f"{_AGAIN} more, a refresh apart", _AGAIN)):
        rows = 0
        for _ in range(lists):
            rows = len(json.loads(await _get(session, f"{API}/pods", {"Accept-Encoding": "identity"}))["items"])
            await asyncio.sleep(REFRESH)
        table.add(name, f"{rows:,}", megabytes(server.memory()), megabytes(server.peak_memory()))
    table.print()


async def _get(session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> bytes:
    async with session.get(path, headers=headers) as response:
        body = await response.read()
        assert response.status == 200, (path, response.status, body[:500])
        return body
