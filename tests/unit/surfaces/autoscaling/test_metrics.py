"""Values for autoscalers: exact quantities, with the meanings of the golden metrics."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api import Quantity, TrafficMetrics, Window
from metrics_api.autoscaling import METRICS, PERCENTILES, measure
from metrics_api.golden import golden
from tests.unit.surfaces.autoscaling.shop import row

WEB = row("Deployment", "web", 360, 15, p99=12_345)


def value(metric: str, *rows: TrafficMetrics) -> str | None:
    measured = measure(metric, rows)
    return None if measured is None else measured.quantity


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("requests_per_second", "12500m"),
        ("failure_ratio", "40m"),
        ("success_ratio", "960m"),
        ("p99_response_latency_ms", "12345m"),
        ("p90_response_latency_ms", "6172m"),
        ("p50_response_latency_ms", "3086m"),
    ],
)
def test_values_are_canonical_quantities(metric: str, expected: str):
    assert value(metric, WEB) == expected


def test_what_is_no_decimal_fraction_is_rounded_to_millionths():
    assert value("requests_per_second", row("Pod", "web-1", 100)) == "3333333u"
    assert value("failure_ratio", row("Pod", "web-1", 2, 1)) == "333333u"


def test_a_ratio_of_no_requests_is_unknown_and_their_rate_is_zero():
    none = row("Pod", "web-1", 0)
    assert (value("requests_per_second", none), value("failure_ratio", none), value("success_ratio", none)) == ("0", None, None)


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in PERCENTILES])
@pytest.mark.parametrize("unknown", ["success", "failure"])
def test_with_one_count_unknown_nothing_is_known(metric: str, unknown: str):
    half = replace(WEB, **{unknown: None})
    assert (value(metric, half), value(metric, WEB, half)) == (None, None)


def test_several_rows_are_added_up_each_over_its_own_window():
    longer = replace(row("Deployment", "api", 600, 0), window=Window(60), instant=WEB.instant - 5)
    measured = measure("requests_per_second", [WEB, longer])
    assert measured is not None
    assert measured == ("22500m", WEB.instant - 5, 60)


def test_rows_of_which_nothing_was_observed_add_nothing():
    assert value("requests_per_second", WEB, row("Deployment", "idle", None)) == "12500m"
    assert value("requests_per_second", row("Deployment", "idle", None)) is None


@pytest.mark.parametrize("metric", PERCENTILES)
def test_percentiles_are_never_added_up(metric: str):
    assert value(metric, WEB, WEB) is None
    assert value(metric) is None


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 3600), st.integers(0, 10**9))
def test_values_mean_what_the_golden_metrics_mean(success: int, failure: int, seconds: int, p99: int):
    made = replace(WEB, success=success, failure=failure, window=Window(seconds), p99=p99)
    means = golden(made)
    p99_ms = None if means.p99 is None else means.p99 * 1000
    expected = {
        "requests_per_second": means.requests_per_second,
        "failure_ratio": means.failure_ratio,
        "success_ratio": means.success_rate,
        "p99_response_latency_ms": p99_ms,
    }
    for metric, number in expected.items():
        told = value(metric, made)
        assert (told is None) == (number is None), metric
        if told is not None:
            assert Quantity.parse(told).nano / 10**9 == pytest.approx(number, rel=1e-9, abs=6e-7), metric
