"""Native histograms out of a real Prometheus: the same percentiles as the truth, and never counted beside their classic form."""

from __future__ import annotations

import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Sample, TrafficQuery, Window
from tests.backends.prometheus.conftest import WINDOW, Known
from tests.backends.prometheus.pages import MIXED, NATIVE, SCHEMA

pytestmark = pytest.mark.real


async def samples_of(known: Known, kind: str = "Deployment") -> dict[str, Sample]:
    settings = PrometheusSettings("native", known.url, load_dialect("linkerd"), scrape_interval=1)
    async with PrometheusBackend(settings) as source:
        answer = await source.answer(
            TrafficQuery((kind,), Window(WINDOW), known.instant, namespace="native" if kind != "Namespace" else "")
        )
    assert not answer.warnings
    return {sample.resource.name: sample for sample in answer.samples}


def true_percentile(name: str, q: float) -> float:
    """Seconds."""
    seen = 0.0
    for milliseconds, share in NATIVE[name]:
        seen += share
        if seen >= q:
            return milliseconds / 1000
    raise AssertionError(q)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", NATIVE)
async def test_a_percentile_is_in_the_native_bucket_of_the_true_one(known: Known, name: str, q: float):
    latency = (await samples_of(known))[name].latency
    assert latency is not None
    value = latency.quantile(q)
    assert value is not None
    assert value == pytest.approx(true_percentile(name, q), rel=2 ** (2**-SCHEMA) - 1)


async def test_counts_and_native_histograms_agree(known: Known):
    for sample in (await samples_of(known)).values():
        assert sample.latency is not None
        assert sample.success is not None
        assert sample.latency.total == pytest.approx(sample.success, rel=0.01)


async def test_a_histogram_kept_in_both_forms_counts_once_and_as_the_finer_one(known: Known):
    latency = (await samples_of(known))[MIXED].latency
    assert latency is not None
    assert latency.exponential
    assert latency.quantile(0.5) == pytest.approx(true_percentile("fast", 0.5), rel=2 ** (2**-SCHEMA) - 1)


async def test_native_histograms_of_several_workloads_are_added(known: Known):
    """A namespace holds 60 % of two fast workloads up to 3 ms, and a slow one whose least is 120 ms."""
    latency = (await samples_of(known, "Namespace"))["native"].latency
    assert latency is not None
    assert latency.quantile(0.35) == pytest.approx(0.003, rel=0.1)
    assert latency.quantile(0.6) == pytest.approx(0.014, rel=0.1)
    assert latency.quantile(0.99) == pytest.approx(4.0, rel=0.1)
