"""The CloudWatch source: a question is about whole minutes that have arrived, and the answer says which they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from backends.cloudwatch.diagnosis import diagnose
from backends.cloudwatch.moment import Moment, moment_of, remark
from backends.cloudwatch.parts import Parts
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.source import Observation
from metrics_api import Answer, BackendForgot, Offer, Span, TrafficQuery, Window, timestamp
from metrics_api.diagnosis import Diagnosis
from metrics_api.usage import Usage

__all__ = ["CloudWatchBackend"]

_LONGEST_AGO = {"xray": "30 days"}
"""For how long the traces of X-Ray are kept; metrics are for 455 days."""


class CloudWatchBackend:
    """Answers queries out of CloudWatch or X-Ray. ``clock`` gives Unix seconds."""

    def __init__(self, settings: CloudWatchSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._parts = Parts(settings, clock)

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self._settings.name

    @property
    def offer(self) -> Offer:
        """Any percentile that it is asked for, of whole minutes that were over for as long as numbers take to arrive."""
        return Offer(delay=self._settings.delay)

    @property
    def gives_percentiles(self) -> bool:
        """Whether it must be told which percentiles are wanted: X-Ray alone gives histograms."""
        return self._settings.source != "xray"

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why this source can never answer such a query; None when it can."""
        return self._parts.source.refusal(query)

    def usage(self) -> Usage:
        """What it has used so far, and what that comes to."""
        usage = self._parts.reader.usage(self._parts.aws)
        return usage if self._parts.rows is not None else replace(usage, monthly_dollars=None)

    async def diagnose(self, window: Window) -> Diagnosis:
        """Examine the source for questions about ``window``; it need not be open."""
        # What fails now and then is wrong, too.
        return await diagnose(Parts(self._settings, self._clock, attempts=1), window)

    async def __aenter__(self) -> Self:
        await self._parts.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._parts.__aexit__(kind, error, trace)

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendError`."""
        moment = self._moment(query.instant, query.window)
        if moment is None:
            raise self._forgotten(query.instant)
        (observation,) = await self._parts.source.observe(query, [moment])
        return self._answer(query.instant, query.window, observation)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        """An answer for each instant of a span, each metric asked for once. Raises :class:`metrics_api.errors.BackendError`."""
        moments = {instant: self._moment(instant, query.window) for instant in span.instants}
        known = list(dict.fromkeys(moment for moment in moments.values() if moment is not None))
        if not known:
            raise self._forgotten(span.end)
        observed = dict(zip(known, await self._parts.source.observe(query, known), strict=True))
        lost = f'source "{self.name}" keeps nothing that is older than {self._kept}'
        return tuple(
            self._answer(instant, query.window, observed[moment])
            if moment is not None
            else Answer((), instant, query.window, (lost,), incomplete=True)
            for instant, moment in moments.items()
        )

    def _moment(self, instant: int, window: Window) -> Moment | None:
        return moment_of(instant, window, self._clock(), self._settings.delay, whole_periods=self._parts.reader.whole_periods)

    def _answer(self, instant: int, window: Window, observation: Observation) -> Answer:
        moment = observation.moment
        told = remark(self.name, instant, window, moment)
        warnings = (*observation.warnings, *([told] if told is not None else []))
        return Answer(observation.samples, moment.end, moment.window, warnings, incomplete=observation.incomplete)

    @property
    def _kept(self) -> str:
        return _LONGEST_AGO.get(self._settings.source, "455 days")

    def _forgotten(self, instant: int) -> BackendForgot:
        return BackendForgot(self.name, f"keeps nothing of {timestamp(instant)}: it goes back {self._kept}; ask about a later time")
