"""Data frames as Grafana reads them, and the forms that older data sources know instead.

A frame is ``{"refId", "name", "meta", "fields": [{"name", "type", "values", "labels", "config"}]}`` (grafana/grafana,
packages/grafana-data/src/dataframe/processDataFrame.ts, ``toDataFrame``). Times are in milliseconds, None is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Field", "Frame", "old_series", "old_table", "wire"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column. ``type`` is time, number or string; ``config`` is Grafana's, such as ``unit`` and ``displayNameFromDS``."""

    name: str
    type: str
    values: Sequence[Any]
    labels: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        """The field as sent."""
        made: dict[str, Any] = {"name": self.name, "type": self.type, "values": list(self.values), "config": dict(self.config)}
        if self.labels:
            made["labels"] = dict(self.labels)
        return made


@dataclass(frozen=True, slots=True)
class Frame:
    """One table or series. ``meta`` is Grafana's; ``notices`` are sentences that it shows with the panel."""

    ref_id: str
    name: str
    fields: Sequence[Field]
    meta: Mapping[str, Any] = field(default_factory=dict)
    notices: Sequence[str] = ()


def wire(frame: Frame) -> dict[str, Any]:
    """The frame as sent."""
    meta = dict(frame.meta)
    if frame.notices:
        meta["notices"] = [{"severity": "warning", "text": text} for text in frame.notices]
    made: dict[str, Any] = {"refId": frame.ref_id, "name": frame.name, "fields": [each.wire() for each in frame.fields]}
    if meta:
        made["meta"] = meta
    return made


def old_series(frame: Frame) -> dict[str, Any]:
    """A series as the data sources of before 2020 know it: ``{"target", "datapoints": [[value, milliseconds], …]}``."""
    times, values = frame.fields
    made: dict[str, Any] = {
        "target": values.config.get("displayNameFromDS") or frame.name,
        "refId": frame.ref_id,
        "datapoints": [[value, time] for value, time in zip(values.values, times.values, strict=True)],
    }
    if values.labels:
        made["tags"] = dict(values.labels)
    if "unit" in values.config:
        made["unit"] = values.config["unit"]
    return made


def old_table(frame: Frame) -> dict[str, Any]:
    """A table as those data sources know it: ``{"type": "table", "columns", "rows"}``."""
    return {
        "type": "table",
        "refId": frame.ref_id,
        "columns": [{"text": each.name, "type": each.type} for each in frame.fields],
        "rows": [list(row) for row in zip(*(each.values for each in frame.fields), strict=True)],
    }
