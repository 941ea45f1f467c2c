"""Matrices become rows, instant by instant: the labels of a series are read once, and its numbers kept in eight bytes each.

A history of an hour has hundreds of instants, and the rows of all of them at once would take many times the memory of the answer they are
read from. So a matrix is kept in columns, one for each series, and rows are made for one instant at a time.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import astuple

from backends.dialects import Read, Reading, Rows
from backends.prometheus.client import NativeHistogram
from backends.prometheus.series import Bounds, decoder, native_histogram
from metrics_api import Histogram, merge

__all__ = ["StrayInstant", "rows_by_instant"]

_UNKNOWN = -1.0
"""In the place of a number that is not known. No count is negative."""

_POINTS: tuple[tuple[str, Any, Any], ...] = (
    ("values", list[tuple[float, str]], ()),
    ("histograms", list[tuple[float, NativeHistogram]], ()),
)

Key = tuple[str, ...]
Column: TypeAlias = "array[float]"


class StrayInstant(Exception):
    """A store answered for an instant it was not asked for; ``instant`` is in Unix seconds."""

    def __init__(self, instant: float) -> None:
        super().__init__(instant)
        self.instant = instant


def rows_by_instant(read: Read, texts: Iterable[msgspec.Raw], instants: range) -> Iterator[Rows]:
    """The rows of one read at each of ``instants``, in order; ``texts``, the series of the matrix in JSON, are all read beforehand.

    A row is missing where nothing is known; NaN, infinities and negative values are as good as missing. Raises :class:`StrayInstant`, what
    :data:`backends.prometheus.client.UNREADABLE` lists for what is no series, and ValueError when a value is not a number at all.
    """
    places = _Places({instant: place for place, instant in enumerate(instants)})
    if read.reading is not Reading.HISTOGRAM:
        unit = read.unit if read.reading is Reading.SUM else 1.0
        return _counts(_columns(read, texts, places, unit), len(places))
    return _histograms(*_buckets(read, texts, places), len(places))


class _Places(dict[float, int]):
    """Where each instant is in a column."""

    def __missing__(self, instant: float) -> int:
        raise StrayInstant(instant)


def _columns(read: Read, texts: Iterable[msgspec.Raw], places: _Places, unit: float) -> dict[Key, Column]:
    decode = decoder(read.by, _POINTS)
    return {astuple(series.metric): _column(series.values, places, unit) for series in map(decode, texts)}


def _counts(columns: Mapping[Key, Column], length: int) -> Iterator[Rows]:
    for place in range(length):
        yield {key: value for key, column in columns.items() if (value := column[place]) >= 0}


def _column(values: Iterable[tuple[float, str]], places: _Places, unit: float = 1.0) -> Column:
    column = array("d", [_UNKNOWN]) * len(places)
    for instant, text in values:
        value = float(text)
        if 0 <= value < math.inf:
            column[places[instant]] = value * unit
    return column


def _buckets(
    read: Read, texts: Iterable[msgspec.Raw], places: _Places
) -> tuple[dict[Key, dict[float, Column]], dict[Key, dict[int, Histogram]]]:
    """Classic histograms as a column per bucket, and native ones by the place of their instant."""
    decode = decoder((*read.by, "le"), _POINTS)
    classic: dict[Key, dict[float, Column]] = defaultdict(dict)
    native: dict[Key, dict[int, Histogram]] = defaultdict(dict)
    bounds = Bounds(read.unit)
    for text in texts:
        series = decode(text)
        *labels, le = astuple(series.metric)
        key = tuple(labels)
        if series.values and not math.isnan(bound := bounds[le]):
            held, column = classic[key], _column(series.values, places)
            # One bound may be spelt in two ways, "1" and "1.0", by different proxies, whose counts add up.
            held[bound] = _added(held[bound], column) if bound in held else column
        for instant, histogram in series.histograms:
            if (seen := native_histogram(histogram, read.unit)) is not None:
                native[key][places[instant]] = seen
    return classic, native


def _added(one: Column, other: Column) -> Column:
    pairs = zip(one, other, strict=True)
    return array("d", [left + right if left >= 0 and right >= 0 else max(left, right) for left, right in pairs])


def _histograms(
    classic: Mapping[Key, Mapping[float, Column]], native: Mapping[Key, Mapping[int, Histogram]], length: int
) -> Iterator[Rows]:
    streams = []
    for key, held in classic.items():
        layout = tuple(sorted(held))
        streams.append((key, layout, zip(*(held[bound] for bound in layout), strict=True)))
    for place in range(length):
        rows = {key: seen for key, seen_at in native.items() if (seen := seen_at.get(place)) is not None}
        for key, layout, counts in streams:
            histogram = _classic(layout, next(counts))
            if histogram is not None:
                # Some series of a group may be native and the others classic: all are observations of it.
                rows[key] = merge([rows[key], histogram]) if key in rows else histogram
        yield rows


def _classic(layout: tuple[float, ...], counts: tuple[float, ...]) -> Histogram | None:
    """A histogram of the buckets that are known; None without the one of everything, because then the total is not."""
    if min(counts) < 0:
        known = [(bound, count) for bound, count in zip(layout, counts, strict=True) if count >= 0]
        layout, counts = tuple(bound for bound, _ in known), tuple(count for _, count in known)
    if not layout or not math.isinf(layout[-1]):
        return None
    return Histogram.from_cumulative(layout, counts)
