"""Vectors become rows: values by label tuple, with what is no number of requests left out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from backends.dialects import Read, Reading, Rows
from backends.prometheus.client import NativeHistogram, Series
from metrics_api import Histogram, merge

__all__ = ["rows_of"]


def rows_of(read: Read, series: Sequence[Series]) -> Rows:
    """The rows of one read. NaN, infinities and negative values are dropped: they say that nothing is known.

    ValueError when a value is not a number at all.
    """
    return _histograms(read, series) if read.reading is Reading.HISTOGRAM else _counts(read, series)


def _counts(read: Read, series: Sequence[Series]) -> dict[tuple[str, ...], float]:
    rows: dict[tuple[str, ...], float] = {}
    for element in series:
        if element.value is None:
            continue
        value = float(element.value[1])
        if 0 <= value < math.inf:
            label = element.metric.get
            rows[tuple([label(name, "") for name in read.by])] = value
    return rows


def _histograms(read: Read, series: Sequence[Series]) -> dict[tuple[str, ...], Histogram]:
    buckets: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    rows: dict[tuple[str, ...], Histogram] = {}
    bounds: dict[str, float] = {}
    for element in series:
        label = element.metric.get
        key = tuple([label(name, "") for name in read.by])
        if element.value is not None:
            text = label("le", "")
            bound = bounds.get(text)
            if bound is None:
                bound = bounds[text] = _bound(text, read.unit)
            count = float(element.value[1])
            if 0 <= count < math.inf and bound == bound:  # noqa: PLR0124 NaN is the one value that differs from itself
                buckets[key].append((bound, count))
        elif element.histogram is not None and (native := _native(element.histogram[1], read.unit)) is not None:
            rows[key] = native
    layouts: dict[tuple[float, ...], tuple[float, ...]] = {}
    for key, pairs in buckets.items():
        pairs.sort()
        edges, cumulative = zip(*pairs, strict=True)
        # Without the bucket of everything the total is not known, nor any percentile.
        if not math.isinf(edges[-1]):
            continue
        classic = Histogram.from_cumulative(layouts.setdefault(edges, edges), cumulative)
        # Some series of a group may be native and the others classic: all are observations of it.
        rows[key] = merge([rows[key], classic]) if key in rows else classic
    return rows


def _bound(text: str, unit: float) -> float:
    try:
        return float(text) * unit
    except ValueError:
        return math.nan


def _native(histogram: NativeHistogram, unit: float) -> Histogram | None:
    buckets = []
    for _, left, right, text in histogram.buckets:
        count = float(text)
        if 0 <= count < math.inf:
            buckets.append((float(left) * unit, float(right) * unit, count))
    return Histogram.from_buckets(sorted(buckets))
