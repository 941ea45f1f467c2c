"""What is answered from memory is answered at once, whatever the sources do: hang, or send the largest answer there is.

A latency is that of a whole request on a connection kept open, the client's share included.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice
from statistics import median, quantiles

import aiohttp
from answers import CLUSTER_EDGES, get
from figures import Table, milliseconds
from processes import LOOPBACK, Process
from server import API, trafficmetrics
from stores import Store
from yarl import URL

__all__ = ["answer_meanwhile"]

_PATHS = ("/apis", API, "/openapi/v2", f"/openapi/v3{API}", "/livez", "/readyz", "/metrics")
_HANGING = 100
_COLUMNS = ("path", "requests", "median", "p99", "worst")


def answer_meanwhile(store: Store, *, quick: bool) -> None:
    """Print the latencies."""
    asyncio.run(_answer_meanwhile(store, 100 if quick else 400, 2 if quick else 5))


async def _answer_meanwhile(store: Store, times: int, rounds: int) -> None:
    waiting = Table(f"Answered from memory while {_HANGING} answers wait for a source that hangs", _COLUMNS)
    async with _silence() as address:
        with trafficmetrics(address) as server:
            async with _asking(server, _HANGING) as session:
                for path in _PATHS:
                    _add(waiting, path, [await _latency(session, server, path) for _ in range(times)])
    waiting.print()
    working = Table("Answered from memory while an answer with all edges of the cluster is made", _COLUMNS)
    with trafficmetrics(store.process.url) as server:
        async with _asking(server, 0) as session:
            windows = iter(range(61, 120))
            for path in ("/apis", "/livez"):
                _add(working, path, await _while_busy(session, server, path, list(islice(windows, rounds))))
    working.print()


def _add(table: Table, path: str, latencies: list[float]) -> None:
    figures = (median(latencies), quantiles(latencies, n=100, method="inclusive")[98], max(latencies))
    table.add(path, len(latencies), *map(milliseconds, figures))


@asynccontextmanager
async def _silence() -> AsyncIterator[str]:
    """A source that takes every question and answers none."""

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(wait, LOOPBACK, 0)
    try:
        yield f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@asynccontextmanager
async def _asking(server: Process, questions: int) -> AsyncIterator[aiohttp.ClientSession]:
    """A client, while so many different questions wait for their answers."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        urls = [URL(f"{server.url}{API}/deployments").update_query(window=f"{60 + number}s") for number in range(questions)]
        waiting = [asyncio.create_task(_until_cancelled(session, url)) for url in urls]
        await asyncio.sleep(0.5 if waiting else 0)
        try:
            yield session
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _until_cancelled(session: aiohttp.ClientSession, url: URL) -> None:
    """Ask again and again: a source that hangs is given up on after a while."""
    while True:
        async with session.get(url) as response:
            await response.read()


async def _while_busy(session: aiohttp.ClientSession, server: Process, path: str, windows: list[int]) -> list[float]:
    """Latencies while the largest answer is asked for and made, once for each window, a few milliseconds apart."""
    latencies: list[float] = []
    for window in windows:
        url = URL(server.url + CLUSTER_EDGES, encoded=True).update_query(window=f"{window}s")
        answer = asyncio.create_task(get(session, url))
        while not answer.done():
            latencies.append(await _latency(session, server, path))
            await asyncio.sleep(0.005)
        await answer
    return latencies


async def _latency(session: aiohttp.ClientSession, server: Process, path: str) -> float:
    start = time.perf_counter()
    async with session.get(server.url + path) as response:
        await response.read()
        assert response.status == 200, path
    return time.perf_counter() - start
