"""The metrics that autoscalers are offered: their names, and their values as exact quantities.

Names and meanings are those of :mod:`metrics_api.golden`. That module gives floats for people; an autoscaler compares quantities, so
what is known exactly stays exact here and what is a fraction is rounded once, to the nearest millionth.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from metrics_api.objects import TrafficMetrics
from metrics_api.quantity import of_micro, of_milli
from metrics_api.resources import RESOURCE_TYPES

__all__ = [
    "CUSTOM_GROUP",
    "CUSTOM_VERSIONS",
    "EXTERNAL_GROUP",
    "EXTERNAL_VERSIONS",
    "METRICS",
    "OF_NAMESPACE",
    "PERCENTILES",
    "RATE",
    "RESOURCE_NAMES",
    "Value",
    "measure",
    "nothing",
]

CUSTOM_GROUP = "custom.metrics.k8s.io"
CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
"""The preferred one first; their paths are the same, their JSON is not."""

EXTERNAL_GROUP = "external.metrics.k8s.io"
EXTERNAL_VERSIONS = ("v1beta1",)

OF_NAMESPACE = "metrics"
"""Where a path has a resource, this stands for the namespace itself (kubernetes/metrics: pkg/client/custom_metrics, namespaced)."""

RESOURCE_NAMES: dict[str, str] = {
    segment: row.plural
    for row in RESOURCE_TYPES
    for segment in dict.fromkeys((row.plural, f"{row.plural}.{row.group}".rstrip(".")))
}
"""Plurals by what stands in a path: ``pods``, ``deployments``, ``deployments.apps``. The group is that of the object itself."""

RATE = "requests_per_second"
PERCENTILES = {"p50_response_latency_ms": 50, "p90_response_latency_ms": 90, "p99_response_latency_ms": 99}
"""Which percentile of response latency each of these metrics is."""

METRICS = (RATE, "failure_ratio", "success_ratio", *PERCENTILES)
"""The metrics there are. Ratios are from 0 to 1; all but the rate are unknown without requests."""


class Value(NamedTuple):
    """A quantity, the instant it is of in Unix seconds, and how many seconds until then it covers."""

    quantity: str
    instant: int
    seconds: int


class _Rates(NamedTuple):
    """Requests per second, exact."""

    success: Fraction
    failure: Fraction

    @property
    def total(self) -> Fraction:
        return self.success + self.failure


def measure(metric: str, rows: Sequence[TrafficMetrics]) -> Value | None:
    """One of :data:`METRICS` for the traffic of all ``rows`` together; None is unknown.

    Of several rows those of which nothing was observed add nothing. Percentiles cannot be added: several rows have none.
    """
    quantity = _percentile(PERCENTILES[metric], rows) if metric in PERCENTILES else _rated(metric, rows)
    return None if quantity is None else _value(quantity, rows)


def nothing(row: TrafficMetrics) -> Value:
    """The measured zero of a row of which nothing was observed."""
    return _value("0", [row])


def _value(quantity: str, rows: Sequence[TrafficMetrics]) -> Value:
    return Value(quantity, min(row.instant for row in rows), max(row.window.seconds for row in rows))


def _percentile(percentile: int, rows: Sequence[TrafficMetrics]) -> str | None:
    if len(rows) != 1:
        return None
    (row,) = rows
    micro = {50: row.p50, 90: row.p90, 99: row.p99}[percentile]
    # A microsecond is a thousandth of a millisecond.
    return None if micro is None else of_milli(micro)


def _rated(metric: str, rows: Sequence[TrafficMetrics]) -> str | None:
    rates = _rates(rows)
    if rates is None:
        return None
    if metric == RATE:
        return _quantity(rates.total)
    if not rates.total:
        return None
    return _quantity((rates.failure if metric == "failure_ratio" else rates.success) / rates.total)


def _rates(rows: Sequence[TrafficMetrics]) -> _Rates | None:
    """What the rows come to; None when a count is unknown where the other is not, or nothing is known at all."""
    success = failure = Fraction(0)
    known = False
    for row in rows:
        if row.success is None and row.failure is None:
            continue
        if row.success is None or row.failure is None:
            return None
        known = True
        success += Fraction(row.success, 1000 * row.window.seconds)
        failure += Fraction(row.failure, 1000 * row.window.seconds)
    return _Rates(success, failure) if known else None


def _quantity(value: Fraction) -> str:
    return of_micro(round(value * 1_000_000))
