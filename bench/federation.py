"""Answers put together of several sources, beside the same answers out of one; and what a source that hangs costs the others.

Every server asks the same Prometheus: as one source, as two of which the first is believed, as two that are added up, and beside one that
takes connections and never answers. In each round every server is asked for a window nobody has asked for yet.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import aiohttp
from answers import CLUSTER_EDGES, get
from figures import Table, ratio, seconds
from processes import LOOPBACK
from server import API, DIALECT, federated
from stores import Store
from yarl import URL

__all__ = ["federate"]

_QUESTIONS = (
    ("one deployment", f"{API}/namespaces/team-01/deployments/service-001"),
    ("deployments of a namespace", f"{API}/namespaces/team-01/deployments"),
    ("all edges of the cluster", CLUSTER_EDGES),
)
_SHORTEST = 121
_ALONE = "one source"
_HANGING = "one, and one that hangs"


def federate(store: Store, *, quick: bool) -> None:
    """Print the comparison."""
    with _deaf() as nobody, ExitStack() as stack:
        first, second = ({"name": name, "type": "prometheus", "url": store.process.url, "dialect": DIALECT} for name in "ab")
        setups: dict[str, Sequence[Mapping[str, Any]]] = {
            _ALONE: [first],
            "two, the first believed": [first, second],
            "two, added up": [{**first, "merge": "sum"}, {**second, "merge": "sum"}],
            _HANGING: [first, {**second, "url": nobody, "timeout": "2s"}],
        }
        urls = {name: stack.enter_context(federated(sources)).url for name, sources in setups.items()}
        taken = asyncio.run(_measure(urls, 3 if quick else 9))
    _print(taken)


async def _measure(urls: Mapping[str, str], rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds of each round, by question and set-up."""
    taken: dict[tuple[str, str], list[float]] = {(question, name): [] for question, _ in _QUESTIONS for name in urls}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
        for number in range(-3, rounds):
            for question, path in _QUESTIONS:
                for name, url in urls.items():
                    start = time.perf_counter()
                    await get(session, URL(url + path, encoded=True).update_query(window=f"{_SHORTEST + number}s"))
                    # The first rounds warm up, and in them the source that hangs has failed often enough to be left alone.
                    if number >= 0:
                        taken[question, name].append(time.perf_counter() - start)
    return taken


def _print(taken: Mapping[tuple[str, str], list[float]]) -> None:
    names = list(dict.fromkeys(name for _, name in taken))
    table = Table(
        "Answers out of several sources beside those out of one, all of them the same Prometheus",
        ("question", *(f"{name}" for name in names), *(f"{name} / one" for name in names[1:])),
        "ratios: medians of those of each round. The source that hangs is given up after 2 s, and has been before the first round.",
    )
    for question, _ in _QUESTIONS:
        alone = taken[question, _ALONE]
        table.add(
            question,
            *(seconds(taken[question, name]) for name in names),
            *(ratio(taken[question, name], alone) for name in names[1:]),
        )
    table.print()


@contextmanager
def _deaf() -> Iterator[str]:
    """The URL of somebody who takes connections and never answers."""
    with socket.create_server((LOOPBACK, 0), backlog=128) as listener:
        yield f"http://{LOOPBACK}:{listener.getsockname()[1]}"
