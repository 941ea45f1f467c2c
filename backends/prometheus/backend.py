"""The Prometheus source: all reads of an answer at one instant and at the same time, each histogram once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import median
from types import TracebackType
from typing import Self

from backends.dialects import Consultation, Dialect, Read, Rows, combined, equal, refusal
from backends.dialects.overrides import override
from backends.prometheus.client import UNREADABLE, PrometheusClient
from backends.prometheus.diagnosis import diagnose
from backends.prometheus.promql import HistogramForm, form_matters, query_of, selector
from backends.prometheus.ranges import Ranges, one_by_one
from backends.prometheus.recognition import candidates, recognise
from backends.prometheus.rhythm import needed
from backends.prometheus.rows import rows_of
from backends.prometheus.settings import PrometheusSettings
from metrics_api import (
    Answer,
    BackendError,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    Span,
    TrafficQuery,
    Window,
    aside,
    format_duration,
    together,
)
from metrics_api.diagnosis import Diagnosis

__all__ = ["PrometheusBackend"]

logger = logging.getLogger(__name__)

_FACTS_KEPT = 300.0
"""Seconds for which what was learnt about a store is believed: whether it keeps native histograms, how often it scrapes."""

_HOURS_KEPT = 48
"""For how many hours it is remembered which dialects were recognised in them."""

_FIRST_LOOK = 5.0
"""Seconds that starting waits for a store to show its dialects; it is asked again with the first question."""

_SILENCE_KEPT = 30.0
"""Seconds for which it is believed that there is nothing to learn."""


class PrometheusBackend:
    """Answers queries out of one Prometheus-compatible store, in one dialect, or in those that the store turns out to keep."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._client = PrometheusClient(settings)
        self._facts: dict[tuple[str, int], tuple[float, float]] = {}
        self._recognised: dict[int, tuple[tuple[Dialect, ...], float]] = {}

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self._settings.name

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """The dialects it answers in: the configured one, or those recognised of late."""
        if self._settings.dialect is not None:
            return (self._settings.dialect,)
        return self._recognised[max(self._recognised)][0] if self._recognised else ()

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why no dialect of the store can ever answer such a query; None when one can, or when none is recognised yet."""
        return _apart(self.dialects, query)[1]

    async def diagnose(self, window: Window) -> Diagnosis:
        """Examine the store for questions about ``window``; it need not be open."""
        return await diagnose(self._settings, window)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        try:
            await self._look_first()
        except BaseException:
            # Whoever gives up waiting for it has not got it open.
            await self._client.__aexit__(None, None, None)
            raise
        return self

    async def _look_first(self) -> None:
        """Find out the dialects, if it is not said which; the store need not be there yet."""
        if self._settings.dialect is not None:
            return
        try:
            async with asyncio.timeout(_FIRST_LOOK):
                await self.find_dialects(int(time.time()))
        except TimeoutError:
            logger.warning('source "%s" cannot tell its dialects yet: it does not answer', self.name)
        except BackendError as error:
            logger.warning("cannot tell its dialects yet: %s", error.message)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendError`."""
        dialects = await self.find_dialects(query.instant)
        able, reason = _apart(dialects, query)
        consultations = [Consultation(dialect, query, self.name) for dialect in able]
        said = await together(*(self._consult(consultation, query) for consultation in consultations))
        warnings = dict.fromkeys(text for texts in said for text in texts)
        incomplete = bool(warnings)
        samples, told = combined(consultations)
        warnings |= dict.fromkeys(told)
        if reason is not None:
            # The refusal could not say so: which dialects there are, or were then, was found out just now.
            warnings[f'source "{self.name}": {reason}'] = None
        if (hint := await self._too_short(dialects[0], query)) is not None:
            warnings[hint] = None
        return Answer(samples, query.instant, query.window, tuple(warnings), incomplete=incomplete)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        """An answer for each instant of a span. Raises :class:`metrics_api.errors.BackendError`."""
        # Its answers tell what kind of store it is.
        await self._client.query("vector(1)", span.end)
        if self._client.is_victoria_metrics:
            return await one_by_one(self.answer, query, span)
        dialects = await self.find_dialects(span.end)
        able, reason = _apart(dialects, query)
        hint = await self._too_short(dialects[0], replace(query, instant=span.end))
        hints = [hint, reason and f'source "{self.name}": {reason}']
        return await Ranges(self.name, self._client, query).history(able, span, [text for text in hints if text])

    async def find_dialects(self, instant: int) -> tuple[Dialect, ...]:
        """The dialects to answer in, looked for from time to time if none is configured.

        Raises :class:`metrics_api.errors.BackendError`: of the store, or because it keeps nothing that is known here.
        """
        if self._settings.dialect is not None:
            return (self._settings.dialect,)
        # What was kept long ago says nothing about now.
        hour, now = instant // 3600, time.monotonic()
        found, until = self._recognised.get(hour, ((), 0.0))
        if now < until:
            return found
        found = await recognise(self._client, instant, self._candidates())
        if not found:
            raise BackendRefused(
                self.name,
                "keeps no metrics of a mesh that is known here: is the mesh scraped into it? "
                '"trafficmetrics doctor" says more; a scheme of your own needs a dialect file',
            )
        if found != self.dialects:
            logger.info('source "%s" keeps %s', self.name, ", ".join(dialect.name for dialect in found))
        self._recognised[hour] = found, now + _FACTS_KEPT
        if len(self._recognised) > _HOURS_KEPT:
            del self._recognised[min(self._recognised)]
        return found

    def _candidates(self) -> list[Dialect]:
        return [override(dialect, self._settings.overrides, where_possible=True) for dialect in candidates()]

    async def _consult(self, consultation: Consultation, query: TrafficQuery) -> list[str]:
        """Read until the consultation knows enough; returns what the store warned of."""
        warnings: list[str] = []
        while reads := consultation.reads:
            outcomes = await together(*(self._one(read, query) for read in reads))
            results = {read: rows for read, (rows, _) in zip(reads, outcomes, strict=True)}
            warnings += [text for _, said in outcomes for text in said]
            await aside(sum(len(rows) for rows in results.values()), partial(consultation.take, results))
        return warnings

    async def _one(self, read: Read, query: TrafficQuery) -> tuple[Rows, list[str]]:
        form = await self._form(read, query.instant)
        elements = await self._client.elements(query_of(read, query.window, form), query.instant)
        try:
            rows = await aside(len(elements.texts), partial(rows_of, read, elements.texts))
        except UNREADABLE as error:
            raise BackendProtocolError(self.name, f"answered a result that cannot be read: {error}") from error
        except ValueError as error:
            raise BackendProtocolError(self.name, "answered a value that is not a number") from error
        return rows, [f'source "{self.name}" warns: {text}' for text in elements.warnings]

    async def _form(self, read: Read, instant: int) -> HistogramForm:
        """How the store keeps a histogram: asking for both forms costs, so the native one is asked for where it exists."""
        if not form_matters(read):
            return HistogramForm.CLASSIC
        (metric,) = read.metrics
        found = await self._fact(f"native {metric}", instant, lambda: self._count(metric, instant))
        return HistogramForm.BOTH if found else HistogramForm.CLASSIC

    async def _too_short(self, dialect: Dialect, query: TrafficQuery) -> str | None:
        """A hint when the window holds fewer samples than numbers need."""
        try:
            interval = self._settings.scrape_interval or await self._interval(dialect, query.instant)
        except BackendTimeout as error:
            # What was asked for is there: it needs no hint.
            logger.info("%s, asked for how often it scrapes", error.message)
            return None
        shortest = needed(dialect) * interval
        if query.window.seconds >= shortest:
            return None
        return (
            f'source "{self.name}" has a sample every {format_duration(interval)}: a window of {query.window} is too short for it, '
            f"the shortest useful one is {format_duration(shortest)}"
        )

    async def _interval(self, dialect: Dialect, instant: int) -> int:
        """Seconds between two samples of a series of requests, as they are; 0 while that is not known."""
        view = dialect.views[0]
        sizes = [selector(metric, view.match) for metric in view.counters]
        if view.observations:
            # Histograms are not compared, and the number of their observations has no name.
            sizes = [f"histogram_count({sizes[0]})"]
        series, metric = " or ".join(sizes), view.counters[0]
        return int(await self._fact(f"interval {dialect.name}", instant, lambda: self._measure(series, metric, instant)))

    async def _measure(self, series: str, metric: str, instant: int) -> float:
        """Any one series tells: the median of the distances between its latest samples."""
        found = (await self._client.query(f"topk(1, {series})", instant)).series
        if not found:
            return 0.0
        labels = found[0].metric
        only = [equal(label, value) for label, value in labels.items() if label != "__name__"]
        times = await self._client.sample_times(f"{selector(labels.get('__name__', metric), only)}[10m]", instant)
        return round(median(later - earlier for earlier, later in pairwise(times))) if len(times) > 1 else 0.0

    async def _count(self, metric: str, instant: int) -> float:
        return float(len((await self._client.query(f"count({selector(metric, ())})", instant)).series))

    async def _fact(self, name: str, instant: int, learn: Callable[[], Awaitable[float]]) -> float:
        """What a small query tells of the store, remembered; 0 when it tells nothing, which is believed for a short time only.

        Raises :class:`metrics_api.errors.BackendTimeout`: a store that hangs is not waited for twice.
        """
        # What was kept long ago says nothing about now.
        key, now = (name, instant // 3600), time.monotonic()
        value, until = self._facts.get(key, (0.0, 0.0))
        if now < until:
            return value
        try:
            value = await learn()
        except BackendTimeout:
            raise
        except BackendError as error:
            logger.info("%s, asked for %s", error.message, name)
            value = 0.0
        # Of facts that are of no use any more there would be as many as hours were asked about.
        self._facts = {known: fact for known, fact in self._facts.items() if fact[1] > now}
        self._facts[key] = (value, now + (_FACTS_KEPT if value else _SILENCE_KEPT))
        return value


def _apart(dialects: Sequence[Dialect], query: TrafficQuery) -> tuple[list[Dialect], str | None]:
    """The dialects that can answer a query; where there are some and none can, why not."""
    refusals = [(dialect, refusal(dialect, query)) for dialect in dialects]
    able = [dialect for dialect, reason in refusals if reason is None]
    reasons = "; ".join(reason for _, reason in refusals if reason is not None)
    return able, reasons if reasons and not able else None
