"""Rows become a table: what tells them apart first, then their metrics, each in its unit."""

from __future__ import annotations

from collections.abc import Sequence

from apiservice.surfaces.grafana.filters import words_of
from apiservice.surfaces.grafana.frames import Field, Frame
from apiservice.surfaces.grafana.metrics import Metric
from metrics_api.golden import golden
from metrics_api.objects import TrafficMetrics

__all__ = ["table_frame"]

_ALWAYS = ("namespace", "kind", "name")
_OF_EDGES = ("direction", "peer_namespace", "peer_kind", "peer")


def table_frame(ref_id: str, name: str, rows: Sequence[TrafficMetrics], metrics: Sequence[Metric], *, edges: bool) -> Frame:
    """A frame with the rows. Its columns depend on what is asked and not on what there is, but for those of clusters and splits."""
    words = [words_of(row) for row in rows]
    numbers = [golden(row) for row in rows]
    columns = [*_ALWAYS, *(_OF_EDGES if edges else ()), *(["cluster"] if any(row.cluster for row in rows) else [])]
    fields = [Field(column, "string", [of[column] for of in words]) for column in columns]
    if any(row.backend is not None for row in rows):
        fields.append(Field("backend", "string", [row.backend.name if row.backend else "" for row in rows]))
        fields.append(Field("weight", "number", [row.backend.weight if row.backend else None for row in rows]))
    fields += [
        Field(metric.name, "number", [metric.value(of) for of in numbers], config={"unit": metric.unit}) for metric in metrics
    ]
    return Frame(ref_id, name, fields, {"type": "table"})
