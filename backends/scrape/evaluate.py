"""Reads evaluated in memory: from the snapshots of all targets to rows, by the rules of PromQL's ``sum by (increase())``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from operator import add

from backends.dialects import Read, Reading, Rows
from backends.scrape.increase import Stretch, increase
from backends.scrape.selection import Key, Layout, Selection, Selections
from backends.scrape.snapshots import ABSENT, Cut, History
from metrics_api import Histogram, merge

__all__ = ["Evaluation"]

Select = Callable[[History], Selection]
Counts = dict[Key, float]
Sums = dict[tuple[Key, Layout], list[float]]


class Evaluation:
    """Some reads over one window, added up target by target: :meth:`add` the cut of each, then take the :attr:`results`."""

    def __init__(self, reads: Iterable[Read], selections: Selections) -> None:
        self._counters: list[tuple[Read, Select, Counts]] = []
        self._histograms: list[tuple[Read, Select, Sums]] = []
        for read in reads:
            if read.reading is not Reading.HISTOGRAM:
                self._counters.append((read, selections.of(read), {}))
            else:
                self._histograms.append((read, selections.of(read), {}))
        selections.shrink()

    def add(self, cut: Cut) -> int:
        """Add one target. Returns how many series were looked at, for the caller to know when to let others work."""
        if len(cut.snapshots) < 2:
            return 0
        looked_at = 0
        for _, select, counts in self._counters:
            selection = select(cut.history)
            looked_at += len(selection.slots)
            for key, value in zip(selection.keys, _increases(cut, selection.slots), strict=True):
                if value is not None:
                    counts[key] = counts.get(key, 0.0) + value
        for _, select, sums in self._histograms:
            selection = select(cut.history)
            looked_at += len(selection.slots)
            values = _increases(cut, selection.slots)
            position = 0
            for key, layout in zip(selection.keys, selection.layouts, strict=True):
                _accumulate(sums, key, layout, values[position : position + len(layout)])
                position += len(layout)
        return looked_at

    @property
    def results(self) -> dict[Read, Rows]:
        """The rows of every read. Reads nothing but what was added, so that another thread may ask for it."""
        rows: dict[Read, Rows] = {read: _rows(counts, read.unit) for read, _, counts in self._counters}
        return rows | {read: _histogram_rows(sums, read.unit) for read, _, sums in self._histograms}


def _increases(cut: Cut, slots: Sequence[int]) -> list[float | None]:
    """The increase in each slot; None for those with fewer than two samples.

    Slots present at both ends and steady between are the rule; the others are looked at sample by sample.
    """
    shots, unsteady = cut.snapshots, cut.unsteady
    stretch = Stretch.of(shots[0].time, shots[-1].time, len(shots), cut.start, cut.end)
    first, last = shots[0].values, shots[-1].values
    whole, tail, zero = stretch.whole, stretch.tail, stretch.zero
    out: list[float | None] = []
    append = out.append
    for slot in slots:
        begin, end = first[slot], last[slot]
        if begin == ABSENT or end == ABSENT or slot in unsteady:  # noqa: PLR1714 a tuple costs as much as the rest
            append(increase(cut.samples(slot), cut.start, cut.end))
        elif end == begin:
            append(0.0)
        else:
            growth = end - begin
            append(begin + growth * tail if begin < zero * growth else growth * whole)
    return out


def _accumulate(sums: Sums, key: Key, layout: Layout, values: list[float | None]) -> None:
    """Add the buckets of one histogram to those of the same layout; a bucket of which nothing is known is none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        layout = tuple(bound for bound, value in zip(layout, values, strict=True) if value is not None)
    if known:
        held = sums.get((key, layout))
        sums[key, layout] = known if held is None else list(map(add, held, known))


def _rows(counts: Counts, unit: float) -> Rows:
    return {key: value * unit for key, value in counts.items() if 0 <= value < math.inf}


def _histogram_rows(sums: Sums, unit: float) -> Rows:
    """Histograms in seconds. Those of one row with different bounds are merged at the bounds they share."""
    parts: dict[Key, list[Histogram]] = defaultdict(list)
    scaled: dict[Layout, Layout] = {}
    for (key, layout), cumulative in sums.items():
        # Without the bucket of everything the total is not known, nor any percentile.
        if not math.isinf(layout[-1]) or not all(map(math.isfinite, cumulative)):
            continue
        bounds = scaled.get(layout)
        if bounds is None:
            bounds = scaled[layout] = tuple(bound * unit for bound in layout)
        parts[key].append(Histogram.from_cumulative(bounds, cumulative))
    return {key: merge(histograms) for key, histograms in parts.items()}
