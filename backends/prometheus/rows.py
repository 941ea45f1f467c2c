"""Vectors become rows: values by label tuple, with what is no number of requests left out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec.structs import astuple

from backends.dialects import Read, Reading, Rows
from backends.prometheus.client import NativeHistogram
from backends.prometheus.series import Bounds, decoder, native_histogram
from metrics_api import Histogram, merge

__all__ = ["rows_of"]


_POINT: tuple[tuple[str, Any, Any], ...] = (
    ("value", tuple[float, str] | None, None),
    ("histogram", tuple[float, NativeHistogram] | None, None),
)


def rows_of(read: Read, texts: Iterable[msgspec.Raw]) -> Rows:
    """The rows of one read; ``texts`` are the series of the vector in JSON.

    NaN, infinities and negative values are dropped: they say that nothing is known. Raises what
    :data:`backends.prometheus.client.UNREADABLE` lists for what is no series, and ValueError when a value is not a number at all.
    """
    if read.reading is Reading.HISTOGRAM:
        return _histograms(read, texts)
    counts = _counts(read, texts)
    return counts if read.reading is Reading.COUNTER else {key: value * read.unit for key, value in counts.items()}


def _counts(read: Read, texts: Iterable[msgspec.Raw]) -> dict[tuple[str, ...], float]:
    decode = decoder(read.by, _POINT)
    rows: dict[tuple[str, ...], float] = {}
    for text in texts:
        series = decode(text)
        if series.value is None:
            continue
        value = float(series.value[1])
        if 0 <= value < math.inf:
            rows[astuple(series.metric)] = value
    return rows


def _histograms(read: Read, texts: Iterable[msgspec.Raw]) -> dict[tuple[str, ...], Histogram]:
    decode = decoder((*read.by, "le"), _POINT)
    buckets: dict[tuple[str, ...], dict[float, float]] = defaultdict(dict)
    rows: dict[tuple[str, ...], Histogram] = {}
    bounds = Bounds(read.unit)
    for text in texts:
        series = decode(text)
        labels = astuple(series.metric)
        if series.value is not None:
            count = float(series.value[1])
            if 0 <= count < math.inf:
                held, bound = buckets[labels[:-1]], bounds[labels[-1]]
                # One bound may be spelt in two ways, "1" and "1.0", by different proxies, whose counts add up.
                held[bound] = held[bound] + count if bound in held else count
        elif series.histogram is not None and (native := native_histogram(series.histogram[1], read.unit)) is not None:
            rows[labels[:-1]] = native
    layouts: dict[tuple[float, ...], tuple[float, ...]] = {}
    for key, held in buckets.items():
        order = tuple(held)
        layout = layouts.get(order)
        if layout is None:
            layout = layouts[order] = tuple(sorted(bound for bound in order if not math.isnan(bound)))
        # Without the bucket of everything the total is not known, nor any percentile.
        if not layout or not math.isinf(layout[-1]):
            continue
        classic = Histogram.from_cumulative(layout, [held[bound] for bound in layout])
        # Some series of a group may be native and the others classic: all are observations of it.
        rows[key] = merge([rows[key], classic]) if key in rows else classic
    return rows
