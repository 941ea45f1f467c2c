"""Latency histograms: what is added up across pods and peers, and where percentiles come from.

One shape serves both kinds of Prometheus histogram. The buckets are contiguous; bucket ``i`` counts observations above
``bounds[i-1]`` (or ``floor``) up to and including ``bounds[i]``. A classic histogram has its ``le`` bounds, a native one the
edges of its populated buckets. All bounds are seconds. Counts are floats, because ``increase`` extrapolates.

Percentiles of an aggregate are only ever taken from a merged histogram, never from other percentiles. The mean is exact, where a source
tells how long all requests took together; the standard deviation is estimated from the buckets.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

__all__ = ["Histogram", "Percentiles", "merge"]


_REACHED = 1 - 1e-9
"""How much of a rank is enough: counts are sums of floating point numbers, and when a rank lies right at a bound, what is lost in the
sixteenth digit must not move the percentile to the end of the next bucket, which may hold nothing but that digit."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Observations per bucket.

    ``exponential`` marks bounds that grow by a constant factor (native histograms), inside which observations are taken to be spread
    evenly on a logarithmic scale; inside the buckets of a classic histogram they are taken to be spread evenly.
    ``floor`` is the lower edge of the first bucket. ``sum`` is the seconds that all observations took together, None when nobody told.

    Sources sample the buckets of a classic histogram one after the other, so its cumulative count may fall slightly behind from one bound
    to the next, and the count of that bucket is then below zero. It stays so when histograms are added, and is made up for when a
    percentile is taken: what a sum says does not depend on how it was put together.
    """

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    floor: float = 0.0
    exponential: bool = False
    sum: float | None = None

    @classmethod
    def from_cumulative(cls, bounds: Sequence[float], cumulative: Sequence[float], seconds: float | None = None) -> Histogram:
        """A classic histogram from its ``le`` bounds, ascending and in seconds, and the cumulative count at each.

        ``seconds`` is the ``sum``.
        """
        return cls(tuple(bounds), tuple(map(sub, cumulative, (0.0, *cumulative))), sum=seconds)

    @classmethod
    def from_buckets(cls, buckets: Iterable[tuple[float, float, float]], seconds: float | None = None) -> Histogram | None:
        """A native histogram from ``(left, right, count)`` buckets, ascending and in seconds; None without buckets.

        Gaps between buckets are empty. Latencies are not negative: what lies below zero is counted at zero. ``seconds`` is the ``sum``.
        """
        bounds: list[float] = []
        counts: list[float] = []
        floor = 0.0
        for left, right, count in buckets:
            left, right = max(left, 0.0), max(right, 0.0)
            if not bounds:
                floor = left
            elif left > bounds[-1]:
                bounds.append(left)
                counts.append(0.0)
            if bounds and right <= bounds[-1]:
                counts[-1] += count
            else:
                bounds.append(right)
                counts.append(count)
        return cls(tuple(bounds), tuple(counts), floor, exponential=True, sum=seconds) if bounds else None

    @classmethod
    def of_values(cls, counts: Mapping[float, float], seconds: float | None = None) -> Histogram:
        """A histogram of exact values, in seconds, and how often each was observed; ``seconds`` is the ``sum``.

        Each value is a bucket that holds nothing else, so that percentiles are values that were observed, also when it is merged.
        """
        bounds: list[float] = []
        parts: list[float] = []
        for value, count in sorted(counts.items()):
            below = math.nextafter(value, 0.0)
            if below > (bounds[-1] if bounds else 0.0):
                bounds.append(below)
                parts.append(0.0)
            bounds.append(value)
            parts.append(count)
        return cls(tuple(bounds), tuple(parts), 0.0, exponential=True, sum=seconds)

    @property
    def total(self) -> float:
        """How many observations there are."""
        return math.fsum(self.counts)

    def quantile(self, q: float) -> float | None:
        """The value in seconds below which the share ``q`` of the observations lies; None when that cannot be told.

        The rules are those of PromQL's ``histogram_quantile``: no observations, no finite bound or, for a classic histogram, no unbounded
        bucket (how many observations there are is then unknown) give None; a quantile in the unbounded bucket is the highest finite
        bound; inside a bucket the value is interpolated; a cumulative count that falls behind is raised to the one before it. A rank
        that is missed by less than a billionth counts as reached.
        """
        cumulative = self._raised()
        if cumulative is None:
            return None
        rank = q * cumulative[-1]
        # The first bucket that reaches the rank, and holds something.
        at = max(bisect_left(cumulative, rank * _REACHED), bisect_right(cumulative, 0.0))
        upper = self.bounds[at]
        if math.isinf(upper):
            return self.bounds[at - 1] if at else None
        lower = self.bounds[at - 1] if at else self.floor
        below = cumulative[at - 1] if at else 0.0
        share = min((rank - below) / (cumulative[at] - below), 1.0)
        if self.exponential and lower > 0:
            return lower * math.exp(math.log(upper / lower) * share)
        return lower + (upper - lower) * share

    def mean(self) -> float | None:
        """How long an observation took on average, in seconds: ``sum`` / ``total``. None when either is not known, or none were made."""
        if self.sum is None or self._raised() is None:
            return None
        total = self.total
        return self.sum / total if total > 0 else None

    def stddev(self) -> float | None:
        """The standard deviation in seconds: an estimate, because nobody knows where in its bucket an observation lies.

        They are taken to be spread evenly over each bucket, around its middle (for an exponential bucket its geometric middle, as in
        PromQL's ``histogram_stddev``), and measured against the mean that follows from that; so it is known without a ``sum``. None
        without observations, and when more than a billionth of them lie in the unbounded bucket: they may be anywhere.
        """
        cumulative = self._raised()
        if cumulative is None:
            return None
        total = cumulative[-1]
        counts = map(sub, cumulative, (0.0, *cumulative))
        spread: list[tuple[float, float, float]] = []
        for lower, upper, count in zip((self.floor, *self.bounds), self.bounds, counts, strict=False):
            if math.isinf(upper):
                if count > total * (1 - _REACHED):
                    return None
            elif count:
                middle = math.sqrt(lower * upper) if self.exponential and lower > 0 else (lower + upper) / 2
                spread.append((count, middle, upper - lower))
        mean = math.fsum(count * middle for count, middle, _ in spread) / total
        return math.sqrt(math.fsum(count * ((middle - mean) ** 2 + width**2 / 12) for count, middle, width in spread) / total)

    def _raised(self) -> list[float] | None:
        """The cumulative counts, raised where they fall behind; None when there are no observations, or nobody knows how many."""
        if not self.bounds or not (self.exponential or math.isinf(self.bounds[-1])):
            return None
        cumulative = list(accumulate(self.counts))
        if not math.isfinite(cumulative[-1]):
            return None
        if min(self.counts) < 0:
            cumulative = list(accumulate(cumulative, max, initial=0.0))[1:]
        return cumulative if cumulative[-1] > 0 else None


class Percentiles(Mapping[float, float]):
    """Percentiles a source computed itself, in seconds by quantile, and maybe the mean; they can be shown and never merged."""

    __slots__ = ("_mean", "_values")

    def __init__(self, values: Mapping[float, float], mean: float | None = None) -> None:
        self._values = dict(values)
        self._mean = mean

    def __getitem__(self, q: float) -> float:
        return self._values[q]

    def __iter__(self) -> Iterator[float]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def quantile(self, q: float) -> float | None:
        """The percentile the source gave, or None: one it did not give is never derived."""
        return self._values.get(q)

    def mean(self) -> float | None:
        """The mean the source gave, or None: it cannot be derived from percentiles."""
        return self._mean

    def stddev(self) -> None:
        """Not known: it cannot be derived from percentiles."""


def merge(histograms: Sequence[Histogram]) -> Histogram:
    """The histogram of all observations together; exact, at the finest bounds at which every part is known.

    Where bucket layouts differ, a bound survives if it lies inside no populated bucket of any part: only there is the
    cumulative count of that part known. The ``sum`` is known when every part that has observations knows its own. Needs at least one
    histogram.
    """
    first = histograms[0]
    if len(histograms) == 1:
        return first
    exponential = all(part.exponential for part in histograms if part.bounds)
    if all(part.bounds == first.bounds and part.floor == first.floor for part in histograms):
        counts = tuple(map(math.fsum, zip(*(part.counts for part in histograms), strict=True)))
        return Histogram(first.bounds, counts, first.floor, exponential, _added(histograms))
    known = [_KnownCounts(part) for part in histograms]
    edges = sorted({bound for part in histograms for bound in (part.floor, *part.bounds)})
    bounds: list[float] = []
    cumulative: list[float] = []
    for edge in edges:
        at_edge = [part.at(edge) for part in known]
        if any(count is None for count in at_edge):
            continue
        total = math.fsum(count for count in at_edge if count is not None)
        # The lowest edge is the floor; it is a bound as well if something was observed right at it (le="0").
        if edge > edges[0] or total > 0:
            bounds.append(edge)
            cumulative.append(total)
    merged = Histogram.from_cumulative(bounds, cumulative)
    return Histogram(merged.bounds, merged.counts, edges[0], exponential, _added(histograms))


def _added(histograms: Sequence[Histogram]) -> float | None:
    """The seconds that the observations of all took together."""
    known: list[float] = []
    for part in histograms:
        if part.sum is not None:
            known.append(part.sum)
        elif any(part.counts):
            return None
    return math.fsum(known) if known else None


class _KnownCounts:
    """Cumulative counts of one histogram, and where they are known."""

    def __init__(self, histogram: Histogram) -> None:
        self._edges = (histogram.floor, *histogram.bounds)
        self._counts = (0.0, *histogram.counts)
        self._cumulative = list(accumulate(self._counts))

    def at(self, value: float) -> float | None:
        """How many observations are at or below ``value``; None inside a populated bucket."""
        above = bisect_right(self._edges, value)
        if above == 0:
            return 0.0
        if above == len(self._edges) or self._edges[above - 1] == value or self._counts[above] == 0:
            return self._cumulative[above - 1]
        return None
