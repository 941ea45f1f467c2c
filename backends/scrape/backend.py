"""The scrape source: questions answered from what its own scraping has in memory."""

from __future__ import annotations

import asyncio
import math
import time
from types import TracebackType
from typing import Self

from backends.dialects import Consultation, refusal
from backends.scrape.diagnosis import diagnose
from backends.scrape.evaluate import Evaluation
from backends.scrape.gaps import gapped
from backends.scrape.loop import ScrapeLoop, Watch
from backends.scrape.recall import recall
from backends.scrape.selection import Selections
from backends.scrape.settings import ScrapeSettings
from backends.scrape.snapshots import Reach
from metrics_api import (
    Answer,
    BackendForgot,
    BackendUnavailable,
    Span,
    TrafficQuery,
    Window,
    first_few,
    format_duration,
    timestamp,
)
from metrics_api.diagnosis import Diagnosis

__all__ = ["ScrapeBackend"]

_SERIES_AT_A_TIME = 20_000
"""How many series are looked at before other tasks get their turn: some milliseconds."""

_PAST = 60.0
"""Seconds after which an instant is past for certain: that nothing was scraped by then is no matter of having begun just now."""

_MOST_NAMED = 3
"""How many failing targets a message names."""

_NEAR = 1.1
"""History that begins within this many intervals after the window does covers it: what is missing is extrapolated."""


class ScrapeBackend:
    """Answers queries out of the metrics that proxies expose, scraped while it is open."""

    def __init__(self, settings: ScrapeSettings) -> None:
        self._settings = settings
        self._loop = ScrapeLoop(settings)
        self._selections = Selections()

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self._settings.name

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why the dialect can never answer such a query; None when it can."""
        return refusal(self._settings.dialect, query)

    async def diagnose(self, window: Window) -> Diagnosis:
        """Scrape each target once and examine what they expose, for questions about ``window``; it need not be open."""
        return await diagnose(self._settings, window)

    async def __aenter__(self) -> Self:
        await self._loop.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._loop.__aexit__(kind, error, trace)

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendUnavailable` when nothing at all is known."""
        for history in self._loop.forgotten():
            self._selections.forget(history)
        window = self._covered(query)
        failing = [*self._failing(), *self._gaps(query.instant - window.seconds, query.instant)]
        consultation = Consultation(self._settings.dialect, query, self.name)
        await self._consult(consultation, query.instant - window.seconds, query.instant)
        hints = [*consultation.warnings, *self._too_short(query), *self._too_long(query, window)]
        return Answer(consultation.samples, query.instant, window, (*failing, *hints), incomplete=bool(failing))

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        """An answer for each instant of a span, as far as it is remembered. Raises :class:`metrics_api.errors.BackendUnavailable`."""
        return await recall(self.name, self.answer, query, span)

    async def _consult(self, consultation: Consultation, start: int, end: int) -> None:
        """Answer it out of what was scraped in a window."""
        while reads := consultation.reads:
            evaluation = Evaluation(reads, self._selections)
            looked_at, turns = 0, 1
            for history in self._loop.histories:
                # All reads see the same cut of a target: a scrape that ends meanwhile cannot make counts and latencies disagree.
                looked_at += evaluation.add(history.cut(start, end))
                if looked_at >= turns * _SERIES_AT_A_TIME:
                    turns += 1
                    await asyncio.sleep(0)
            if looked_at < _SERIES_AT_A_TIME:
                consultation.take(evaluation.results)
            else:
                await asyncio.to_thread(lambda found: consultation.take(found.results), evaluation)

    def _covered(self, query: TrafficQuery) -> Window:
        """The window that numbers can be given for: the one asked for, or less if history is shorter than that."""
        reaches = [reach for history in self._loop.histories if (reach := history.reach(query.instant)) is not None]
        self._require_memory(query, reaches)
        self._require_some(query, reaches)
        known = query.instant - min(reach.first for reach in reaches)
        longest = self._settings.longest_window
        if query.window.seconds <= longest and query.window.seconds - known <= _NEAR * self._settings.interval:
            return query.window
        # The window is open on the left, and the oldest snapshot lies in it.
        return Window(min(query.window.seconds, longest, max(1, math.floor(known) + 1)))

    def _require_memory(self, query: TrafficQuery, reaches: list[Reach]) -> None:
        """BackendForgot when what is known begins after a past instant that is asked about."""
        began = min((reach.first for history in self._loop.histories if (reach := history.reach(math.inf))), default=None)
        if began is None or query.instant > time.time() - _PAST or any(reach.scrapes > 1 for reach in reaches):
            return
        raise BackendForgot(
            self.name,
            f"keeps nothing of {timestamp(query.instant)}: what it has scraped begins at {timestamp(math.ceil(began))}, "
            f'and it keeps {format_duration(self._settings.longest_window)}, which "longestWindow" sets',
        )

    def _require_some(self, query: TrafficQuery, reaches: list[Reach]) -> None:
        """BackendUnavailable when nothing is known of the window: an empty answer would say that there was no traffic."""
        watches = self._loop.watches.values()
        if not watches and not reaches:
            raise self._unavailable(self._loop.trouble or f'has no targets: "{self._settings.targets_file}" lists none')
        failing = [watch for watch in watches if watch.failure]
        seconds = max(query.window.seconds, math.ceil(2 * self._settings.interval))
        if not any(reach.last > query.instant - seconds for reach in reaches):
            if failing:
                raise self._unavailable(f"no target answers: {_named(failing)}")
            if reaches:
                raise self._unavailable(f"no target was scraped in the last {format_duration(seconds)}")
        if not any(reach.scrapes > 1 for reach in reaches):
            raise self._unavailable("has begun to scrape: numbers need two scrapes of a target")

    def _unavailable(self, reason: str) -> BackendUnavailable:
        return BackendUnavailable(self.name, reason, retry_after=max(1, math.ceil(self._settings.interval)))

    def _failing(self) -> list[str]:
        """Sentences about what is missing from an answer."""
        watches = list(self._loop.watches.values())
        failing = [watch for watch in watches if watch.failure]
        pending = [watch for watch in watches if not watch.attempts]
        sentences: list[str] = []
        if failing:
            count = (
                f"{len(failing)} of {len(watches)} targets cannot be scraped"
                if len(watches) > 1
                else "its target cannot be scraped"
            )
            sentences.append(f'source "{self.name}": {count}: {_named(failing)}')
        if pending:
            sentences.append(f'source "{self.name}": {len(pending)} of {len(watches)} targets have not been scraped yet')
        if self._loop.trouble:
            sentences.append(f'source "{self.name}": {self._loop.trouble}; the targets known so far are scraped on')
        if left_out := self._loop.left_out:
            sentences.append(
                f'source "{self.name}" keeps {self._settings.series_limit} series at most and leaves out {left_out}: '
                'raise "seriesLimit", or let the proxies expose less'
            )
        return sentences

    def _gaps(self, start: int, end: int) -> list[str]:
        """A sentence about targets that were not scraped for a part of the window."""
        watches = self._loop.watches.values()
        # Nothing was due yet after this moment, whatever instant is asked about.
        gaps = gapped(watches, start, min(end, time.time()), self._settings.interval)
        if not gaps or self._settings.interval * 2 > end - start:
            return []
        count = f"{len(gaps)} of {len(watches)} targets were" if len(watches) > 1 else "its target was"
        named = first_few([watch.target.address for watch in gaps])
        return [
            f'source "{self.name}": {count} not scraped in a part of the window, and what was counted there is missing: {named}'
        ]

    def _too_short(self, query: TrafficQuery) -> list[str]:
        """A hint when the window holds fewer than the two samples that an increase needs."""
        shortest = math.ceil(2 * self._settings.interval)
        if query.window.seconds >= shortest:
            return []
        every = f"{self._settings.interval:g}s"
        hint = f"a window of {query.window} is too short for it, the shortest useful one is {format_duration(shortest)}"
        return [f'source "{self.name}" scrapes every {every}: {hint}']

    def _too_long(self, query: TrafficQuery, window: Window) -> list[str]:
        """A hint when the numbers cover less than was asked for."""
        if window == query.window:
            return []
        # It is young, or the instant is so long ago that what lay before is forgotten.
        reason = "has no older samples"
        if query.window.seconds > self._settings.longest_window:
            longest = format_duration(self._settings.longest_window)
            reason = f'keeps {longest} of history, which "longestWindow" sets'
        return [f'source "{self.name}" {reason}: the numbers cover {window}, not {query.window}']


def _named(failing: list[Watch]) -> str:
    """The first few targets that fail, each with its reason."""
    named = "; ".join(f"{watch.target.address}: {watch.failure}" for watch in failing[:_MOST_NAMED])
    more = len(failing) - _MOST_NAMED
    return f"{named}; and {more} more" if more > 0 else named
