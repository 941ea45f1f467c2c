"""Our uncached answers against the queries they need, sent straight to Prometheus.

Everything goes over HTTP on loopback, without compression, and is read to the last byte. In each round the same window is asked of both, a
new one every round, so that nothing can come out of a cache: ours, then each raw query alone, then all of them at once, and the next round
the other way round.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from statistics import median

import aiohttp
from figures import Table, megabytes, ratio, seconds
from processes import Process
from server import API, DIALECT, trafficmetrics
from stores import Store
from yarl import URL

from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from backends.dialects import load_dialect, plan
from backends.prometheus.promql import query_of
from metrics_api import Window

__all__ = ["CLUSTER_EDGES", "compare", "get"]

_SHORTEST = 61
_REFRESH = 5
_PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}

CLUSTER_EDGES = f"{API}/trafficmetrics?fieldSelector=edge.direction%3Dto"

_QUESTIONS = (
    ("deployments of all namespaces", f"{API}/deployments"),
    ("edges of one deployment", f"{API}/namespaces/team-01/deployments/service-001/edges"),
    ("all edges of a namespace", f"{API}/namespaces/team-01/trafficmetrics?fieldSelector=edge.resource.name%21%3D"),
    ("all edges of the cluster", CLUSTER_EDGES),
    ("the same, from both ends", f"{API}/trafficmetrics?fieldSelector=edge.resource.name%21%3D"),
)


@dataclass(slots=True)
class _Seen:
    """What was measured of one question, a value per round."""

    ours: list[float] = field(default_factory=list)
    slowest: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    own_cpu: list[float] = field(default_factory=list)
    source_cpu: list[float] = field(default_factory=list)
    raw_cpu: list[float] = field(default_factory=list)
    rows: int = 0
    queries: int = 0
    received: int = 0
    samples: int = 0


def compare(store: Store, *, quick: bool) -> None:
    """Print the comparison."""
    asyncio.run(_compare(store, 3 if quick else 9))


async def _compare(store: Store, rounds: int) -> None:
    seen = {name: _Seen() for name, _ in _QUESTIONS}
    with trafficmetrics(store.process.url) as server:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120)
        ) as session:
            for name, path in _QUESTIONS:
                await _Round(session, store, server, path, _SHORTEST - 1).facts(seen[name])
            for number in range(rounds):
                for name, path in _QUESTIONS:
                    await _Round(session, store, server, path, _SHORTEST + number).measure(seen[name], backwards=bool(number % 2))
        memory = server.peak_memory()
    _print(store, seen, rounds, memory)


def _print(store: Store, seen: dict[str, _Seen], rounds: int, memory: int) -> None:
    times = Table(
        f"Uncached answers against their raw queries: {store.series:,} series, medians of {rounds} rounds",
        ("question", "rows", "queries", "ours", "slowest raw", "all raw", "ours/slowest", "ours/all", "at best"),
        "ours/slowest, ours/all: median of the ratios of each round. at best: the fastest of ours by the fastest of the slowest raw.",
    )
    costs = Table(
        "What one answer costs, in processor time",
        ("question", "samples read", "source sends", "source, for us", "source, raw", "our server"),
        f"Peak memory of our server: {megabytes(memory)}.",
    )
    for name, one in seen.items():
        times.add(
            name,
            one.rows,
            one.queries,
            seconds(one.ours),
            seconds(one.slowest),
            seconds(one.together),
            ratio(one.ours, one.slowest),
            ratio(one.ours, one.together),
            f"{min(one.ours) / min(one.slowest):.2f}",
        )
        costs.add(
            name,
            f"{one.samples:,}",
            megabytes(one.received),
            *(f"{median(cpu) * 1000:.0f} ms" for cpu in (one.source_cpu, one.raw_cpu, one.own_cpu)),
        )
    times.print()
    costs.print()


class _Round:
    """One question at one window: asked of us, and as raw queries."""

    def __init__(self, session: aiohttp.ClientSession, store: Store, server: Process, path: str, window: int) -> None:
        self._session = session
        self._store = store
        self._server = server
        self._url = URL(server.url + path, encoded=True).update_query(window=f"{window}s")
        self._instant = int(time.time() // _REFRESH) * _REFRESH
        self._queries = _queries(self._url, self._instant)

    async def facts(self, seen: _Seen) -> None:
        """What does not depend on time: rows, queries, bytes and samples. Also warms both sides up."""
        body = await get(self._session, self._url)
        seen.rows, seen.queries = len(json.loads(body)["items"]), len(self._queries)
        answers = [await self._raw(query, stats="1") for query in self._queries]
        seen.received = sum(map(len, answers))
        seen.samples = sum(json.loads(answer)["data"]["stats"]["samples"]["totalQueryableSamples"] for answer in answers)

    async def measure(self, seen: _Seen, *, backwards: bool) -> None:
        """Ask in both ways."""
        ways: list[Callable[[_Seen], Awaitable[None]]] = [self._ours, self._each, self._all]
        for way in reversed(ways) if backwards else ways:
            await way(seen)

    async def _ours(self, seen: _Seen) -> None:
        source, own, start = self._store.process.cpu_seconds(), self._server.cpu_seconds(), time.perf_counter()
        await get(self._session, self._url)
        seen.ours.append(time.perf_counter() - start)
        seen.source_cpu.append(self._store.process.cpu_seconds() - source)
        seen.own_cpu.append(self._server.cpu_seconds() - own)

    async def _each(self, seen: _Seen) -> None:
        slowest = 0.0
        for query in self._queries:
            start = time.perf_counter()
            await self._raw(query)
            slowest = max(slowest, time.perf_counter() - start)
        seen.slowest.append(slowest)

    async def _all(self, seen: _Seen) -> None:
        source, start = self._store.process.cpu_seconds(), time.perf_counter()
        await asyncio.gather(*map(self._raw, self._queries))
        seen.together.append(time.perf_counter() - start)
        seen.raw_cpu.append(self._store.process.cpu_seconds() - source)

    async def _raw(self, query: str, **more: str) -> bytes:
        form = {"query": query, "time": str(self._instant), **more}
        async with self._session.post(f"{self._store.process.url}/api/v1/query", data=form, headers=_PLAIN) as response:
            assert response.status == 200, await response.text()
            return await response.read()


async def get(session: aiohttp.ClientSession, url: URL) -> bytes:
    """The whole body of an answer of ours."""
    async with session.get(url, headers=_PLAIN) as response:
        assert response.status == 200, await response.text()
        return await response.read()


def _queries(url: URL, instant: int) -> list[str]:
    """The PromQL an answer needs: what the dialect plans for the question."""
    question = parse_question(parse_request("GET", url.path, url.query), url.query, Window(30))
    query = question.query(instant)
    stage = plan(load_dialect(DIALECT), query)[0]
    return [query_of(read, query.window) for read in dict.fromkeys(read for part in stage for read in part.reads)]
