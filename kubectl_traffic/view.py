"""What ``kubectl traffic top`` shows of rows: the cells ``kubectl get`` has, what a row's health is in a word, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kubectl_traffic.health import Health, health_of
from kubectl_traffic.sheet import Cell, Heading
from metrics_api.golden import Golden, golden
from metrics_api.objects import TrafficMetrics
from metrics_api.table import EDGE_COLUMNS, RESOURCE_COLUMNS, SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS, Column, cells

__all__ = ["SORTABLE", "View", "key_of", "measure", "sort_rows"]

_ELASTIC = ("namespace", "name", "peer", "backend", "apex", "source")
_SPARE = {"health": 1, "p50": 2, "p90": 3, "trend": 4}
"""What a narrow terminal does without, the highest first."""
_COLOURS = {
    Health.FAILING: "red",
    Health.DEGRADED: "yellow",
    Health.HEALTHY: "green",
    Health.IDLE: "dim",
    Health.UNKNOWN: "dim",
}
_SUCCESS = "Success"

Measure = Callable[[Golden], float | None]

_MEASURES: Mapping[str, Measure] = {
    "success": lambda told: told.success_rate,
    "rps": lambda told: told.requests_per_second,
    "p50": lambda told: told.p50,
    "p90": lambda told: told.p90,
    "p99": lambda told: told.p99,
    "failures": lambda told: told.failure,
}
_TEXTS: Mapping[str, Callable[[TrafficMetrics], str]] = {
    "namespace": lambda row: row.namespace,
    "name": lambda row: row.name,
    "peer": lambda row: f"{row.edge.peer.namespace}/{row.edge.peer.name}/{row.edge.peer.kind}",
}
_HEALTH = "health"
SORTABLE = (*_TEXTS, *_MEASURES, _HEALTH)
"""The columns rows can be sorted by, as users type them."""


def measure(name: str) -> Measure:
    """How to read a measure of :data:`SORTABLE` out of golden metrics; seconds, or requests. KeyError when it is a text."""
    return _MEASURES[name]


def key_of(row: TrafficMetrics) -> tuple[str, ...]:
    """What a row is about, the same in every answer."""
    peer = row.edge.peer
    backend = row.backend.name if row.backend else ""
    return (row.cluster, row.namespace, row.resource.kind, row.name, row.edge.direction.value, *peer, backend)


def sort_rows(rows: Sequence[TrafficMetrics], column: str, *, reverse: bool = False) -> list[TrafficMetrics]:
    """The rows with the most remarkable first: texts from A, the worst health and success, the most of all others; the unknown last.

    Rows that are equal keep their order. ``reverse`` turns the order round, but for the unknown.
    """
    if column in _TEXTS:
        return sorted(rows, key=_TEXTS[column], reverse=reverse)
    if column == _HEALTH:
        return sorted(rows, key=lambda row: health_of(row).rank, reverse=reverse)
    read = _MEASURES[column]
    values = [(read(golden(row)), row) for row in rows]
    known = [(value, row) for value, row in values if value is not None]
    known.sort(key=lambda pair: pair[0], reverse=(column != "success") != reverse)
    return [row for _, row in known] + [row for value, row in values if value is None]


@dataclass(frozen=True, slots=True)
class View:
    """Which columns there are: a namespace for each row (``everywhere``), those of edges, of splits and of ``wide``, and a trend."""

    everywhere: bool = False
    edges: bool = False
    split: bool = False
    wide: bool = False
    trend: bool = False

    def headings(self) -> list[Heading]:
        """The heads of the columns."""
        names = [column.name for column in self._columns if self.wide or not column.priority]
        names = [*(["Namespace"] if self.everywhere else []), *names, "Health", *(["Trend"] if self.trend else [])]
        return [Heading(name.upper(), name.lower() in _ELASTIC, _SPARE.get(name.lower(), 0)) for name in names]

    def cells(self, row: TrafficMetrics, trend: str = "") -> list[Cell]:
        """The cells of a row under those heads."""
        health = health_of(row)
        shade = "dim" if health.quiet else ""
        out = [Cell(row.namespace, shade)] if self.everywhere else []
        for column, text in zip(self._columns, cells(row, self._columns), strict=True):
            if self.wide or not column.priority:
                out.append(Cell(text, _COLOURS[health] if column.name == _SUCCESS else shade))
        out.append(Cell(health.value, _COLOURS[health]))
        return [*out, Cell(trend, "cyan")] if self.trend else out

    @property
    def _columns(self) -> tuple[Column, ...]:
        if self.split:
            return SPLIT_EDGE_COLUMNS if self.edges else SPLIT_COLUMNS
        return EDGE_COLUMNS if self.edges else RESOURCE_COLUMNS
