"""What series are made of, decoded: their labels in the order of a read, the bounds of buckets in seconds, native histograms.

A large answer has millions of series. Each is decoded on its own and forgotten, into a struct made for the labels of the read: that takes
a fraction of the time and of the memory of a dict, and leaves the garbage collector nothing to look at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from backends.prometheus.client import NativeHistogram
from metrics_api import Histogram

__all__ = ["Bounds", "decoder", "native_histogram"]

_EVEN = 1e-6
"""How far the logarithm of a factor may be off: bounds come as decimal text."""


@lru_cache(maxsize=1024)
def decoder(labels: tuple[str, ...], points: tuple[tuple[str, Any, Any], ...]) -> Callable[[msgspec.Raw], Any]:
    """A decoder of one series; the fields of its ``metric`` are ``labels``, in this order, and one that is missing is empty.

    ``points`` are its other fields: the name of each, its type, and what it is where the series has none.
    """
    fields = [f"label{index}" for index in range(len(labels))]
    names = dict(zip(fields, labels, strict=True))
    metric = msgspec.defstruct("Metric", [(field, str, "") for field in fields], rename=names, gc=False)
    series: Any = msgspec.defstruct("Series", [("metric", metric), *points], gc=False)
    decode: Callable[[msgspec.Raw], Any] = msgspec.json.Decoder(series).decode
    return decode


class Bounds(dict[str, float]):
    """Bounds in seconds by the text of their label ``le``, NaN for what is no number; ``unit`` is the factor to seconds."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self._unit = unit

    def __missing__(self, text: str) -> float:
        try:
            bound = float(text) * self._unit
        except ValueError:
            bound = math.nan
        self[text] = bound
        return bound


def native_histogram(histogram: NativeHistogram, unit: float) -> Histogram | None:
    """A native histogram in seconds, without the buckets whose counts are no counts; None when none is left."""
    buckets = []
    for _, left, right, text in histogram.buckets:
        count = float(text)
        if 0 <= count < math.inf:
            buckets.append((float(left) * unit, float(right) * unit, count))
    seconds = float(histogram.sum) * unit
    made = Histogram.from_buckets(sorted(buckets), seconds if 0 <= seconds < math.inf else None)
    if made is None or _grow_evenly(buckets):
        return made
    # Custom buckets, which are what becomes of classic ones: empty ones are left out, and the last is unbounded.
    unbounded = ((math.inf,), (0.0,)) if not math.isinf(made.bounds[-1]) else ((), ())
    return Histogram((*made.bounds, *unbounded[0]), (*made.counts, *unbounded[1]), made.floor, sum=made.sum)


def _grow_evenly(buckets: Sequence[tuple[float, float, float]]) -> bool:
    """Whether each bucket is wider than the one before by one factor, which is the root of a root of two, or its square.

    Source: prometheus/prometheus, model/histogram/generic.go, ``getBoundExponential``. The bucket around zero and the last one are apart;
    the first custom bucket has no end below.
    """
    if any(math.isinf(left) for left, _, _ in buckets):
        return False
    schemas = [math.log2(math.log2(right / left)) for left, right, _ in buckets if 0 < left < right < math.inf]
    return all(abs(schema - round(schema)) < _EVEN and abs(schema - schemas[0]) < _EVEN for schema in schemas)
