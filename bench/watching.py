"""Watches: what many of them cost, of one question and of many, while nothing happens and while rows change.

The cluster is made up (``cluster.py``): of 100 deployments in a namespace, ten have other numbers in every refresh. Watchers come over TLS
with a token, each on a connection of its own, as through kube-apiserver.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median, quantiles

import aiohttp
from cluster import REFRESH, Cluster, cluster_server, made_up_cluster
from figures import Table, megabytes
from processes import UNVERIFIED, Process
from server import API

__all__ = ["watch_many"]

_HEADERS = {"Authorization": "Bearer bench", "Accept": "application/json", "Accept-Encoding": "identity"}
_TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')
_CHANGING = f"{API}/namespaces/team-03/deployments?watch=true"
_IDLE = f"{_CHANGING}&fieldSelector=metadata.name%3Dservice-001"
_COMING = 50
"""Watchers that connect at the same time."""


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Watchers of the questions ``paths``, evenly spread."""

    name: str
    watchers: int
    paths: Sequence[str]


@dataclass(slots=True)
class _Seen:
    """What all watchers of a crowd were sent: events, bytes, and seconds from the instant of an event to its arrival."""

    events: int = 0
    size: int = 0
    delays: list[float] = field(default_factory=list)


def watch_many(*, quick: bool) -> None:
    """Print what watches cost."""
    asyncio.run(_watch_many(2 if quick else 5, 200 if quick else 1000))


async def _watch_many(refreshes: int, most: int) -> None:
    different = [
        f"{API}/namespaces/team-{space:02d}/deployments?watch=true&window={60 + number}s"
        for space in range(10)
        for number in range(10)
    ]
    crowds = [_Crowd("one question, rows change", number, [_CHANGING]) for number in (1, 100, most)]
    crowds += [
        _Crowd("one question, nothing happens", most, [_IDLE]),
        _Crowd("100 questions, rows change", 100, different),
    ]
    table = Table(
        f"Watches, of 100 deployments of which ten change every {REFRESH} s: per refresh, medians of {refreshes}",
        (
            "watched",
            "watchers",
            "queries at the source",
            "processor time",
            "events",
            "sent",
            "memory of each",
            "delay",
            "p99",
            "worst",
        ),
        "A list needs 7 queries. delay: from the instant the numbers are of to the arrival of the first event with them, the time the "
        "source and\n  the client take included. memory of each: resident size of the server over that without watchers, by their number.",
    )
    with made_up_cluster(10, 100, 5) as cluster:
        for crowd in crowds:
            with cluster_server(cluster.url, cluster.url) as server:
                await _measure(table, crowd, cluster, server, refreshes)
    table.print()


async def _measure(table: Table, crowd: _Crowd, cluster: Cluster, server: Process, refreshes: int) -> None:
    async with _session() as session:
        # What is learnt once about a store is learnt here, and what one answer needs is there.
        async with session.get(server.url + crowd.paths[0].partition("?")[0]) as response:
            await response.read()
        alone, seen = server.memory(), _Seen()
        async with _watching(session, server, crowd, seen):
            held = server.memory() - alone
            await _refresh()
            seen.events, seen.size = 0, 0
            seen.delays.clear()
            queries, processor, memory = [], [], [held]
            for _ in range(refreshes):
                before = await cluster.queries(), server.cpu_seconds()
                await _refresh()
                queries.append(await cluster.queries() - before[0])
                processor.append(server.cpu_seconds() - before[1])
                memory.append(server.memory() - alone)
    table.add(
        crowd.name,
        f"{crowd.watchers:,}",
        f"{median(queries):g}",
        f"{median(processor) * 1000:.0f} ms",
        f"{seen.events // refreshes:,}",
        megabytes(seen.size / refreshes),
        f"{max(memory) / crowd.watchers / 1000:.0f} kB",
        *_delays(seen.delays),
    )


def _delays(delays: Sequence[float]) -> tuple[str, str, str]:
    if not delays:
        return "-", "-", "-"
    p99 = quantiles(delays, n=100, method="inclusive")[98] if len(delays) > 1 else delays[0]
    return f"{median(delays) * 1000:.0f} ms", f"{p99 * 1000:.0f} ms", f"{max(delays) * 1000:.0f} ms"


async def _refresh() -> None:
    """Wait until shortly before the end of a refresh: everything it brings has arrived, and the next one has not begun."""
    left = REFRESH - time.time() % REFRESH - 0.2
    await asyncio.sleep(left if left > 0.1 else left + REFRESH)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=UNVERIFIED, limit=0),
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=1 << 20,
    )


@asynccontextmanager
async def _watching(session: aiohttp.ClientSession, server: Process, crowd: _Crowd, seen: _Seen) -> AsyncIterator[None]:
    """All watchers of a crowd, from the moment each has begun."""
    turns, begun = asyncio.Semaphore(_COMING), [asyncio.Event() for _ in range(crowd.watchers)]
    tasks = [
        asyncio.create_task(_watch(session, server.url + crowd.paths[number % len(crowd.paths)], seen, turns, event))
        for number, event in enumerate(begun)
    ]
    try:
        await asyncio.gather(*(event.wait() for event in begun))
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _watch(session: aiohttp.ClientSession, url: str, seen: _Seen, turns: asyncio.Semaphore, begun: asyncio.Event) -> None:
    async with turns:
        response = await session.get(url)
        assert response.status == 200, await response.text()
        begun.set()
    latest = b""
    async with response:
        async for chunk in response.content.iter_any():
            now = time.time()
            seen.size += len(chunk)
            seen.events += chunk.count(b'{"type":')
            stamp = _TIMESTAMP.search(chunk)
            if stamp is not None and stamp[1] != latest:
                latest = stamp[1]
                seen.delays.append(now - datetime.fromisoformat(latest.decode()).timestamp())
