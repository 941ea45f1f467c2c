"""Histories become time series: a frame for each row and metric, with null where it was not known."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from apiservice.result import Result
from apiservice.surfaces.grafana.filters import full_name, words_of
from apiservice.surfaces.grafana.frames import Field, Frame
from apiservice.surfaces.grafana.metrics import Metric
from apiservice.surfaces.grafana.wanted import Wanted
from metrics_api.golden import Golden, golden
from metrics_api.objects import TrafficMetrics
from metrics_api.query import Direction
from metrics_api.span import Span

__all__ = ["Legend", "Line", "labels_of", "lines_of", "series_frame"]

_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of one row at the instants of a span: ``numbers`` are by instant, in Unix seconds."""

    labels: Mapping[str, str]
    subject: str
    numbers: Mapping[int, Golden]


def labels_of(row: TrafficMetrics) -> dict[str, str]:
    """What tells a row from all others, as labels; those that are empty are left out."""
    found = {name: word for name, word in words_of(row).items() if word}
    if row.backend is not None:
        found |= {"apex": row.backend.apex, "backend": row.backend.name}
    return found


def lines_of(results: Iterable[tuple[int, Result]], wanted: Wanted) -> list[Line]:
    """The lines that a query wants of a history, sorted by their labels; each result is that of an instant."""
    known: dict[tuple[tuple[str, str], ...], tuple[TrafficMetrics, dict[int, Golden]]] = {}
    for instant, result in results:
        for row in result.rows:
            if wanted.has(row):
                labels = tuple(labels_of(row).items())
                known.setdefault(labels, (row, {}))[1][instant] = golden(row)
    return [Line(dict(labels), _subject(row), numbers) for labels, (row, numbers) in sorted(known.items())]


def _subject(row: TrafficMetrics) -> str:
    """Whom a row is about, in a few characters: ``web``, ``web → api``, ``split → web-canary``."""
    name = full_name(row)
    if row.backend is not None:
        name = f"{name} ⇒ {row.backend.name}"
    peer = row.edge.peer.name
    if not peer:
        return name
    return f"{name} → {peer}" if row.edge.direction is Direction.TO else f"{peer} → {name}"


@dataclass(frozen=True, slots=True)
class Legend:
    """How the series of one panel are called: with all that tells them apart, and nothing else."""

    metrics: bool
    places: bool
    kinds: bool

    @classmethod
    def of(cls, drawn: Sequence[tuple[Line, Metric]]) -> Legend:
        """The legend for what is drawn into one panel."""
        subjects: dict[str, set[tuple[str, str]]] = {}
        for line, _ in drawn:
            subjects.setdefault(line.subject, set()).add((line.labels.get("namespace", ""), line.labels.get("kind", "")))
        return cls(
            metrics=len({metric.name for _, metric in drawn}) > 1,
            places=any(len({namespace for namespace, _ in found}) > 1 for found in subjects.values()),
            kinds=any(len(found) > len({namespace for namespace, _ in found}) for found in subjects.values()),
        )

    def name(self, line: Line, metric: Metric, template: str = "") -> str:
        """The name of a series; ``template`` is the one of the query, with ``{{name}}`` for a label and ``{{metric}}``."""
        if template:
            words = {**line.labels, "metric": metric.name}
            return _PLACE.sub(lambda place: words.get(place[1], ""), template)
        parts = [line.subject, *([line.labels["kind"]] if self.kinds and "kind" in line.labels else [])]
        if self.places and "namespace" in line.labels:
            parts.append(f"({line.labels['namespace']})")
        if self.metrics:
            parts.append(metric.short)
        return " ".join(parts)


def series_frame(ref_id: str, line: Line, metric: Metric, span: Span, name: str) -> Frame:
    """One metric of a line; at an instant without a number it is null, so that a panel shows a gap."""
    values = [None if instant not in line.numbers else metric.value(line.numbers[instant]) for instant in span.instants]
    times = Field("Time", "time", [instant * 1_000 for instant in span.instants])
    value = Field(metric.name, "number", values, line.labels, {"unit": metric.unit, "displayNameFromDS": name})
    return Frame(ref_id, name, [times, value], {"type": "timeseries-multi"})
