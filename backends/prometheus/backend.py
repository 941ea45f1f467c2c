"""The Prometheus source: all reads of an answer at one instant and at the same time, each histogram once."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import pairwise
from statistics import median
from types import TracebackType
from typing import Self

from backends.dialects import Read, Reading, Rows, equal, interpret, omissions, plan, refusal
from backends.prometheus.client import UNREADABLE, PrometheusClient
from backends.prometheus.promql import HistogramForm, query_of, selector
from backends.prometheus.rows import rows_of
from backends.prometheus.settings import PrometheusSettings
from metrics_api import Answer, BackendError, BackendProtocolError, TrafficQuery, aside, format_duration, together

__all__ = ["PrometheusBackend"]

logger = logging.getLogger(__name__)

_FACTS_KEPT = 300.0
"""Seconds for which what was learnt about a store is believed: whether it keeps native histograms, how often it scrapes."""

_SILENCE_KEPT = 30.0
"""Seconds for which it is believed that there is nothing to learn."""


class PrometheusBackend:
    """Answers queries out of one Prometheus-compatible store, in one dialect."""

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        self._client = PrometheusClient(settings)
        self._facts: dict[str, tuple[float, float]] = {}

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        return self._settings.name

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why the dialect can never answer such a query; None when it can."""
        return refusal(self._settings.dialect, query)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def answer(self, query: TrafficQuery) -> Answer:
        """The samples for a query. Raises :class:`metrics_api.errors.BackendError`."""
        warnings: dict[str, None] = {}
        for stage in plan(self._settings.dialect, query):
            reads = dict.fromkeys(read for part in stage for read in part.reads)
            results, said = await self._read(list(reads), query)
            warnings |= dict.fromkeys(said)
            size = sum(len(rows) for rows in results.values())
            samples = await aside(size, partial(interpret, stage, query, results, self.name))
            if samples:
                break
        else:
            samples = ()
        incomplete = bool(warnings)
        warnings |= dict.fromkeys(f'source "{self.name}": {text}' for text in omissions(self._settings.dialect, query))
        if (hint := await self._too_short(query)) is not None:
            warnings[hint] = None
        return Answer(samples, query.instant, query.window, tuple(warnings), incomplete=incomplete)

    async def _read(self, reads: list[Read], query: TrafficQuery) -> tuple[Mapping[Read, Rows], list[str]]:
        outcomes = await together(*(self._one(read, query) for read in reads))
        results = {read: rows for read, (rows, _) in zip(reads, outcomes, strict=True)}
        return results, [text for _, said in outcomes for text in said]

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
        if read.reading is not Reading.HISTOGRAM:
            return HistogramForm.CLASSIC
        (metric,) = read.metrics
        found = await self._fact(f"native {metric}", lambda: self._count(metric, instant))
        return HistogramForm.BOTH if found else HistogramForm.CLASSIC

    async def _too_short(self, query: TrafficQuery) -> str | None:
        """A hint when the window holds fewer than the two samples that an increase needs."""
        interval = self._settings.scrape_interval or await self._interval(query.instant)
        if query.window.seconds >= 2 * interval:
            return None
        return (
            f'source "{self.name}" has a sample every {format_duration(interval)}: a window of {query.window} is too short for it, '
            f"the shortest useful one is {format_duration(2 * interval)}"
        )

    async def _interval(self, instant: int) -> int:
        """Seconds between two samples of a series of requests, as they are; 0 while that is not known."""
        view = self._settings.dialect.views[0]
        return int(await self._fact("interval", lambda: self._measure(selector(view.requests, view.match), instant)))

    async def _measure(self, series: str, instant: int) -> float:
        """Any one series tells: the median of the distances between its latest samples."""
        found = (await self._client.query(f"topk(1, {series})", instant)).series
        if not found:
            return 0.0
        labels = found[0].metric
        only = [equal(label, value) for label, value in labels.items() if label != "__name__"]
        times = await self._client.sample_times(f"{selector(labels.get('__name__', ''), only)}[10m]", instant)
        return round(median(later - earlier for earlier, later in pairwise(times))) if len(times) > 1 else 0.0

    async def _count(self, metric: str, instant: int) -> float:
        return float(len((await self._client.query(f"count({metric})", instant)).series))

    async def _fact(self, name: str, learn: Callable[[], Awaitable[float]]) -> float:
        """What a small query tells of the store, remembered; 0 when it tells nothing, which is believed for a short time only."""
        now = time.monotonic()
        value, until = self._facts.get(name, (0.0, 0.0))
        if now < until:
            return value
        try:
            value = await learn()
        except BackendError as error:
            logger.info("%s, asked for %s", error.message, name)
            value = 0.0
        self._facts[name] = (value, now + (_FACTS_KEPT if value else _SILENCE_KEPT))
        return value
