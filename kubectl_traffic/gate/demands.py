"""The checks there are: of one workload's success, latency, failures and traffic, and of a candidate beside its baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from kubectl_traffic.gate.amounts import show_latency, show_percent, show_points, show_rate
from kubectl_traffic.gate.check import Check
from metrics_api.objects import TrafficMetrics

__all__ = [
    "PERCENTILES",
    "at_least_rate",
    "at_least_success",
    "at_most_drop",
    "at_most_failures",
    "at_most_latency",
    "at_most_rise",
]

_Rows = Sequence[TrafficMetrics]

PERCENTILES: tuple[str, ...] = ("p50", "p90", "p99")
"""The percentiles of latency that every object of the API has."""


def at_least_success(limit: Fraction, subject: int = 0) -> Check:
    """A share of the requests, from 0 to 1, succeeded."""
    return Check("success", "ratio", limit, True, lambda rows: _success(rows[subject]), show_percent, (subject,))


def at_most_latency(percentile: str, limit: Fraction, subject: int = 0) -> Check:
    """A percentile of latency, in seconds."""
    return Check(percentile, "seconds", limit, False, _latency(percentile, subject), show_latency, (subject,))


def at_most_failures(limit: Fraction, subject: int = 0) -> Check:
    """So many requests in one window failed."""
    return Check("failures", "requests", limit, False, lambda rows: _failures(rows[subject]), show_rate, (subject,))


def at_least_rate(limit: Fraction, subject: int = 0) -> Check:
    """Requests per second: with fewer there is too little to judge by."""
    return Check(
        "rps", "requests per second", limit, True, lambda rows: _rate(rows[subject]), show_rate, (subject,), condition=True
    )


def at_most_drop(limit: Fraction) -> Check:
    """How far the success rate of the candidate is below that of the baseline, as a difference of shares; negative where it is above."""
    return Check("success drop", "ratio", limit, False, _drop, show_points, (0, 1))


def at_most_rise(percentile: str, limit: Fraction) -> Check:
    """By which share of the baseline's percentile of latency that of the candidate is above it; negative where it is below."""
    return Check(f"{percentile} rise", "ratio", limit, False, _rise(percentile), show_percent, (0, 1))


def _success(row: TrafficMetrics) -> Fraction | str:
    success, failure = row.success, row.failure
    if success is None or failure is None or success + failure == 0:
        return "no success rate is known"
    return Fraction(success, success + failure)


def _failures(row: TrafficMetrics) -> Fraction | str:
    return "no failures are known" if row.failure is None else Fraction(row.failure, 1000)


def _rate(row: TrafficMetrics) -> Fraction | str:
    if row.success is None or row.failure is None:
        return "no rate is known"
    return Fraction(row.success + row.failure, 1000 * row.window.seconds)


def _latency(percentile: str, subject: int) -> Callable[[_Rows], Fraction | str]:
    def value(rows: _Rows) -> Fraction | str:
        micro: int | None = getattr(rows[subject], percentile)
        return f"the source does not tell the {percentile}" if micro is None else Fraction(micro, 1_000_000)

    return value


def _drop(rows: _Rows) -> Fraction | str:
    baseline, candidate = (_success(row) for row in rows)
    if isinstance(baseline, str) or isinstance(candidate, str):
        return "no success rate is known of both"
    return baseline - candidate


def _rise(percentile: str) -> Callable[[_Rows], Fraction | str]:
    def value(rows: _Rows) -> Fraction | str:
        baseline, candidate = (_latency(percentile, subject)(rows) for subject in (0, 1))
        if isinstance(baseline, str) or isinstance(candidate, str):
            return f"the source does not tell the {percentile} of both"
        if baseline == 0:
            return f"the {percentile} of the baseline is not measurably above 0"
        return candidate / baseline - 1

    return value
