"""The series of one target by name and labels: where a read finds the slots that hold their values.

Of all the labels only those of the vocabulary are kept, as a tuple in its order; series that differ in other labels alone share one
tuple, and so do all buckets of a histogram. Each series keeps a slot of its own, because increases are added up, never counters.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from backends.scrape.exposition import read_head
from backends.scrape.vocabulary import BUCKET, BUCKET_BOUND, Vocabulary

__all__ = ["Buckets", "Labels", "SeriesIndex"]

Labels = tuple[str, ...]

_BUCKET = BUCKET.encode()
_BOUND_LABEL = re.compile(rb'(?<=[{,])[ \t]*le[ \t]*=[ \t]*"([^"\\]*)"[ \t]*(?:,|$)')


@dataclass(slots=True)
class Buckets:
    """One classic histogram: slots by upper bound, ascending and in the histogram's own unit."""

    labels: Labels
    slots: dict[float, int] = field(default_factory=dict)


class SeriesIndex:
    """The series of one target.

    ``fixed`` are the labels that the target itself gives to all of them. ``version`` changes whenever a series comes or goes.
    """

    def __init__(self, vocabulary: Vocabulary, fixed: Mapping[str, str]) -> None:
        self.vocabulary = vocabulary
        self.fixed = dict(fixed)
        self.version = 0
        self.counters: dict[str, dict[Labels, list[int]]] = {}
        self.histograms: dict[bytes, dict[bytes, Buckets]] = {name.encode(): {} for name in vocabulary.histograms}
        self._places = {label: at for at, label in enumerate(vocabulary.labels)}
        self._template = [sys.intern(self.fixed.get(label, "")) for label in vocabulary.labels]

    def add(self, head: bytes, slot: int) -> None:
        """Enter the series that ``head`` names. ValueError when it is malformed.

        A bucket whose bound is no number is not entered: nothing can be told from it.
        """
        metric, bound, whole = _bucket(head)
        rows = self.histograms.get(metric)
        if rows is None:
            name, scraped = read_head(head)
            self.counters.setdefault(name, {}).setdefault(self._kept(scraped), []).append(slot)
        else:
            buckets = rows.get(whole)
            if buckets is None:
                _, scraped = read_head(head)
                scraped.pop(BUCKET_BOUND, None)
                buckets = Buckets(self._kept(scraped))
                if not math.isnan(bound):
                    rows[whole] = buckets
            ascending = not buckets.slots or bound > next(reversed(buckets.slots))
            buckets.slots[bound] = slot
            if not ascending:
                buckets.slots = dict(sorted(buckets.slots.items()))
        self.version += 1

    def remove(self, head: bytes, slot: int) -> None:
        """Take out a series that was entered."""
        metric, bound, whole = _bucket(head)
        rows = self.histograms.get(metric)
        if rows is None:
            name, scraped = read_head(head)
            labels = self._kept(scraped)
            slots = self.counters[name][labels]
            slots.remove(slot)
            if not slots:
                del self.counters[name][labels]
        elif whole in rows and rows[whole].slots.get(bound) == slot:
            del rows[whole].slots[bound]
            if not rows[whole].slots:
                del rows[whole]
        self.version += 1

    def clear(self) -> None:
        """Take out everything."""
        self.version += 1
        self.counters.clear()
        for rows in self.histograms.values():
            rows.clear()

    def _kept(self, scraped: Mapping[str, str]) -> Labels:
        """The labels of the vocabulary.

        The target's own labels win; a scraped one of the same name goes by ``exported_`` and its name, as in Prometheus without
        ``honor_labels``.
        """
        kept = self._template.copy()
        for label, value in scraped.items():
            name = label
            while name in self.fixed or (name is not label and name in scraped):
                name = f"exported_{name}"
            at = self._places.get(name)
            if at is not None:
                kept[at] = sys.intern(value)
        return tuple(kept)


def _bucket(head: bytes) -> tuple[bytes, float, bytes]:
    """Of a bucket: the metric of its histogram, its bound (NaN if there is none), and the head without the bound."""
    metric = head.partition(b"{")[0].rstrip(b" \t").removesuffix(_BUCKET)
    match = _BOUND_LABEL.search(head)
    if match is None:
        return metric, math.nan, head
    try:
        bound = float(match[1])
    except ValueError:
        bound = math.nan
    return metric, bound, head[: match.start()] + head[match.end() :].rstrip(b", \t")
