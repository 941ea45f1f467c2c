"""Many clients with one question: what the source sees of them."""

from __future__ import annotations

import asyncio
import time

import aiohttp
from answers import get
from figures import Table, seconds
from server import API, trafficmetrics
from stores import Store
from yarl import URL

__all__ = ["crowd"]

_CLIENTS = 200
_REFRESH = 5


def crowd(store: Store, *, quick: bool) -> None:
    """Print how often the source is asked."""
    asyncio.run(_crowd(store, 1 if quick else 3))


async def _crowd(store: Store, rounds: int) -> None:
    table = Table(
        f"One question from {_CLIENTS} clients at once, all within one refresh of {_REFRESH} s",
        ("round", "clients", "one alone", "all of them", "queries at the source"),
        "A list needs 5 queries: counters of both ends, a histogram, and connections of both ends.",
    )
    with trafficmetrics(store.process.url) as server:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            url = URL(f"{server.url}{API}/deployments")
            # What is learnt once about a store is learnt here.
            await get(session, url)
            for number in range(rounds):
                alone = await _timed(session, url.update_query(window=f"{61 + 2 * number}s"), 1)
                # Early in a refresh, so that all clients are in the same one.
                await asyncio.sleep(_REFRESH - time.time() % _REFRESH + 0.1)
                before = store.queries()
                together = await _timed(session, url.update_query(window=f"{62 + 2 * number}s"), _CLIENTS)
                table.add(number + 1, _CLIENTS, seconds([alone]), seconds([together]), store.queries() - before)
    table.print()


async def _timed(session: aiohttp.ClientSession, url: URL, clients: int) -> float:
    start = time.perf_counter()
    bodies = await asyncio.gather(*(get(session, url) for _ in range(clients)))
    assert len(set(bodies)) == 1
    return time.perf_counter() - start
