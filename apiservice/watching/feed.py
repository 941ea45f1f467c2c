"""One question asked once in every refresh, and what came of it, for everybody who watches it.

A version is an instant, and a source can be asked about an instant that is past. So little has to be kept: whoever comes back with a
version that is not in the log any more, or was given out by another replica, gets the difference between what was then and what is now.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from apiservice.representation import mark_incomplete
from apiservice.result import Result
from apiservice.watching.changes import ADDED, DELETED, Event, Key, by_key, difference
from metrics_api import TrafficError, TrafficMetrics, aside
from metrics_api.flight import SingleFlight

__all__ = ["OLDEST", "Ask", "Batch", "Feed", "Lines"]

OLDEST = 300
"""Seconds that a version may be old; what happened since an older one is not told any more."""

_AT_ONCE = 200
"""Events in a batch: so many are encoded before others get their turn."""

_LOGGED = 2_000
"""Events kept for those who come back, beside the latest ones; who is further behind is told from the sources."""

Ask = Callable[[int | None], Awaitable[Result]]
"""Answers the question, as of now or as of an instant in Unix seconds. Raises :class:`metrics_api.errors.TrafficError`."""

Encode = Callable[[Event], bytes]

Told = tuple[int, Sequence["Batch"]]
"""Batches to tell, after the version that whoever was told them has."""


class Lines(NamedTuple):
    """Encoded events: their text, and the bytes of each."""

    text: bytes
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, lines: Iterable[bytes]) -> Lines:
        """These lines, one after the other."""
        lines = tuple(lines)
        return cls(b"".join(lines), tuple(map(len, lines)))


class Batch:
    """Events of one version. What they are encoded to is shared by all who want them in the same form."""

    def __init__(self, version: int, events: Sequence[Event]) -> None:
        self.version = version
        self.events = tuple(events)
        self._encoded: dict[Hashable, Lines] = {}

    def encoded(self, form: Hashable, encode: Encode, first: Encode | None = None) -> Lines:
        """The events as ``encode`` writes them, the first one perhaps in another way; ``form`` tells one way from the other."""
        key = form, first is not None
        known = self._encoded.get(key)
        if known is None:
            head, *rest = self.events
            known = self._encoded[key] = Lines.of([(first or encode)(head), *map(encode, rest)])
        return known

    def forget(self) -> None:
        """Give up the encoded form: most have read it."""
        self._encoded.clear()


class Feed:
    """What there is to tell about one question since it began to be watched.

    ``version`` is the instant of the latest answer, in Unix seconds, and ``warnings`` are what it warned of; ``trouble`` is why there is
    no newer one. ``followers`` counts those who watch. ``over`` says that nothing will come any more.
    """

    def __init__(self, first: Result, ask: Ask) -> None:
        self.version = first.instant
        self.warnings = first.warnings
        self.trouble: Exception | None = None
        self.followers = 0
        self.over = False
        self._ask = ask
        self._told = by_key(_rows(first))
        self._window = first.window
        self._log: deque[Batch] = deque()
        self._logged = 0
        # The log holds everything that happened after this version.
        self._floor = first.instant
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # What was told while an incomplete answer lacked it: who listed meanwhile does not have it.
        self._unsure: set[Key] = set()
        self._shared: dict[int | None, list[Batch]] = {}
        self._flights: SingleFlight[Told] = SingleFlight()

    def state(self) -> Told:
        """Everything as it is at ``version``: an ADDED for each row."""
        if None not in self._shared:
            self._shared[None] = _batches(self.version, [Event(ADDED, row) for row in self._told.values()])
        return self.version, self._shared[None]

    async def reach(self, version: int) -> None:
        """Wait for an answer that is no older than ``version``, or for the end."""
        while self.version < version and not self.over:
            await asyncio.shield(self._news)

    async def since(self, version: int) -> Told | None:
        """What happened after ``version``, up to now; None when nobody can tell any more."""
        if version >= self._floor:
            return max(version, self.version), [batch for batch in self._log if batch.version > version]
        if version < self.version - OLDEST:
            return None
        known = self._shared.get(version)
        if known is not None:
            return self.version, known
        try:
            return await self._flights.once(version, partial(self._missed, version))
        except TrafficError:
            return None

    async def news(self, version: int) -> list[Batch] | None:
        """Wait for the next poll, and tell what happened after ``version``; None when the log does not go back so far.

        An empty list means that all is as before, or that the feed is ``over``.
        """
        if self.version <= version and not self.over:
            await asyncio.shield(self._news)
        return [batch for batch in self._log if batch.version > version] if version >= self._floor else None

    async def advance(self, result: Result) -> None:
        """Take in a newer answer, and wake all who wait."""
        if result.instant <= self.version:
            return
        rows = await aside(len(result.rows), partial(_rows, result))
        events = await aside(
            len(rows), partial(difference, self._told, rows, result.instant, incomplete=result.incomplete, unsure=self._unsure)
        )
        for event in events:
            key = event.row.namespace, event.row.name
            if event.kind == DELETED:
                del self._told[key]
            else:
                self._told[key] = event.row
        present = {(row.namespace, row.name) for row in rows}
        self._unsure = (self._unsure | self._told.keys()) - present if result.incomplete else set()
        for batch in self._log:
            if batch.version < self.version:
                batch.forget()
        self._append(_batches(result.instant, events))
        self.version = result.instant
        self.warnings = result.warnings
        self._window = result.window
        self._shared.clear()
        self._wake()

    def end(self) -> None:
        """Nothing comes any more: whoever waits is told so."""
        self.over = True
        self._wake()

    async def _missed(self, version: int) -> Told:
        """The difference between the rows as they were at ``version`` and what is told now."""
        now, told = self.version, tuple(self._told.values())
        then = await self._ask(version)
        if then.incomplete or then.window != self._window:
            raise TrafficError(f"what was at {version} is not known")
        events = await aside(len(told), partial(difference, by_key(then.rows), told, now))
        if now < self._floor:
            raise TrafficError(f"what happened after {now} is not known any more")
        found = _batches(now, events)
        if self.version == now:
            self._shared[version] = found
        else:
            # It took longer than a refresh, and has been told since.
            found += [batch for batch in self._log if batch.version > now]
        return self.version, found

    def _append(self, batches: list[Batch]) -> None:
        self._log.extend(batches)
        self._logged += sum(len(batch.events) for batch in batches)
        latest = batches[0].version if batches else self.version
        while self._logged > _LOGGED and self._log[0].version < latest:
            oldest = self._log.popleft()
            self._logged -= len(oldest.events)
            self._floor = oldest.version
        while self._log and self._log[0].version < latest - OLDEST:
            oldest = self._log.popleft()
            self._logged -= len(oldest.events)
            self._floor = oldest.version

    def _wake(self) -> None:
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()


def _batches(version: int, events: Sequence[Event]) -> list[Batch]:
    return [Batch(version, events[start : start + _AT_ONCE]) for start in range(0, len(events), _AT_ONCE)]


def _rows(result: Result) -> Sequence[TrafficMetrics]:
    return mark_incomplete(result.rows) if result.incomplete else result.rows
