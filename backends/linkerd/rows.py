"""Rows of Linkerd viz, read: which object each is about, and what its numbers say, and what they do not say.

Source: linkerd/linkerd2, viz/metrics-api/stat_summary.go and prometheus.go (extractSampleValue).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.kinds import CARRIED, WIRE
from metrics_api import BadQuery, Percentiles, ResourceRef, Window, parse_duration

__all__ = ["PERCENTILES", "Numbers", "Row", "about", "measured", "other_windows", "passed", "received"]

Row = viz.StatTable.PodGroup.Row

PERCENTILES = (0.5, 0.95, 0.99)
"""The percentiles there are."""

_NO_NUMBER = 1 << 63
"""What a machine makes of infinity, or of less than nothing, where only whole numbers from 0 on have room; nobody counts so far."""


class Numbers(NamedTuple):
    """Requests that succeeded and failed in the window, and how long they took; None is unknown."""

    success: float | None
    failure: float | None
    latency: Percentiles | None


def about(row: Row, kind: str, namespace: str = "", name: str = "") -> ResourceRef | None:
    """The object of a kind that a row is about; None where it is none of those asked for."""
    resource = row.resource
    if resource.type != WIRE[kind] or not resource.name or name not in ("", resource.name):
        return None
    if kind == "Namespace":
        return ResourceRef(kind, "", resource.name)
    if not resource.namespace or namespace not in ("", resource.namespace):
        return None
    return ResourceRef(kind, resource.namespace, resource.name)


def measured(row: Row) -> Numbers | None:
    """The numbers that are in a row; None where there are none, which is how viz tells of series that do not exist or did not move."""
    if not row.HasField("stats"):
        return None
    stats = row.stats
    return Numbers(_count(stats.success_count), _count(stats.failure_count), _latency(stats))


def received(row: Row, kind: str) -> Numbers | None:
    """The numbers of a row about what an object received; None where nothing is known.

    Pods in the mesh whose proxies counted nothing received nothing, if their series would have the name of the object.
    """
    numbers = measured(row)
    if numbers is None and kind in CARRIED and row.meshed_pod_count > 0:
        return Numbers(0.0, 0.0, None)
    return numbers


def passed(row: Row, kind: str) -> Numbers | None:
    """The numbers of a row about what passed between an object and a peer of this kind; None where nothing is known.

    There is such a row because there are series. Where it has no numbers these did not move; a Service has zeros of its own for that.
    """
    numbers = measured(row)
    return Numbers(0.0, 0.0, None) if numbers is None and kind != "Service" else numbers


def other_windows(rows: Iterable[Row], window: Window) -> frozenset[str]:
    """The windows that rows say they are of, where it is not the one that was asked for."""
    return frozenset(echo for echo in {row.time_window for row in rows} if echo and _seconds(echo) != window.seconds)


def _latency(stats: viz.BasicStats) -> Percentiles | None:
    """Percentiles in seconds. A whole number of milliseconds that is 0 says that there is none: the first bucket ends at 1 ms."""
    told = zip(PERCENTILES, (stats.latency_ms_p50, stats.latency_ms_p95, stats.latency_ms_p99), strict=True)
    values = {quantile: milliseconds / 1000 for quantile, milliseconds in told if 0 < milliseconds < _NO_NUMBER}
    return Percentiles(values) if values else None


def _count(requests: int) -> float | None:
    return float(requests) if requests < _NO_NUMBER else None


def _seconds(text: str) -> float | None:
    try:
        return float(parse_duration(text))
    except BadQuery:
        return None
