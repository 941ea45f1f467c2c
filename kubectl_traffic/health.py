"""What a row's share of failures says: one of five conditions, each with a word, so that colour is never alone.

The bounds are those that Kiali has for HTTP by default: degraded from 0.1 % of failures, failing from 10 %
(kiali/kiali.io: content/en/docs/Configuration/health.md).
"""

from __future__ import annotations

from enum import Enum

from metrics_api.objects import TrafficMetrics

__all__ = ["Health", "health_of"]

_DEGRADED, _FAILING = 1_000, 10  # one failure in so many requests


class Health(Enum):
    """The conditions, the worst first; the value is what people read."""

    FAILING = "failing"
    DEGRADED = "degraded"
    HEALTHY = "healthy"
    IDLE = "no traffic"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Health).index(self)

    @property
    def quiet(self) -> bool:
        """Whether it says nothing for or against a row, because there are no requests, or none that are known."""
        return self in (Health.IDLE, Health.UNKNOWN)


def health_of(row: TrafficMetrics) -> Health:
    """The condition of a row: without requests there is no rate of success, and without numbers nothing is known."""
    success, failure = row.success, row.failure
    if success is None or failure is None:
        return Health.UNKNOWN
    total = success + failure
    if not total:
        return Health.IDLE
    if failure * _FAILING >= total:
        return Health.FAILING
    return Health.DEGRADED if failure * _DEGRADED >= total else Health.HEALTHY
