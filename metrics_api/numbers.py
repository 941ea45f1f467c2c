"""Rows as plain numbers: one flat object each, for readers that know neither quantities nor lists of metrics."""

from __future__ import annotations

from typing import Any

from metrics_api.golden import golden
from metrics_api.instant import timestamp
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import GROUP

__all__ = ["number_row"]

_LATENCY = "_response_latency"
_MILLI = 1_000
_MARKS = ("incomplete", "sampled", "stale")
"""What is to be known of numbers before they decide anything: keys, and the annotations that say so."""


def number_row(row: TrafficMetrics) -> dict[str, Any]:
    """A row as plain numbers and texts, ready for JSON.

    Latencies are milliseconds, counts requests in the window, ratios from 0 to 1; whole numbers have no fraction. Texts are empty where
    there is nothing to tell: the peer of a total, the cluster nobody had to name.
    """
    numbers = golden(row)
    split = row.backend
    return {
        "namespace": row.resource.namespace,
        "kind": row.resource.kind,
        "name": row.resource.name,
        "cluster": row.cluster,
        **({"backendApex": split.apex, "backendName": split.name, "backendWeight": split.weight} if split else {}),
        "direction": row.edge.direction.value,
        "side": row.edge.side.value,
        "peerKind": row.edge.peer.kind,
        "peerNamespace": row.edge.peer.namespace,
        "peerName": row.edge.peer.name,
        "rps": _plain(numbers.requests_per_second),
        "successRate": _plain(numbers.success_rate),
        "failureRatio": _plain(numbers.failure_ratio),
        "p50Ms": _thousandth(row.p50),
        "p90Ms": _thousandth(row.p90),
        "p99Ms": _thousandth(row.p99),
        **{f"{extra.name.removesuffix(_LATENCY)}Ms": _thousandth(extra.micro) for extra in row.extras},
        "successCount": _thousandth(row.success),
        "failureCount": _thousandth(row.failure),
        "window": str(row.window),
        "windowSeconds": row.window.seconds,
        "timestamp": timestamp(row.instant),
        "source": row.source,
        **{mark: row.annotations.get(f"{GROUP}/{mark}") == "true" for mark in _MARKS},
    }


def _thousandth(value: int | None) -> float | None:
    """A thousandth of a whole number, as near as a float can be, which prints as the decimal that it is."""
    return None if value is None else _plain(value / _MILLI)


def _plain(value: float | None) -> float | None:
    return int(value) if value is not None and value.is_integer() else value
