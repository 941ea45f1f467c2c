"""The other ways to read, against what they are made of: a panel of Grafana, a range query, the page to scrape, plain numbers.

The store is a Prometheus that remembers an hour (``history.py``). Every round asks for a window nobody has asked for yet, so nothing comes
out of a cache.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import aiohttp
from figures import Table, ratio, seconds
from history import LENGTH, STEP, raw_range, remembering
from processes import Process
from server import API, DIALECT, trafficmetrics
from yarl import URL

from backends.dialects import load_dialect, plan
from backends.prometheus.promql import query_of
from metrics_api import Span, TrafficQuery, Window, timestamp

__all__ = ["draw"]

_NAMESPACE = "team-01"
_QUERY = TrafficQuery(("Deployment",), Window(60), 0, namespace=_NAMESPACE)
_GRAFANA = "a panel of Grafana"
_FACADE = "a range query"
_RAW = "raw ranges"
_OBJECTS, _NUMBERS, _PAGE = "objects", "plain numbers", "the page to scrape"

Taken = dict[str, list[float]]


def draw(*, quick: bool) -> None:
    """Print the comparison."""
    end = int(time.time()) // STEP * STEP
    with remembering(end) as store, trafficmetrics(store.url) as server:
        asyncio.run(_compare(store, server, Span(end - LENGTH, end, STEP), 3 if quick else 9))


async def _compare(store: Process, server: Process, span: Span, rounds: int) -> None:
    panels: Taken = {_GRAFANA: [], _FACADE: [], _RAW: []}
    pages: Taken = {_OBJECTS: [], _NUMBERS: [], _PAGE: []}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        # The first round warms up and is not counted.
        for number in range(-1, rounds):
            window = Window(62 + number)
            for taken in (panels, pages):
                ways = _panels(session, store, server, span, window) if taken is panels else _pages(session, server, window)
                for name, way in reversed(ways.items()) if number % 2 else ways.items():
                    start = time.perf_counter()
                    await way()
                    if number >= 0:
                        taken[name].append(time.perf_counter() - start)
    table = Table(
        f"{LENGTH // 60} minutes of the deployments of a namespace, {len(span.instants)} instants, medians of {rounds} rounds",
        (_GRAFANA, _FACADE, _RAW, "panel/raw", "range/raw"),
        "A panel is of one metric; the raw ranges are all that its rows are made of, sent at once and not decoded.",
    )
    table.add(
        *(seconds(values) for values in panels.values()), *(ratio(panels[name], panels[_RAW]) for name in (_GRAFANA, _FACADE))
    )
    table.print()
    table = Table(
        f"All deployments as objects and in other forms, medians of {rounds} rounds",
        (*pages, "numbers/objects", "page/objects"),
        "Each at a window of its own in every round: the store is asked every time.",
    )
    table.add(*(seconds(values) for values in pages.values()), *(ratio(pages[name], pages[_OBJECTS]) for name in (_NUMBERS, _PAGE)))
    table.print()


def _panels(
    session: aiohttp.ClientSession, store: Process, server: Process, span: Span, window: Window
) -> dict[str, Callable[[], Awaitable[None]]]:
    query = replace(_QUERY, window=window)
    payload = {"namespace": _NAMESPACE, "kind": "deployments", "window": str(window)}
    panel = {
        "range": {"from": timestamp(span.start), "to": timestamp(span.end)},
        "intervalMs": STEP * 1000,
        "maxDataPoints": len(span.instants),
        "targets": [{"refId": "A", "target": "requests_per_second", "payload": payload}],
    }
    # A window of its own, so that one way does not find what the other has asked for.
    later = Window(window.seconds + 100)
    selector = f'trafficmetrics_requests_per_second{{namespace="{_NAMESPACE}",kind="Deployment",window="{later}"}}'
    range_query = {"query": selector, "start": span.start, "end": span.end, "step": span.step}

    async def grafana() -> None:
        async with session.post(f"{server.url}{API}/grafana/query", json=panel) as response:
            assert response.status == 200, await response.text()
            assert len(await response.json()) > 1

    async def facade() -> None:
        async with session.post(f"{server.url}{API}/prometheus/api/v1/query_range", data=range_query) as response:
            assert response.status == 200, await response.text()
            assert len((await response.json())["data"]["result"]) > 1

    async def raw() -> None:
        reads = dict.fromkeys(read for part in plan(load_dialect(DIALECT), query)[0] for read in part.reads)
        await asyncio.gather(*(raw_range(session, store, query_of(read, query.window), span) for read in reads))

    return {_GRAFANA: grafana, _FACADE: facade, _RAW: raw}


def _pages(session: aiohttp.ClientSession, server: Process, window: Window) -> dict[str, Callable[[], Awaitable[None]]]:
    def way(path: str, seconds_more: int) -> Callable[[], Awaitable[None]]:
        url = URL(server.url + API + path, encoded=True).update_query(window=f"{window.seconds + seconds_more}s")

        async def ask() -> None:
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
                assert response.status == 200, await response.text()
                await response.read()

        return ask

    return {
        _OBJECTS: way("/trafficmetrics", 200),
        _NUMBERS: way("/trafficmetrics?format=numbers", 300),
        _PAGE: way("/prometheus/metrics", 400),
    }
