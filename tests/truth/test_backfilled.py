"""Every question of every mesh, asked of real stores whose samples lie at exact instants: answers are the facts, to the last request."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable
from itertools import product

import aiohttp
import pytest

from tests.doubles.mesh_truth import Asked, refused, rows
from tests.doubles.meshes.all import MESHES
from tests.truth.comparison import keyed, wrong_counts, wrong_percentiles, wrong_rows, wrong_sums
from tests.truth.conftest import MINUTE, OTHERWISE, Past
from tests.truth.quantiles import KNOWN, percentiles_of
from tests.truth.questions import QUESTIONS, query_of

pytestmark = pytest.mark.real

ANSWERABLE = {
    f"{mesh}-{title}": (mesh, asked)
    for mesh, (title, asked) in product(MESHES, QUESTIONS.items())
    if not refused(MESHES[mesh], asked)
}


def some(meshes: Iterable[str] = MESHES, titles: str = ".*") -> pytest.MarkDecorator:
    """Ask these meshes those of the questions whose titles match."""
    chosen = {name: item for name, item in ANSWERABLE.items() if re.fullmatch(f"({'|'.join(meshes)})-({titles})", name)}
    return pytest.mark.parametrize(("mesh", "asked"), chosen.values(), ids=chosen)


async def check(past: Past, store: str, mesh: str, asked: Asked) -> None:
    """Compare one answer with the facts."""
    double = MESHES[mesh]
    want = rows(double, asked)
    sums = not (asked.name or asked.namespace or asked.direction)
    got = keyed(await past.sources[store, mesh].answer(query_of(asked, MINUTE, past.instant, sums=sums)), double, asked)
    assert not wrong_rows(got, want)
    assert not wrong_counts(got, want, MINUTE.seconds, error=1e-6, whole=1e-9)
    assert not wrong_percentiles(double, got, want, margin=1e-9)
    assert not (sums and wrong_sums(got, want, MINUTE.seconds))


@some()
async def test_prometheus_answers_the_truth(past: Past, mesh: str, asked: Asked):
    await check(past, "prometheus", mesh, asked)


@some(OTHERWISE, "(namespaces|pods|services|workloads)-(totals|edges)")
async def test_victoria_metrics_answers_the_truth(past: Past, mesh: str, asked: Asked):
    await check(past, "victoria-metrics", mesh, asked)


@pytest.mark.parametrize("mesh", MESHES)
async def test_what_a_mesh_can_never_answer_is_refused_with_a_reason(past: Past, mesh: str):
    source = past.sources["prometheus", mesh]
    reasons = {title: source.refusal(query_of(asked, MINUTE, past.instant)) for title, asked in QUESTIONS.items()}
    never = {title for title, asked in QUESTIONS.items() if refused(MESHES[mesh], asked)}
    assert {title for title, reason in reasons.items() if reason is not None} == never
    assert all(reason is None or (mesh in reason and len(reason) > 40) for reason in reasons.values())


@some(KNOWN, "nodes-totals|namespaces-totals-seen-by-callers|services-edges|workloads-totals")
async def test_a_percentile_is_the_one_prometheus_computes(past: Past, mesh: str, asked: Asked):
    found = await past.sources["prometheus", mesh].answer(query_of(asked, MINUTE, past.instant))
    got = keyed(found, MESHES[mesh], asked)
    queries = [percentiles_of(mesh, key, sample.side.value, f"{MINUTE}") for key, sample in got.items()]
    async with aiohttp.ClientSession(past.urls["prometheus", mesh], connector=aiohttp.TCPConnector(limit=8)) as session:
        theirs = await asyncio.gather(*(_theirs(session, promql, past.instant) for promql in queries))
    wrong = [
        f"p{100 * q:g} is {ours}, Prometheus says {row.get(q)}: {key}"
        for (key, sample), row in zip(got.items(), theirs, strict=True)
        for q in (0.5, 0.9, 0.99)
        if not _same(ours := sample.latency.quantile(q) if sample.latency is not None else None, row.get(q))
    ]
    assert not wrong


async def _theirs(session: aiohttp.ClientSession, promql: str, instant: int) -> dict[float, float]:
    """The percentiles in seconds, without those that are not a number."""
    async with session.post("/api/v1/query", data={"query": promql, "time": str(instant)}) as response:
        document = await response.json()
    assert document["status"] == "success", document
    values = {float(row["metric"]["q"]): float(row["value"][1]) / 1000 for row in document["data"]["result"]}
    return {q: value for q, value in values.items() if not math.isnan(value)}


def _same(ours: float | None, theirs: float | None) -> bool:
    if ours is None or theirs is None:
        return ours is theirs
    return math.isclose(ours, theirs, rel_tol=1e-6)
