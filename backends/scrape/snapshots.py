"""What was scraped, for as long as a window can reach back: per target a row of snapshots, each one array of all its values.

A series has a slot, the same place in the array of every snapshot, so a sample costs eight bytes and its time is kept once for all series
of the target. Most reads need the first and the last snapshot of a window alone; ``unsteady`` names the slots for which they do not.
A series or target that vanished is forgotten when no snapshot has it any more.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import NamedTuple

from backends.scrape.exposition import Samples
from backends.scrape.series import SeriesIndex
from backends.scrape.vocabulary import Vocabulary

__all__ = ["ABSENT", "Allowance", "BadHead", "Cut", "Draft", "History", "Reach", "Snapshot"]

ABSENT = math.inf
"""In the place of a series that a snapshot does not have. No count is infinite."""


class BadHead(ValueError):
    """The text that names a series is malformed; ``head`` is that text."""

    def __init__(self, head: bytes, reason: str) -> None:
        super().__init__(reason)
        self.head = head


@dataclass(slots=True)
class Allowance:
    """How many series all targets together may keep, and do."""

    limit: int
    used: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One scrape: ``time`` in Unix seconds, ``number`` counting the scrapes of the target, and a value per slot or ``ABSENT``."""

    time: float
    number: int
    values: array[float]


@dataclass(slots=True)
class Draft:
    """A scrape that is being read: nothing of it counts until it is complete."""

    slots: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    created: list[int] = field(default_factory=list)
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """The snapshots of one target above ``start`` up to and including ``end``.

    ``unsteady`` are slots whose growth may not be the last value less the first: they were reset, or absent between.
    """

    history: History
    snapshots: list[Snapshot]
    start: float
    end: float
    unsteady: frozenset[int]

    def samples(self, slot: int) -> list[tuple[float, float]]:
        """Time and value wherever the slot has one."""
        return [(shot.time, shot.values[slot]) for shot in self.snapshots if shot.values[slot] != ABSENT]


class Reach(NamedTuple):
    """Times of the oldest and the newest of some snapshots, and how many scrapes they are."""

    first: float
    last: float
    scrapes: int


class History:
    """The snapshots of one target over the last ``span`` seconds. ``left_out`` counts series the last scrape had and the limit left out."""

    def __init__(self, vocabulary: Vocabulary, labels: Mapping[str, str], span: float, allowance: Allowance) -> None:
        self.series = SeriesIndex(vocabulary, labels)
        self.snapshots: list[Snapshot] = []
        self.left_out = 0
        self._span = span
        self._allowance = allowance
        self._number = 0
        self._slots: dict[bytes, int] = {}
        self._heads: list[bytes | None] = []
        self._free: list[int] = []
        self._unsteady: dict[int, int] = {}
        self._gone: dict[int, float] = {}

    @property
    def size(self) -> int:
        """How many series are kept."""
        return len(self._slots)

    def take(self, draft: Draft, samples: Samples) -> None:
        """Put some samples of a scrape into its draft. :class:`BadHead` for a series whose name or labels are malformed."""
        known, slots, values = self._slots.get, draft.slots.append, draft.values.append
        for head, value in samples:
            slot = known(head)
            if slot is None:
                slot = self._create(draft, head)
                if slot is None:
                    continue
            slots(slot)
            values(value)
        self._pad()

    def discard(self, draft: Draft) -> None:
        """Forget a draft that will not be completed."""
        for slot in draft.created:
            self._forget(slot)
        draft.created.clear()

    def commit(self, draft: Draft, time: float) -> None:
        """Make a complete draft the newest snapshot, taken at ``time``."""
        if self.snapshots and time <= self.snapshots[-1].time:
            # The clock was set back: what is known of the time after now cannot be placed any more, so history starts over.
            self.clear()
            draft.created.clear()
            return
        self._number += 1
        draft.created.clear()
        size = len(self._heads)
        previous = self.snapshots[-1].values if self.snapshots else array("d", [0.0]) * size
        values = array("d", [ABSENT]) * size
        unsteady: list[int] = []
        for slot, value in zip(draft.slots, draft.values, strict=True):
            # False as well for a series that was absent: one that returns after a gap is unsteady, and one that is new may be.
            if not value >= previous[slot]:
                unsteady.append(slot)
            values[slot] = value
        self._unsteady |= dict.fromkeys(unsteady, self._number)
        for slot in unsteady:
            self._gone.pop(slot, None)
        self._note_gone(previous, values, time)
        self.left_out = draft.left_out
        self.snapshots.append(Snapshot(time, self._number, values))
        self.expire(time)

    def expire(self, now: float) -> None:
        """Forget what no window that ends now can reach."""
        old = bisect_right(self.snapshots, now - self._span, key=lambda shot: shot.time)
        if not old:
            return
        del self.snapshots[:old]
        if not self.snapshots:
            self.clear()
            return
        oldest = self.snapshots[0]
        self._unsteady = {slot: number for slot, number in self._unsteady.items() if number > oldest.number}
        for slot in [slot for slot, since in self._gone.items() if since <= oldest.time]:
            self._forget(slot)

    def clear(self) -> None:
        """Forget everything."""
        self._allowance.used -= len(self._slots)
        self.series.clear()
        self.snapshots.clear()
        self._heads.clear()
        self._free.clear()
        self._slots.clear()
        self._unsteady.clear()
        self._gone.clear()

    def reach(self, end: float) -> Reach | None:
        """When the snapshots up to ``end`` were taken; None when there are none."""
        count = bisect_right(self.snapshots, end, key=lambda shot: shot.time)
        return Reach(self.snapshots[0].time, self.snapshots[count - 1].time, count) if count else None

    def cut(self, start: float, end: float) -> Cut:
        """What lies in a window. It stays as it is, whatever is scraped later."""
        first = bisect_right(self.snapshots, start, key=lambda shot: shot.time)
        last = bisect_right(self.snapshots, end, key=lambda shot: shot.time)
        shots = self.snapshots[first:last]
        unsteady = frozenset(slot for slot, number in self._unsteady.items() if number > shots[0].number) if shots else frozenset()
        return Cut(self, shots, start, end, unsteady)

    def _create(self, draft: Draft, head: bytes) -> int | None:
        """A slot for a series seen for the first time; None beyond the limit."""
        if self._allowance.used >= self._allowance.limit:
            draft.left_out += 1
            return None
        slot = self._free[-1] if self._free else len(self._heads)
        try:
            self.series.add(head, slot)
        except ValueError as error:
            raise BadHead(head, str(error)) from None
        if self._free:
            self._heads[self._free.pop()] = head
        else:
            self._heads.append(head)
        self._slots[head] = slot
        self._allowance.used += 1
        draft.created.append(slot)
        return slot

    def _forget(self, slot: int) -> None:
        head = self._heads[slot]
        if head is not None:
            self.series.remove(head, slot)
            del self._slots[head]
            self._heads[slot] = None
            self._free.append(slot)
            self._allowance.used -= 1
        self._gone.pop(slot, None)
        self._unsteady.pop(slot, None)

    def _pad(self) -> None:
        """Give every kept snapshot a place for each slot, so that a series can be looked at before its first snapshot is complete."""
        size = len(self._heads)
        if self.snapshots and len(self.snapshots[-1].values) < size:
            for shot in self.snapshots:
                shot.values.extend(repeat(ABSENT, size - len(shot.values)))

    def _note_gone(self, previous: array[float], values: array[float], time: float) -> None:
        """Remember since when series are gone. Nearly always none is, which counting tells much faster than looking at each."""
        absent = values.count(ABSENT)
        if absent == len(self._free) + len(self._gone):
            return
        for slot, (before, now) in enumerate(zip(previous, values, strict=True)):
            if now == ABSENT and before != ABSENT and self._heads[slot] is not None:
                self._gone.setdefault(slot, time)
