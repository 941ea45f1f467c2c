"""Which series satisfy a read: worked out once per read and target, and remembered until the series of the target change."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.dialects import Matcher, Read, Reading
from backends.scrape.series import Labels, SeriesIndex
from backends.scrape.snapshots import History
from backends.scrape.vocabulary import SUM

__all__ = ["Key", "Layout", "Selection", "Selections"]

Key = tuple[str, ...]
Layout = tuple[float, ...]

_SLOTS_REMEMBERED = 2_000_000
_READS_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Selection:
    """What satisfies a read in one target.

    For a counter ``keys`` holds the values of the read's ``by`` for each of ``slots``. For a histogram it holds them for each of
    ``layouts``, the bounds of one histogram, whose slots follow each other in ``slots``.
    """

    keys: tuple[Key, ...] = ()
    slots: tuple[int, ...] = ()
    layouts: tuple[Layout, ...] = ()


_NOTHING = Selection()


class Selections:
    """Selections by read and target. The longest unused reads are forgotten first."""

    def __init__(self, most_slots: int = _SLOTS_REMEMBERED, most_reads: int = _READS_REMEMBERED) -> None:
        self._reads: OrderedDict[Read, dict[History, tuple[int, Selection]]] = OrderedDict()
        self._held = 0
        self._most_slots = most_slots
        self._most_reads = most_reads

    @property
    def slots(self) -> int:
        """How many slots are remembered, and one for each pair of read and target."""
        return self._held

    def of(self, read: Read) -> Callable[[History], Selection]:
        """A function from a target to its selection."""
        known = self._reads.setdefault(read, {})
        self._reads.move_to_end(read)

        def select(history: History) -> Selection:
            version, selection = known.get(history, (-1, _NOTHING))
            if version == history.series.version:
                return selection
            found = _select(read, history.series)
            known[history] = history.series.version, found
            if self._reads.get(read) is known:
                self._held += _weight(found) - (_weight(selection) if version >= 0 else 0)
            return found

        return select

    def shrink(self) -> None:
        """Forget reads until no more is remembered than may be."""
        while self._reads and (len(self._reads) > self._most_reads or self._held > self._most_slots):
            _, known = self._reads.popitem(last=False)
            self._held -= sum(_weight(selection) for _, selection in known.values())

    def forget(self, history: History) -> None:
        """Forget a target."""
        for known in self._reads.values():
            version, selection = known.pop(history, (-1, _NOTHING))
            if version >= 0:
                self._held -= _weight(selection)


def _weight(selection: Selection) -> int:
    # An empty one takes memory as well.
    return 1 + len(selection.slots)


def _select(read: Read, series: SeriesIndex) -> Selection:
    matching = _matching(read.matchers, series)
    if matching is None:
        return _NOTHING
    positions = {label: at for at, label in enumerate(series.vocabulary.labels)}
    by = [positions.get(label, -1) for label in read.by]
    shared: dict[Key, Key] = {}

    def key_of(labels: Labels) -> Key:
        key = tuple([labels[at] if at >= 0 else "" for at in by])
        return shared.setdefault(key, key)

    keys: list[Key] = []
    slots: list[int] = []
    if read.reading is not Reading.HISTOGRAM:
        for metric in read.metrics if read.reading is Reading.COUNTER else [name + SUM for name in read.metrics]:
            for labels, held in series.counters.get(metric, {}).items():
                if matching(labels):
                    keys += [key_of(labels)] * len(held)
                    slots += held
        return Selection(tuple(keys), tuple(slots)) if slots else _NOTHING
    layouts: list[Layout] = []
    same: dict[Layout, Layout] = {}
    for metric in read.metrics:
        for buckets in series.histograms.get(metric.encode(), {}).values():
            if matching(buckets.labels):
                layout = tuple(buckets.slots)
                keys.append(key_of(buckets.labels))
                layouts.append(same.setdefault(layout, layout))
                slots += buckets.slots.values()
    return Selection(tuple(keys), tuple(slots), tuple(layouts)) if slots else _NOTHING


def _matching(matchers: Sequence[Matcher], series: SeriesIndex) -> Callable[[Labels], bool] | None:
    """A test of label values; None when no series of the target can pass, because of a label that the target itself gives."""
    positions = {label: at for at, label in enumerate(series.vocabulary.labels)}
    tests: list[tuple[int, Matcher, dict[str, bool]]] = []
    for matcher in matchers:
        at = positions.get(matcher.label, -1)
        if at < 0 or matcher.label in series.fixed:
            if not matcher.accepts(series.fixed):
                return None
        else:
            tests.append((at, matcher, {}))

    def test(labels: Labels) -> bool:
        for at, matcher, known in tests:
            value = labels[at]
            accepted = known.get(value)
            if accepted is None:
                accepted = known[value] = matcher.accepts({matcher.label: value})
            if not accepted:
                return False
        return True

    return test
