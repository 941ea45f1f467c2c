"""Rows for programs: plain numbers as JSON or CSV, under the names that ``?format=numbers`` of the API has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from io import StringIO

from metrics_api.numbers import number_row
from metrics_api.objects import Edge, TrafficMetrics
from metrics_api.resources import EVERYTHING
from metrics_api.window import Window

__all__ = ["csv_lines", "json_text"]

_NOBODY = TrafficMetrics("", "", EVERYTHING, Edge(), 0, Window(1))


def json_text(rows: Iterable[TrafficMetrics], *, indent: int | None = 2) -> str:
    """The rows as one JSON array; on one line without ``indent``."""
    return json.dumps([number_row(row) for row in rows], indent=indent, ensure_ascii=False)


def csv_lines(rows: Sequence[TrafficMetrics], *, head: bool = True) -> str:
    """The rows as CSV, with empty fields for the unknown, and ``true`` and ``false`` as in JSON.

    ``head`` is the line of names, which is there without rows, too.
    """
    import csv  # noqa: PLC0415 few ask for it

    told = [number_row(row) for row in rows] or [number_row(_NOBODY)]
    out = StringIO()
    # What splits traffic has columns of its own, and so have the percentiles that a source adds.
    writer = csv.DictWriter(out, list(dict.fromkeys(name for row in told for name in row)), lineterminator="\n")
    if head:
        writer.writeheader()
    for row in told if rows else []:
        writer.writerow({name: str(value).lower() if isinstance(value, bool) else value for name, value in row.items()})
    return out.getvalue()
