"""What rolling up costs: lists of Deployments out of series that know pods alone, beside lists that the store groups by Deployment itself.

The series are the same. In each round both are asked for the same window, one new to that round, so that nothing can come out of a cache;
and the queries that Prometheus was asked for each are sent straight to it, all at once.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
from cluster import REFRESH, cluster_server
from controlplane import HEADERS, ControlPlane
from figures import Table, megabytes, ratio, seconds
from pods import PodFleet, write_dialects
from population import Population
from processes import UNVERIFIED, Process
from server import API
from stores import Store, prometheus
from yarl import URL

__all__ = ["roll_up"]

_SHORTEST = 60
_PLAIN = {"Accept": "application/json", "Accept-Encoding": "identity"}
_QUESTIONS = (
    ("deployments of all namespaces", f"{API}/deployments"),
    ("deployments of one namespace", f"{API}/namespaces/team-01/deployments"),
    ("one deployment", f"{API}/namespaces/team-01/deployments/service-001"),
    ("edges of one deployment", f"{API}/namespaces/team-01/deployments/service-001/edges"),
    ("all edges of the cluster", f"{API}/trafficmetrics?fieldSelector=edge.direction%3Dto"),
)


def roll_up(plane: ControlPlane, population: Population, *, rounds: int) -> None:
    """Print the comparison."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-")))
        store = stack.enter_context(prometheus(PodFleet(population)))
        servers = [
            stack.enter_context(cluster_server(plane.server.url, store.process.url, str(dialect)))
            for dialect in write_dialects(place)
        ]
        asyncio.run(_compare(store, servers, rounds))


async def _compare(store: Store, servers: list[Process], rounds: int) -> None:
    table = Table(
        f"Deployments out of pods, beside the same grouped by the store: {store.series:,} series, medians of {rounds} rounds",
        (
            "question",
            "series name",
            "rows",
            "queries",
            "received",
            "answer",
            "all raw",
            "answer/raw",
            "our time",
            "pods/Deployments",
        ),
        "all raw: the queries Prometheus was asked for it, sent at once, not decoded. our time: processor time of our server.",
    )
    connector = aiohttp.TCPConnector(ssl=UNVERIFIED, limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS | _PLAIN) as session:
        for question, path in _QUESTIONS:
            ways = [_Way(session, store, server, path) for server in servers]
            for way in ways:
                await way.explore()
            for number in range(rounds):
                for way in reversed(ways) if number % 2 else ways:
                    await way.measure(_SHORTEST + 1 + number)
            pods, grouped = ways
            assert pods.rows == grouped.rows, f"{question}: {pods.rows} rows out of pods, {grouped.rows} grouped"
            table.add(question, "pods", *pods.figures(), ratio(pods.answers, grouped.answers))
            table.add("", "Deployments", *grouped.figures(), "")
    table.print()


class _Way:
    """One question put to one server; a value per round of what was measured, in seconds."""

    def __init__(self, session: aiohttp.ClientSession, store: Store, server: Process, path: str) -> None:
        self._session = session
        self._store = store
        self._server = server
        self._url = URL(server.url + path, encoded=True)
        self._queries: list[str] = []
        self._received = 0
        self.rows: list[Any] = []
        self.answers: list[float] = []
        self._raw: list[float] = []
        self._spent: list[float] = []

    async def explore(self) -> None:
        """What does not depend on time: the rows, and what Prometheus is asked for them. Also warms both up."""
        mark = self._store.mark()
        document = json.loads(await self._ask(_SHORTEST))
        self.rows = [(item["resource"], item["edge"]) for item in document.get("items", [document])]
        # Health is asked about as well, without a window.
        self._queries = [query for query in self._store.asked(mark) if f"[{_SHORTEST}s]" in query]
        self._received = sum(map(len, await self._all_raw(_SHORTEST)))

    async def measure(self, window: int) -> None:
        """An answer, and what it is made of."""
        start, spent = time.perf_counter(), self._server.cpu_seconds()
        await self._ask(window)
        self.answers.append(time.perf_counter() - start)
        self._spent.append(self._server.cpu_seconds() - spent)
        start = time.perf_counter()
        await self._all_raw(window)
        self._raw.append(time.perf_counter() - start)

    def figures(self) -> list[str]:
        """The cells of the table."""
        times = (seconds(self.answers), seconds(self._raw), ratio(self.answers, self._raw), seconds(self._spent))
        return [f"{len(self.rows):,}", str(len(self._queries)), megabytes(self._received), *times]

    async def _ask(self, window: int) -> bytes:
        async with self._session.get(self._url.update_query(window=f"{window}s")) as response:
            assert response.status == 200, await response.text()
            return await response.read()

    async def _all_raw(self, window: int) -> list[bytes]:
        return await asyncio.gather(*(self._one_raw(query.replace(f"[{_SHORTEST}s]", f"[{window}s]")) for query in self._queries))

    async def _one_raw(self, query: str) -> bytes:
        form = {"query": query, "time": str(int(time.time()) // REFRESH * REFRESH)}
        async with self._session.post(f"{self._store.process.url}/api/v1/query", data=form) as response:
            assert response.status == 200, await response.text()
            return await response.read()
