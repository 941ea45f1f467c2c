"""Known requests, exported by OTLP with deltas, out of a real Prometheus 3 behind CloudWatch's door: the numbers are the truth."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from backends.dialects import hosted_dialects
from backends.prometheus.diagnosis import diagnose
from metrics_api import CALLED_HOST, Direction, Histogram, ResourceRef, Sample, Side, Span, TrafficQuery, Window
from tests.backends.cloudwatch.promql import source_of
from tests.doubles.cloudwatch_promql import PromqlEndpoint
from tests.doubles.instrumented import CALLS, INSTANT, MINUTES, SCALE, Call, Place
from tests.golden.test_promql import _rendered

pytestmark = pytest.mark.real

MINUTE = Window(60)
_EXPLICIT = (0.0, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


async def ask(endpoint: PromqlEndpoint, query: TrafficQuery, more: str = "scrapeInterval: 1m") -> tuple[Sample, ...]:
    async with source_of(endpoint.url, more) as source:
        answer = await source.answer(query)
    assert not answer.warnings
    assert not answer.incomplete
    return answer.samples


def counts(calls: Iterable[Call], minutes: int = 1) -> tuple[float, float]:
    """Successes and failures."""
    told = Counter[bool]()
    for call in calls:
        told[call.fails] += sum(call.seconds.values())
    return float(told[False] * minutes), float(told[True] * minutes)


def ref(place: Place) -> ResourceRef:
    return ResourceRef(place.kind, place.namespace, place.name)


CALLEES = sorted({call.callee for call in CALLS if call.callee is not None}, key=ref)
WORKLOADS = ("Deployment", "StatefulSet", "Job", "Workload")


@pytest.mark.parametrize("minutes", [1, MINUTES])
async def test_a_workload_received_what_its_callers_sent(endpoint: PromqlEndpoint, minutes: int):
    samples = await ask(endpoint, TrafficQuery(WORKLOADS, Window(60 * minutes), INSTANT))
    assert {sample.resource: (sample.success, sample.failure) for sample in samples} == {
        ref(callee): counts((call for call in CALLS if call.callee == callee), minutes) for callee in CALLEES
    }
    assert {sample.side for sample in samples} == {Side.SERVER}


async def test_namespaces_pods_and_nodes_are_told_by_attributes_of_the_resource(endpoint: PromqlEndpoint):
    everything = counts(call for call in CALLS if call.callee is not None)
    async with source_of(endpoint.url, "scrapeInterval: 1m") as source:
        (namespace,) = (await source.answer(TrafficQuery(("Namespace",), MINUTE, INSTANT))).samples
        (node,) = (await source.answer(TrafficQuery(("Node",), MINUTE, INSTANT))).samples
    pods = await ask(endpoint, TrafficQuery(("Pod",), MINUTE, INSTANT, "shop"))
    assert (namespace.resource, namespace.success, namespace.failure) == (ResourceRef("Namespace", "", "shop"), *everything)
    assert (node.resource.name, node.success, node.failure) == ("worker-1", *everything)
    assert {pod.resource.name for pod in pods} == {f"{callee.name}-0" for callee in CALLEES}


async def test_histograms_with_bounds_of_both_kinds_are_not_added_and_the_answer_says_so(endpoint: PromqlEndpoint):
    async with source_of(endpoint.url, "scrapeInterval: 1m") as source:
        answer = await source.answer(TrafficQuery(("Namespace",), MINUTE, INSTANT))
    assert answer.incomplete
    assert any("a mix of histograms" in warning for warning in answer.warnings)
    (sample,) = answer.samples
    # Those of gRPC, all of one kind, are told: percentiles of them alone would be taken for those of everything.
    assert sample.latency is None
    assert (sample.success, sample.failure) == counts(call for call in CALLS if call.callee is not None)


def true_quantile(calls: Iterable[Call], q: float) -> float:
    seconds = Counter[float]()
    for call in calls:
        seconds.update(call.seconds)
    rank, seen = q * seconds.total(), 0
    for value in sorted(seconds):
        seen += seconds[value]
        if seen >= rank:
            return value
    raise AssertionError(q)


def bucket(place: Place, value: float) -> tuple[float, float]:
    """The bounds of the bucket that holds a value."""
    if not place.explicit:
        return value / 2 ** (2**-SCALE), value * 2 ** (2**-SCALE)
    at = next(at for at, bound in enumerate(_EXPLICIT) if value <= bound)
    return _EXPLICIT[at - 1], _EXPLICIT[at]


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("callee", CALLEES, ids=lambda place: place.name)
async def test_a_percentile_is_in_the_bucket_of_the_true_one(endpoint: PromqlEndpoint, callee: Place, q: float):
    query = TrafficQuery((callee.kind,), MINUTE, INSTANT, callee.namespace, callee.name, sums=True)
    (sample,) = await ask(endpoint, query)
    calls = [call for call in CALLS if call.callee == callee]
    low, high = bucket(callee, true_quantile(calls, q))
    assert isinstance(sample.latency, Histogram)
    assert low <= (sample.latency.quantile(q) or 0.0) <= high
    assert sample.latency.total == sum(counts(calls))
    took = sum(seconds * count for call in calls for seconds, count in call.seconds.items())
    assert sample.latency.mean() == pytest.approx(took / sample.latency.total)


def called(call: Call) -> ResourceRef:
    return ResourceRef(CALLED_HOST, call.caller.namespace, call.host)


async def test_an_edge_to_a_callee_has_what_the_caller_sent_there(endpoint: PromqlEndpoint):
    query = TrafficQuery(("Deployment",), MINUTE, INSTANT, "shop", "web", edges=True, direction=Direction.TO)
    samples = await ask(endpoint, query)
    mine = [call for call in CALLS if call.caller.name == "web"]
    assert {sample.peer: (sample.success, sample.failure) for sample in samples} == {
        peer: counts(call for call in mine if called(call) == peer) for peer in map(called, mine)
    }
    assert {sample.side for sample in samples} == {Side.CLIENT}


ORDERS = TrafficQuery(("Deployment",), MINUTE, INSTANT, "shop", "orders", edges=True, direction=Direction.FROM)


@pytest.mark.parametrize("services", [(), ("orders",)], ids=["by its own name", "by the name of its Service"])
async def test_an_edge_from_a_caller_is_found_by_the_hosts_that_callers_know_it_by(
    endpoint: PromqlEndpoint, services: tuple[str, ...]
):
    samples = await ask(endpoint, replace(ORDERS, services=services))
    theirs = [call for call in CALLS if call.callee is not None and call.callee.name == "orders"]
    assert {(sample.resource, sample.peer): (sample.success, sample.failure) for sample in samples} == {
        (called(one), ref(one.caller)): counts(call for call in theirs if (call.caller, call.host) == (one.caller, one.host))
        for one in theirs
    }


async def test_a_host_of_another_name_or_namespace_is_nobodys_caller(endpoint: PromqlEndpoint):
    assert await ask(endpoint, replace(ORDERS, services=("cart-of-orders",))) == ()
    assert await ask(endpoint, replace(ORDERS, namespace="batch", services=("orders",))) == ()


async def test_a_history_has_every_minute_by_itself(endpoint: PromqlEndpoint):
    query = TrafficQuery(("StatefulSet",), MINUTE, INSTANT, "shop", "cart")
    async with source_of(endpoint.url, "scrapeInterval: 1m") as source:
        answers = await source.history(query, Span(INSTANT - 180, INSTANT + 60, 60))
    expected = counts(call for call in CALLS if call.callee is not None and call.callee.name == "cart")
    assert [[(sample.success, sample.failure) for sample in answer.samples] for answer in answers] == [
        [], [expected], [expected], [expected], [],
    ]  # fmt: skip


async def test_a_window_that_is_shorter_than_the_time_between_two_exports_is_told(endpoint: PromqlEndpoint):
    async with source_of(endpoint.url) as source:
        short = await source.answer(TrafficQuery(("Deployment",), Window(30), INSTANT))
        enough = await source.answer(TrafficQuery(("Deployment",), MINUTE, INSTANT))
    assert short.warnings == (
        'source "otlp" has a sample every 1m0s: a window of 30s is too short for it, the shortest useful one is 1m0s',
    )
    assert enough.warnings == ()


async def test_what_was_cut_off_at_500_series_is_incomplete_and_says_so(endpoint: PromqlEndpoint):
    endpoint.most_series = 1
    async with source_of(endpoint.url, "scrapeInterval: 1m") as source:
        answer = await source.answer(TrafficQuery(WORKLOADS, MINUTE, INSTANT))
    assert answer.incomplete
    assert any("truncated to 1 series" in warning for warning in answer.warnings)


async def test_totals_are_asked_for_when_the_configuration_says_that_samples_are_such(endpoint: PromqlEndpoint):
    async with source_of(endpoint.url, "scrapeInterval: 1m\noverrides: {temporality: cumulative}") as source:
        await source.answer(TrafficQuery(("Deployment",), MINUTE, INSTANT))
    assert all("increase(" in asked.form["query"] for asked in endpoint.asked)


async def test_the_examination_finds_the_store_its_rhythm_and_what_it_can_tell(endpoint: PromqlEndpoint):
    settings = source_of(endpoint.url)._settings
    diagnosis = await diagnose(settings, MINUTE, INSTANT)
    assert diagnosis.facts["type"] == "cloudwatch"
    assert diagnosis.facts["product"] == "CloudWatch"
    assert diagnosis.facts["url"] == endpoint.url
    assert diagnosis.facts["intervalSeconds"] == 60
    told = {ability.resources: ability.told for ability in diagnosis.abilities}
    assert set(told["workloads"]) == {"received", "to", "from"}
    assert {finding.check for finding in diagnosis.findings} <= {"interval", "clock"}


@pytest.mark.parametrize("name", hosted_dialects())
async def test_every_query_of_its_golden_is_one_that_is_answered(endpoint: PromqlEndpoint, name: str):
    queries = [promql for asked in _rendered(name).values() for promql in asked if promql]
    assert len(queries) > 10
    async with source_of(endpoint.url) as source:
        await asyncio.gather(*(source._client.query(promql, INSTANT) for promql in queries))


def test_the_calls_have_every_case() -> None:
    """Callers without a kind, callees outside, requests without an answer, gRPC, and both forms of histograms."""
    seen: Mapping[str, bool] = {
        "outside": any(call.callee is None for call in CALLS),
        "unanswered": any(not call.code for call in CALLS),
        "grpc": any(call.grpc for call in CALLS),
        "both forms": {place.explicit for place in CALLEES} == {True, False},
    }
    assert all(seen.values())
