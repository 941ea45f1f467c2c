"""What kubectl shows: the columns, static, and the cells of each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from metrics_api.objects import TrafficMetrics
from metrics_api.resources import EVERYTHING, ResourceRef

__all__ = ["ABSENT", "EDGE_COLUMNS", "RESOURCE_COLUMNS", "SPLIT_COLUMNS", "SPLIT_EDGE_COLUMNS", "Column", "cells"]

ABSENT = "-"


class Column(NamedTuple):
    """One column definition of a ``meta.k8s.io`` Table; a priority above 0 shows with ``-o wide`` only."""

    name: str
    description: str
    priority: int = 0
    format: str = ""
    type: str = "string"

    def wire(self) -> dict[str, Any]:
        """The definition as sent: all five fields are always present."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


_NAME = Column("Name", "Name of the resource.", format="name")
_MEASURES = (
    Column("Success", "Share of the requests in the window that succeeded."),
    Column("RPS", "Requests per second over the window."),
    Column("P50", "Median response latency."),
    Column("P90", "90th percentile of response latency."),
    Column("P99", "99th percentile of response latency."),
)
_WIDE = (
    Column("Failures", "Requests in the window that failed.", 1),
    Column("Window", "Stretch of time the numbers cover.", 1),
    Column("Side", "Which proxy observed: that of the client or of the server.", 1),
    Column("Source", "Configured source the numbers come from.", 1),
)

RESOURCE_COLUMNS: tuple[Column, ...] = (_NAME, *_MEASURES, *_WIDE)
_EDGE = (
    Column("Direction", "to: requests the resource sent; from: requests it received."),
    Column("Peer", "Whom the resource exchanged the requests with."),
)
_BACKEND = (
    Column("Backend", "The Service that answered."),
    Column("Weight", "The share of requests it is to get, in proportion to the weights of the others."),
)
_APEX = Column("Apex", "The Service that clients called.", 1)

EDGE_COLUMNS: tuple[Column, ...] = (_NAME, *_EDGE, *_MEASURES, *_WIDE)
SPLIT_COLUMNS: tuple[Column, ...] = (_NAME, *_BACKEND, *_MEASURES, _APEX, *_WIDE)
"""Those of a resource with a row for each backend."""
SPLIT_EDGE_COLUMNS: tuple[Column, ...] = (_NAME, *_BACKEND, *_EDGE, *_MEASURES, _APEX, *_WIDE)


def cells(row: TrafficMetrics, columns: Sequence[Column]) -> list[str]:
    """The cells of one object, for the columns of this module that its list has."""
    out, wide = [row.name], []
    if columns in (SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS):
        backend = row.backend
        out += [backend.name, str(backend.weight)] if backend else [ABSENT, ABSENT]
        wide = [(backend.apex if backend else "") or ABSENT]
    if columns in (EDGE_COLUMNS, SPLIT_EDGE_COLUMNS):
        out += [row.edge.direction.value, _peer(row.edge.peer, row.resource.namespace)]
    observed = row.success is not None or row.failure is not None
    return [
        *out,
        _success(row.success, row.failure),
        _rps(row),
        _latency(row.p50),
        _latency(row.p90),
        _latency(row.p99),
        *wide,
        ABSENT if row.failure is None else _count(row.failure),
        str(row.window),
        row.edge.side.value if observed else ABSENT,
        row.source or ABSENT,
    ]


def _success(success: int | None, failure: int | None) -> str:
    if success is None or failure is None or success + failure == 0:
        return ABSENT
    if not failure:
        return "100.00%"
    # One failure in a million must not read as 100 %, nor one success as none.
    share = round(10_000 * success / (success + failure))
    return f"{min(max(share, 1 if success else 0), 9_999) / 100:.2f}%"


def _rps(row: TrafficMetrics) -> str:
    if row.success is None or row.failure is None:
        return ABSENT
    return f"{(row.success + row.failure) / 1000 / row.window.seconds:.1f}rps"


def _latency(micro: int | None) -> str:
    if micro is None:
        return ABSENT
    if micro < 1_000:
        return f"{micro / 1_000:.1f}ms"
    if micro < 999_500:
        return f"{micro / 1_000:.0f}ms"
    return f"{micro / 1_000_000:.1f}s"


def _count(milli: int) -> str:
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def _peer(peer: ResourceRef, home: str) -> str:
    if peer == EVERYTHING:
        return ABSENT
    name = peer.name if not peer.namespace or peer.namespace == home else f"{peer.name}.{peer.namespace}"
    return f"{peer.kind.lower()}/{name}" if peer.kind else name
