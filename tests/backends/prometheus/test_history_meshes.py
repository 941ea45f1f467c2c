"""History of whole meshes: for every kind and for edges, at each instant the answer of that instant."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import replace

import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import WORKLOAD_KINDS, Answer, Direction, Histogram, ResourceRef, Side, Span, TrafficQuery, Window
from tests.doubles.backfill import INSTANT, STEP, backfilled_prometheus, series
from tests.doubles.meshes.istio import Istio
from tests.doubles.meshes.linkerd import Linkerd

pytestmark = pytest.mark.real

WINDOW = Window(60)
SPAN = Span(INSTANT - 4 * STEP, INSTANT + 4 * STEP, 2 * STEP)
"""From before there is enough for an increase until there is nothing any more."""

QUESTIONS = {
    "deployments": TrafficQuery(("Deployment",), WINDOW, 0),
    "deployments with sums": TrafficQuery(("Deployment",), WINDOW, 0, sums=True),
    "workloads of one namespace": TrafficQuery(WORKLOAD_KINDS, WINDOW, 0, namespace="shop"),
    "pods": TrafficQuery(("Pod",), WINDOW, 0),
    "namespaces": TrafficQuery(("Namespace",), WINDOW, 0),
    "services": TrafficQuery(("Service",), WINDOW, 0),
    "seen by callers": TrafficQuery(("Deployment",), WINDOW, 0, side=Side.CLIENT),
    "all edges": TrafficQuery(WORKLOAD_KINDS, WINDOW, 0, edges=True),
    "edges to one peer": TrafficQuery(
        ("Deployment",), WINDOW, 0, edges=True, direction=Direction.TO, peer=ResourceRef("", "shop", "web")
    ),
    "edges between namespaces": TrafficQuery(("Namespace",), WINDOW, 0, edges=True),
    "edges of a pod": TrafficQuery(("Pod",), WINDOW, 0, namespace="shop", edges=True, direction=Direction.FROM),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Both meshes in one store, which sees each of them through its dialect."""
    kept = series(Linkerd()) | series(Istio())
    with backfilled_prometheus(tmp_path_factory.mktemp("meshes"), kept) as url:
        yield url


def same(one: Answer, other: Answer) -> None:
    """A store adds series up in any order, which shows in the last digits."""
    assert numbers(one).keys() == numbers(other).keys()
    for about, told in numbers(one).items():
        assert told == pytest.approx(numbers(other)[about], rel=1e-9, abs=1e-9, nan_ok=True), about
    assert replace(one, samples=()) == replace(other, samples=())


def numbers(answer: Answer) -> dict[Hashable, list[float]]:
    """What each sample says, by all there is to say of it beside numbers; NaN for what is not known."""
    return {
        (sample.about, sample.side, sample.trust, sample.source, latency.bounds, latency.floor, latency.exponential): [
            math.nan if value is None else value for value in (sample.success, sample.failure, latency.sum, *latency.counts)
        ]
        for sample in answer.samples
        for latency in [sample.latency if isinstance(sample.latency, Histogram) else Histogram((), ())]
    }


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("dialect", ["linkerd", "istio"])
async def test_history_at_each_instant_is_the_answer_of_that_instant(store: str, dialect: str, question: str):
    query = QUESTIONS[question]
    settings = PrometheusSettings("mesh", store, load_dialect(dialect), scrape_interval=STEP)
    async with PrometheusBackend(settings) as source:
        if source.refusal(query) is not None:
            pytest.fail(f"{dialect} cannot tell {question}")
        history = await source.history(query, SPAN)
        assert [answer.instant for answer in history] == list(SPAN.instants)
        for answer in history:
            same(answer, await source.answer(replace(query, instant=answer.instant)))
    assert history[2].samples
    assert not history[0].samples


async def test_history_in_the_dialects_that_a_store_keeps_is_the_answer_of_each_instant(store: str):
    query = QUESTIONS["deployments"]
    async with PrometheusBackend(PrometheusSettings("mesh", store, None, scrape_interval=STEP)) as source:
        answers = {instant: await source.answer(replace(query, instant=instant)) for instant in (INSTANT, INSTANT + 40)}
        assert len(source.dialects) > 1
        for answer in await source.history(query, Span(INSTANT, INSTANT + 40, 40)):
            same(answer, answers[answer.instant])
