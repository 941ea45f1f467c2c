"""The source in Linkerd viz: questions about now, asked of its metrics-api."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from backends.linkerd.client import VizClient
from backends.linkerd.diagnosis import diagnose
from backends.linkerd.edges import EdgeReader
from backends.linkerd.kinds import refusal
from backends.linkerd.observation import Observation
from backends.linkerd.rows import PERCENTILES
from backends.linkerd.settings import LinkerdSettings
from backends.linkerd.totals import observe_totals
from metrics_api import Answer, BackendForgot, BadQuery, Offer, Span, TrafficQuery, Window, first_few, format_duration, timestamp
from metrics_api.diagnosis import Diagnosis

__all__ = ["LinkerdBackend"]

_NOW = 60
"""Seconds after which an instant is past. Numbers are of the moment they are asked for, and questions of one that has just gone by."""

_NO_MEMORY = "tells of now alone"


class LinkerdBackend:
    """Answers queries out of the metrics-api of Linkerd viz. ``clock`` gives Unix seconds."""

    def __init__(self, settings: LinkerdSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._client = VizClient(settings)
        self._edges = EdgeReader(self._client, settings)

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self._settings.name

    @property
    def offer(self) -> Offer:
        """Three percentiles, in whole milliseconds, which viz takes from the last two samples of Prometheus; no other can be had."""
        return Offer(percentiles=PERCENTILES, reach=_NOW)

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why this source can never answer such a query; None when it can."""
        return refusal(query)

    async def diagnose(self, window: Window) -> Diagnosis:
        """Examine the source for questions about ``window``; it need not be open."""
        return await diagnose(self._settings, window)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendError`; past instants are forgotten."""
        self._require_now(query.instant)
        if query.edges:
            return self._answer(query, await self._edges.observe(query))
        return self._answer(query, await observe_totals(self._client, query, self.name))

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        """An answer for the last instant of a span, which has to be now; nothing is known of those before it."""
        *past, last = span.instants
        self._require_now(last)
        lost = (
            f'source "{self.name}" {_NO_MEMORY}: nothing is known of {format_duration(last - span.start)} before it' if past else ""
        )
        now = await self.answer(replace(query, instant=last))
        return (*(Answer((), instant, query.window, (lost,), incomplete=True) for instant in past), now)

    def _require_now(self, instant: int) -> None:
        if self._clock() - instant > _NOW:
            raise BackendForgot(
                self.name,
                f"{_NO_MEMORY}, and keeps nothing of {timestamp(instant)}; the Prometheus behind it may: ask that as a source of its own",
            )

    def _answer(self, query: TrafficQuery, observation: Observation) -> Answer:
        """The answer, about the window that its rows say they are of."""
        observation = self._certain(query, observation)
        if not observation.windows:
            return Answer(observation.samples, query.instant, query.window, observation.warnings)
        echoes = sorted(observation.windows)
        told = f'source "{self.name}" was asked about {query.window}, and says that it answers about {first_few(echoes)}'
        window = _window(echoes[0]) if len(echoes) == 1 else None
        # Numbers of a window that nobody knows would be told of a wrong one.
        samples = observation.samples if window is not None else ()
        warnings = (*observation.warnings, told)
        return Answer(samples, query.instant, window or query.window, warnings, incomplete=window is None)

    def _certain(self, query: TrafficQuery, observation: Observation) -> Observation:
        """What was observed, without the zeros of a window that is too short for numbers: they are what viz makes of nothing."""
        shortest = 2 * self._settings.scrape_interval
        if query.window.seconds >= shortest:
            return observation
        every = format_duration(self._settings.scrape_interval)
        hint = f"a window of {query.window} is too short for it, the shortest useful one is {format_duration(shortest)}"
        told = f'source "{self.name}": the Prometheus behind it scrapes every {every} ("scrapeInterval"): {hint}'
        counting = tuple(sample for sample in observation.samples if sample.success or sample.failure)
        return replace(observation, samples=counting, warnings=(*observation.warnings, told))


def _window(text: str) -> Window | None:
    try:
        return Window.parse(text)
    except BadQuery:
        return None
