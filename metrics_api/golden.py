"""Golden metrics: the numbers of a row as plain floats, for readers that do not speak quantities."""

from __future__ import annotations

from typing import NamedTuple

from metrics_api.objects import TrafficMetrics

__all__ = ["Golden", "golden"]

_MILLI = 1_000
_MICRO = 1_000_000


class Golden(NamedTuple):
    """What people judge a workload by. None is unknown, 0 is measured.

    ``requests_per_second`` is over the window; ``success_rate`` and ``failure_ratio`` are from 0 to 1, and unknown without requests;
    ``p50``, ``p90`` and ``p99`` are latencies in seconds; ``success`` and ``failure`` are requests in the window.
    """

    requests_per_second: float | None
    success_rate: float | None
    failure_ratio: float | None
    p50: float | None
    p90: float | None
    p99: float | None
    success: float | None
    failure: float | None


def golden(row: TrafficMetrics) -> Golden:
    """The golden metrics of a row. Rates need both counts: with one of them unknown they are, too."""
    success, failure = row.success, row.failure
    total = None if success is None or failure is None else success + failure
    return Golden(
        requests_per_second=None if total is None else total / (_MILLI * row.window.seconds),
        success_rate=success / total if total and success is not None else None,
        failure_ratio=failure / total if total and failure is not None else None,
        p50=_seconds(row.p50),
        p90=_seconds(row.p90),
        p99=_seconds(row.p99),
        success=None if success is None else success / _MILLI,
        failure=None if failure is None else failure / _MILLI,
    )


def _seconds(micro: int | None) -> float | None:
    return None if micro is None else micro / _MICRO
