"""Answers in the form they were asked for: objects and lists, Tables, or their metadata alone; as JSON or YAML.

A list is encoded a few rows at a time, so that one of a hundred thousand rows neither exists twice in memory nor keeps the server
from answering others meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from apiservice.catalog import KIND
from apiservice.encoding import encode, indent, yaml_text
from apiservice.negotiate import Encoding, Transform
from metrics_api.errors import BadQuery
from metrics_api.objects import LatencyUnit, TrafficMetrics, list_wire, resource_version
from metrics_api.provenance import INCOMPLETE
from metrics_api.resources import API_VERSION, ResourceRef
from metrics_api.table import EDGE_COLUMNS, RESOURCE_COLUMNS, SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS, Column, cells

__all__ = [
    "Sheet",
    "Style",
    "bookmark_document",
    "encode_sheet",
    "include_object",
    "mark_incomplete",
    "object_document",
    "represent_list",
    "represent_object",
]

_ROWS_AT_ONCE = 50
_INCLUDABLE = ("Metadata", "Object", "None")


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer is wanted. ``include`` says what rows of a Table carry beside their cells.

    ``edges`` and ``split`` (a row for each backend) choose the columns. ``numbers`` are :mod:`apiservice.numbers`.
    """

    encoding: Encoding = Encoding.JSON
    transform: Transform | None = None
    pretty: bool = False
    include: str = "Metadata"
    edges: bool = False
    split: bool = False
    unit: LatencyUnit = LatencyUnit.SECONDS
    numbers: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a Table."""
        if self.split:
            return SPLIT_EDGE_COLUMNS if self.edges else SPLIT_COLUMNS
        return EDGE_COLUMNS if self.edges else RESOURCE_COLUMNS


@dataclass(frozen=True, slots=True)
class Sheet:
    """A document with rows under ``key``: what stands around them, and what one of them looks like."""

    envelope: dict[str, Any]
    key: str
    row: Callable[[TrafficMetrics], Any]


def include_object(query: Mapping[str, str]) -> str:
    """What ``includeObject`` asks the rows of a Table to carry; :class:`BadQuery` for an unknown word."""
    asked = query.get("includeObject", "") or "Metadata"
    if asked not in _INCLUDABLE:
        raise BadQuery(f'unrecognized includeObject value: "{asked}": it is one of {", ".join(_INCLUDABLE)}')
    return asked


def mark_incomplete(rows: Sequence[TrafficMetrics]) -> tuple[TrafficMetrics, ...]:
    """The rows, each annotated as possibly incomplete: a list cannot be annotated."""
    # Most rows share what they are annotated with.
    marked: dict[int, Mapping[str, str]] = {}
    for row in rows:
        if id(row.annotations) not in marked:
            marked[id(row.annotations)] = {**row.annotations, INCOMPLETE: "true"}
    return tuple(replace(row, annotations=marked[id(row.annotations)]) for row in rows)


def represent_object(row: TrafficMetrics, style: Style) -> Iterator[bytes]:
    """One object, or its Table of one row, or its metadata."""
    return iter([encode(object_document(row, style), style.encoding, pretty=style.pretty)])


def object_document(row: TrafficMetrics, style: Style, *, columns: bool = True) -> dict[str, Any]:
    """One object as it is wanted, ready to be encoded; ``columns`` says whether a Table defines its columns."""
    if style.transform is None:
        return row.wire(style.unit)
    if style.transform.kind == "Table":
        sheet = _table({"resourceVersion": resource_version(row.told_at)}, style.transform, style)
        return {**sheet.envelope, **({} if columns else {"columnDefinitions": None}), sheet.key: [sheet.row(row)]}
    return _partial(row, style.transform)


def bookmark_document(version: int, annotations: Mapping[str, str], style: Style, *, columns: bool = True) -> dict[str, Any]:
    """An object that says nothing but how far a watch has come, in Unix seconds; a Table of it is a row of empty cells."""
    metadata: dict[str, Any] = {"resourceVersion": resource_version(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = dict(annotations)
    wanted = style.transform
    if wanted is None:
        return {"kind": KIND, "apiVersion": API_VERSION, "metadata": metadata}
    single = _envelope(wanted._replace(kind="PartialObjectMetadata"), metadata)
    if wanted.kind != "Table":
        return single
    definitions = style.columns
    return {
        **_envelope(wanted, {"resourceVersion": resource_version(version)}),
        "columnDefinitions": [column.wire() for column in definitions] if columns else None,
        "rows": [{"cells": [""] * len(definitions), "object": single}],
    }


def represent_list(
    rows: Sequence[TrafficMetrics], metadata: Mapping[str, Any], resource: ResourceRef, style: Style
) -> Iterator[bytes]:
    """A list, in parts to be joined; parts may be empty. ``metadata`` is its ListMeta, ``resource`` what was asked for."""
    wanted = style.transform
    if wanted is None:
        envelope = list_wire((), metadata, resource)
        del envelope["items"]
        sheet = Sheet(envelope, "items", lambda row: row.wire(style.unit))
    elif wanted.kind == "Table":
        sheet = _table(metadata, wanted, style)
    else:
        single = wanted._replace(kind=wanted.kind.removesuffix("List"))
        sheet = Sheet(_envelope(wanted, metadata), "items", lambda row: _partial(row, single))
    return encode_sheet(sheet, rows, style)


def _table(metadata: Mapping[str, Any], wanted: Transform, style: Style) -> Sheet:
    columns = style.columns
    single = wanted._replace(kind="PartialObjectMetadata")

    def table_row(row: TrafficMetrics) -> dict[str, Any]:
        shown: dict[str, Any] = {"cells": cells(row, columns)}
        if style.include == "Object":
            shown["object"] = row.wire(style.unit)
        elif style.include == "Metadata":
            shown["object"] = _partial(row, single)
        return shown

    definitions = [column.wire() for column in columns]
    return Sheet({**_envelope(wanted, metadata), "columnDefinitions": definitions}, "rows", table_row)


def _envelope(wanted: Transform, metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": wanted.kind, "apiVersion": wanted.api_version, "metadata": dict(metadata)}


def _partial(row: TrafficMetrics, wanted: Transform) -> dict[str, Any]:
    return _envelope(wanted, row.metadata())


def encode_sheet(sheet: Sheet, rows: Sequence[TrafficMetrics], style: Style) -> Iterator[bytes]:
    """A document with rows in the encoding of a style, in parts to be joined."""
    if style.encoding is Encoding.YAML:
        return _yaml(sheet, rows)
    return _pretty_json(sheet, rows) if style.pretty else _json(sheet, rows)


def _json(sheet: Sheet, rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    yield encoder.encode(sheet.envelope)[:-1] + f',"{sheet.key}":['.encode()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        part = b",".join([encoder.encode(sheet.row(row)) for row in rows[start : start + _ROWS_AT_ONCE]])
        yield b"," + part if start else part
    yield b"]}\n"


def _pretty_json(sheet: Sheet, rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    yield indent(encoder.encode(sheet.envelope)).removesuffix(b"\n}") + f',\n  "{sheet.key}": ['.encode()
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        # No string in JSON holds a line break, so each one in the text begins a line to be moved in.
        lines = [indent(encoder.encode(sheet.row(row))).replace(b"\n", b"\n    ") for row in rows[start : start + _ROWS_AT_ONCE]]
        yield (b",\n    " if start else b"\n    ") + b",\n    ".join(lines)
    yield b"\n  ]\n}\n" if rows else b"]\n}\n"


def _yaml(sheet: Sheet, rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
    yield yaml_text(sheet.envelope)
    yield f"{sheet.key}:\n".encode() if rows else f"{sheet.key}: []\n".encode()
    for row in rows:
        yield yaml_text([sheet.row(row)])
