"""From what was read to samples: counts, percentiles, and what is not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.cloudwatch.metric import SAMPLE_COUNT, SUM, Metric, Values, percentile
from backends.cloudwatch.rows import Row, samples_of, wanted_of
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    EVERYTHING,
    Direction,
    Naming,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    Window,
)

QUERY = TrafficQuery(("Deployment",), Window(60), 0)


def row(name: str, namespace: str = "shop") -> Row:
    latency = Metric.of("ApplicationSignals", "Latency", {"Service": name, "Environment": f"eks:prod/{namespace}"})
    return Row(
        ResourceRef(ANY_WORKLOAD, namespace, name),
        EVERYTHING,
        Direction.FROM,
        Side.SERVER,
        ((latency, SAMPLE_COUNT),),
        ((latency.renamed("Fault"), SUM),),
        latency,
    )


WEB = row("web")
LATENCY = WEB.requests[0][0]
FAULT = WEB.failures[0][0]
READ: Values = {
    (LATENCY, SAMPLE_COUNT): 100.0,
    (LATENCY, "p50"): 10.0,
    (LATENCY, "p90"): 30.0,
    (LATENCY, "p99"): 400.0,
    (FAULT, SUM): 3.0,
}


def sample(read: Values, query: TrafficQuery = QUERY) -> tuple[Sample, tuple[str, ...]]:
    (found,), told = samples_of([WEB], read, query, "aws")
    return found, told


def test_a_row_is_asked_for_in_one_metric_for_latency_and_one_for_failures() -> None:
    assert wanted_of([WEB, WEB], QUERY) == {LATENCY: ("SampleCount", "p50", "p90", "p99"), FAULT: ("Sum",)}


def test_percentiles_and_the_mean_that_are_wanted_are_asked_for_with_the_others() -> None:
    wanted = wanted_of([WEB], replace(QUERY, quantiles=(0.999, 0.95), sums=True))
    assert wanted[LATENCY] == ("SampleCount", "p50", "p90", "p99", "p99.9", "p95", "Average")


@pytest.mark.parametrize(
    ("quantile", "statistic"), [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.29, "p29"), (0.57, "p57"), (0.99999, "p99.999")]
)
def test_a_percentile_is_written_as_cloudwatch_writes_it(quantile: float, statistic: str) -> None:
    assert percentile(quantile) == statistic


def test_requests_that_did_not_fail_succeeded_and_milliseconds_are_seconds() -> None:
    found, told = sample(READ)
    assert (found.success, found.failure, told) == (97.0, 3.0, ())
    assert isinstance(found.latency, Percentiles)
    assert dict(found.latency) == {0.5: 0.01, 0.9: 0.03, 0.99: 0.4}


def test_no_data_point_is_no_request() -> None:
    found, told = sample({})
    assert (found.success, found.failure, found.latency, told) == (0.0, 0.0, None, ())


def test_no_data_point_of_failures_is_no_failure() -> None:
    found, _ = sample({key: value for key, value in READ.items() if key != (FAULT, SUM)})
    assert (found.success, found.failure) == (100.0, 0.0)


@pytest.mark.parametrize(
    ("lacking", "counts"),
    [
        pytest.param((LATENCY, SAMPLE_COUNT), (None, 3.0), id="of requests"),
        pytest.param((FAULT, SUM), (None, None), id="of failures"),
    ],
)
def test_no_data_point_is_unknown_where_values_are_missing(
    lacking: tuple[Metric, str], counts: tuple[float | None, float | None]
) -> None:
    read = {key: value for key, value in READ.items() if key != lacking}
    (found,), _ = samples_of([WEB], read, QUERY, "aws", incomplete=True)
    assert (found.success, found.failure) == counts


def test_what_has_no_percentiles_is_named_to_those_who_may_be_told_of_it_and_without_the_namespace_of_its_caller() -> None:
    called = replace(WEB, resource=ResourceRef(CALLED_HOST, "secret", "web.shop.svc:8080"), direction=Direction.FROM)
    (_, (warning,)) = samples_of([called], {(LATENCY, SAMPLE_COUNT): 100.0}, QUERY, "aws")
    assert "no percentiles of web.shop.svc:8080: " in warning
    assert isinstance(warning, Naming)
    assert warning.about == {called.resource}
    assert "no percentiles of some objects: " in warning.otherwise


def test_failures_that_arrive_before_their_requests_are_no_negative_successes() -> None:
    found, _ = sample({(FAULT, SUM): 3.0})
    assert (found.success, found.failure) == (0.0, 3.0)


def test_requests_without_percentiles_have_none_and_a_reader_is_told_why() -> None:
    found, told = sample({(LATENCY, SAMPLE_COUNT): 100.0})
    assert (found.success, found.latency) == (100.0, None)
    why = "CloudWatch gives none of values that were published as statistic sets, or that are below zero"
    assert told == (f'source "aws" has no percentiles of shop/web: {why}',)


def test_the_mean_is_the_average() -> None:
    found, _ = sample({**READ, (LATENCY, "Average"): 25.0}, replace(QUERY, sums=True))
    assert found.latency is not None
    assert found.latency.mean() == 0.025


def test_rows_about_one_thing_are_added_up_and_their_percentiles_are_not() -> None:
    api = replace(row("api"), resource=WEB.resource)
    metric = api.requests[0][0]
    read = {**READ, (metric, SAMPLE_COUNT): 10.0, (metric, "p50"): 5.0, (metric.renamed("Fault"), SUM): 1.0}
    (found,), told = samples_of([WEB, api], read, QUERY, "aws")
    assert (found.success, found.failure, found.latency) == (106.0, 4.0, None)
    why = "CloudWatch gives those of single metrics, and they cannot be added up"
    assert told == (f'source "aws" has no percentiles of shop/web: {why}',)


def test_of_two_rows_about_one_thing_the_only_one_with_requests_gives_the_percentiles() -> None:
    api = replace(row("api"), resource=WEB.resource)
    (found,), told = samples_of([WEB, api], READ, QUERY, "aws")
    assert found.latency is not None
    assert (found.latency.quantile(0.99), told) == (0.4, ())


def test_every_sample_has_the_marks_of_what_was_read_and_says_where_it_comes_from() -> None:
    (found,), _ = samples_of([WEB], READ, QUERY, "aws", frozenset({"stale"}), kind="application-signals")
    assert (found.marks, found.source, found.dialect) == ({"stale"}, "aws", "application-signals")


def test_a_mean_is_told_where_there_are_no_percentiles() -> None:
    found, told = sample({(LATENCY, SAMPLE_COUNT): 100.0, (FAULT, SUM): 0.0, (LATENCY, "Average"): 25.0}, replace(QUERY, sums=True))
    assert found.latency is not None
    assert (found.latency.mean(), found.latency.quantile(0.5), len(told)) == (0.025, None, 1)
