"""History of native histograms out of a real Prometheus: at each instant the answer of that instant."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Histogram, Span, TrafficQuery, Window
from tests.backends.prometheus.conftest import WINDOW, Known
from tests.backends.prometheus.pages import MIXED, NATIVE

pytestmark = pytest.mark.real


async def test_native_histograms_at_each_instant_are_those_of_the_answer(known: Known):
    query = TrafficQuery(("Deployment",), Window(WINDOW), 0, namespace="native")
    settings = PrometheusSettings("native", known.url, load_dialect("linkerd"), scrape_interval=1)
    async with PrometheusBackend(settings) as source:
        history = await source.history(query, Span(known.instant - 2, known.instant, 1))
        answers = [await source.answer(replace(query, instant=answer.instant)) for answer in history]
    for one, other in zip(history, answers, strict=True):
        latencies = {sample.resource.name: sample.latency for sample in other.samples}
        assert set(latencies) >= {*NATIVE, MIXED}
        for sample in one.samples:
            latency, expected = sample.latency, latencies[sample.resource.name]
            assert isinstance(latency, Histogram)
            assert isinstance(expected, Histogram)
            assert (latency.exponential, latency.bounds) == (expected.exponential, expected.bounds)
            assert latency.exponential
            assert latency.counts == pytest.approx(expected.counts)
