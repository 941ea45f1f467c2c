"""Objects of the API, read back: for clients, which get them as JSON from whichever server there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metrics_api.errors import BadQuery
from metrics_api.instant import parse_instant
from metrics_api.objects import Edge, Extra, SplitBackend, TrafficMetrics
from metrics_api.provenance import CLUSTER, SOURCE
from metrics_api.quantity import Quantity
from metrics_api.query import Direction, Side
from metrics_api.resources import ResourceRef
from metrics_api.window import Window, parse_duration

__all__ = ["row_of"]

_FIVE = ("p99_response_latency", "p90_response_latency", "p50_response_latency", "success_count", "failure_count")
_NANO_PER_MICRO = {"seconds": 1_000, "s": 1_000, "ms": 1_000_000}
"""Nano units of a latency that are one microsecond; servers of 2019 and 2020 send milliseconds."""
_NANO_PER_MILLI = 1_000_000
_ANY_TIME = float("inf")
"""The clock of a client may be late: no instant that a server tells of is in the future."""


def row_of(document: Mapping[str, Any]) -> TrafficMetrics:
    """The row that a TrafficMetrics object in JSON tells of: the opposite of :meth:`metrics_api.objects.TrafficMetrics.wire`.

    A window that is not in whole seconds is rounded up. Raises :class:`metrics_api.errors.BadQuery` when it is no such object.
    """
    try:
        return _row(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadQuery(f"the server answered what is no TrafficMetrics object: {type(error).__name__}: {error}") from error


def _row(document: Mapping[str, Any]) -> TrafficMetrics:
    metadata = document["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    edge = document.get("edge") or {}
    found: dict[str, int | None] = {}
    for metric in document["metrics"]:
        name, unit, value = metric["name"], metric.get("unit") or "", metric.get("value")
        found[name] = None if value is None else _whole(str(value), _NANO_PER_MICRO[unit] if unit else _NANO_PER_MILLI)
    instant = parse_instant(document["timestamp"], _ANY_TIME)
    version = int(text) if (text := metadata.get("resourceVersion") or "").isdecimal() else instant
    backend = document.get("backend")
    return TrafficMetrics(
        name=metadata["name"],
        namespace=metadata.get("namespace") or "",
        resource=_ref(document["resource"]),
        edge=Edge(Direction(edge.get("direction") or "from"), Side(edge.get("side") or "server"), _ref(edge.get("resource") or {})),
        instant=instant,
        window=Window(max(1, int(-(-parse_duration(document["window"]) // 1)))),
        p99=found.pop(_FIVE[0], None),
        p90=found.pop(_FIVE[1], None),
        p50=found.pop(_FIVE[2], None),
        success=found.pop(_FIVE[3], None),
        failure=found.pop(_FIVE[4], None),
        labels=dict(metadata.get("labels") or {}),
        annotations=annotations,
        source=annotations.get(SOURCE, ""),
        extras=tuple(Extra(name, micro) for name, micro in found.items()),
        backend=SplitBackend(backend["apex"], backend["name"], int(backend["weight"])) if backend else None,
        version=None if version == instant else version,
        cluster=annotations.get(CLUSTER, ""),
    )


def _whole(text: str, scale: int) -> int:
    """A quantity in units of ``scale`` nano units, rounded to the nearest."""
    return (Quantity.parse(text).nano + scale // 2) // scale


def _ref(document: Mapping[str, Any]) -> ResourceRef:
    return ResourceRef(document.get("kind") or "", document.get("namespace") or "", document.get("name") or "")
