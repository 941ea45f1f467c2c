"""Vectors become rows: values by label tuple, with what is no number of requests left out."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from backends.dialects import Read, Reading, Rows
from backends.prometheus.client import NativeHistogram, Series
from metrics_api import Histogram, merge

__all__ = ["rows_of"]

_LE = re.compile(rb'"le"\s*:\s*"([^"\\]*)"\s*,?')


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
            rows[_key(read, element)] = value
    return rows


def _histograms(read: Read, series: Sequence[Series]) -> dict[tuple[str, ...], Histogram]:
    buckets, rows = _buckets(read, series)
    layouts: dict[tuple[float, ...], tuple[float, ...]] = {}
    for key, pairs in buckets.items():
        pairs.sort()
        edges, cumulative = zip(*_distinct(pairs), strict=True)
        # Without the bucket of everything the total is not known, nor any percentile.
        if not math.isinf(edges[-1]):
            continue
        classic = Histogram.from_cumulative(layouts.setdefault(edges, edges), cumulative)
        # Some series of a group may be native and the others classic: all are observations of it.
        rows[key] = merge([rows[key], classic]) if key in rows else classic
    return rows


def _buckets(
    read: Read, series: Sequence[Series]
) -> tuple[dict[tuple[str, ...], list[tuple[float, float]]], dict[tuple[str, ...], Histogram]]:
    """The buckets of classic histograms, and the native histograms, by label values.

    The buckets of a histogram differ in ``le`` alone, so what is left of their labels without it tells that they belong together.
    """
    groups: dict[bytes, tuple[Series, list[tuple[float, float]]]] = {}
    natives: dict[tuple[str, ...], Histogram] = {}
    bounds: dict[bytes, float] = {}
    for element in series:
        if element.value is None:
            if element.histogram is not None and (native := _native(element.histogram[1], read.unit)) is not None:
                natives[_key(read, element)] = native
            continue
        count = float(element.value[1])
        raw = bytes(element.metric)
        found = _LE.search(raw)
        if found is None or not 0 <= count < math.inf:
            continue
        text = found[1]
        bound = bounds.get(text)
        if bound is None:
            bound = bounds[text] = _bound(text, read.unit)
        if bound == bound:  # noqa: PLR0124 NaN is the one value that differs from itself
            rest = raw[: found.start()] + raw[found.end() :]
            group = groups.get(rest)
            if group is None:
                group = groups[rest] = (element, [])
            group[1].append((bound, count))
    buckets: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
    for element, pairs in groups.values():
        buckets[_key(read, element)] += pairs
    return buckets, natives


def _key(read: Read, element: Series) -> tuple[str, ...]:
    label = element.labels.get
    return tuple([label(name, "") for name in read.by])


def _distinct(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Ascending bounds, each once: ``le="1"`` and ``le="1.0"`` are the same bucket, written by different proxies."""
    if all(left[0] != right[0] for left, right in pairwise(pairs)):
        return pairs
    counts: dict[float, float] = defaultdict(float)
    for bound, count in pairs:
        counts[bound] += count
    return list(counts.items())


def _bound(text: bytes, unit: float) -> float:
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
