"""History out of a Prometheus-compatible store: every read asked once for all instants, then understood instant by instant.

Not so out of a VictoriaMetrics. Its ranges are not what its instants are: whatever it is told, they repeat for the last 30 s what was known
before (VictoriaMetrics/VictoriaMetrics, app/vmselect/prometheus/prometheus.go, adjustLastPoints); an increase is 0 where a gap begins, and
where a long one ends, all that was counted meanwhile is put into one window (app/vmselect/promql/rollup.go, rollupDelta). So it is asked
for each instant.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from backends.dialects import Consultation, Dialect, Read, Rows, combined
from backends.prometheus.client import UNREADABLE, PrometheusClient
from backends.prometheus.matrix import StrayInstant, rows_by_instant
from backends.prometheus.promql import HistogramForm, form_matters, query_of, selector
from metrics_api import Answer, BackendProtocolError, Span, TrafficQuery, Window, aside, together

__all__ = ["Ranges", "one_by_one"]

_AT_ONCE = 8
"""How many instants are asked for at the same time where each is asked for on its own."""

_LOOKBACK = 300
"""Seconds for which a Prometheus takes the latest sample of a series for its value."""


@dataclass(slots=True)
class _Moment:
    """One instant of a history under way: a consultation per dialect, and what the store has warned of."""

    consultations: list[Consultation]
    said: dict[str, None] = field(default_factory=dict)

    @property
    def reads(self) -> list[Read]:
        return [read for consultation in self.consultations for read in consultation.reads]

    def take(self, results: Mapping[Read, Rows]) -> None:
        for consultation in self.consultations:
            if reads := consultation.reads:
                consultation.take({read: results[read] for read in reads})

    def answer(self, instant: int, window: Window, hints: Sequence[str]) -> Answer:
        samples, told = combined(self.consultations)
        return Answer(samples, instant, window, tuple(dict.fromkeys([*self.said, *told, *hints])), incomplete=bool(self.said))


class Ranges:
    """The history of one question, read from one store, which the configuration calls ``name``."""

    def __init__(self, name: str, client: PrometheusClient, query: TrafficQuery) -> None:
        self._name = name
        self._client = client
        self._query = query
        self._forms: dict[str, HistogramForm] = {}

    async def history(self, dialects: Sequence[Dialect], span: Span, hints: Sequence[str] = ()) -> tuple[Answer, ...]:
        """What :meth:`metrics_api.backend.Backend.history` promises, told in ``dialects``; ``hints`` are warnings of every answer."""
        # What is planned does not depend on the instant, and planning takes longer than understanding a small answer.
        planned = [Consultation(dialect, self._query, self._name) for dialect in dialects]
        moments = {instant: _Moment([copy(one) for one in planned]) for instant in span.instants}
        while pending := {instant: reads for instant, moment in moments.items() if (reads := moment.reads)}:
            # What is found at the first look is not looked for again, and often that leaves a part of the span alone.
            rest = Span(min(pending), max(pending), span.step)
            wanted = dict.fromkeys(read for reads in pending.values() for read in reads)
            await self._learn_forms(wanted, span)
            outcomes = await together(*(self._one(read, rest) for read in wanted))
            for instant in pending:
                moments[instant].said |= dict.fromkeys(text for _, _, warnings in outcomes for text in warnings)
            rows = {read: found for read, (found, _, _) in zip(wanted, outcomes, strict=True)}
            under_way = [moments[instant] if instant in pending else None for instant in rest.instants]
            await aside(sum(size for _, size, _ in outcomes), partial(_take, under_way, rows))
        window = self._query.window
        return await aside(
            len(moments), lambda: tuple(moment.answer(instant, window, hints) for instant, moment in moments.items())
        )

    async def _one(self, read: Read, span: Span) -> tuple[Iterator[Rows], int, list[str]]:
        """The rows of a read at each instant, about how many they are together, and what the store warns of."""
        form = self._forms[read.metrics[0]] if form_matters(read) else HistogramForm.CLASSIC
        elements = await self._client.elements_over(query_of(read, self._query.window, form), span)
        size = len(elements.texts) * len(span.instants)
        try:
            rows = await aside(size, partial(rows_by_instant, read, elements.texts, span.instants))
        except StrayInstant as error:
            raise BackendProtocolError(
                self._name,
                "answered for other instants than it was asked for; if it aligns ranges to their step, "
                "let the history start at a multiple of the step",
            ) from error
        except UNREADABLE as error:
            raise BackendProtocolError(self._name, f"answered a result that cannot be read: {error}") from error
        except ValueError as error:
            raise BackendProtocolError(self._name, "answered a value that is not a number") from error
        return rows, size, [f'source "{self._name}" warns: {text}' for text in elements.warnings]

    async def _learn_forms(self, reads: Iterable[Read], span: Span) -> None:
        """In which forms the store kept each histogram at any time of the span, which a few points tell."""
        metrics = dict.fromkeys(read.metrics[0] for read in reads if form_matters(read))
        unknown = [metric for metric in metrics if metric not in self._forms]
        few = Span(span.start, span.end, max(span.step, _LOOKBACK))
        found = await together(*(self._client.elements_over(f"count({selector(metric, ())})", few) for metric in unknown))
        for metric, native in zip(unknown, found, strict=True):
            self._forms[metric] = HistogramForm.BOTH if native.texts else HistogramForm.CLASSIC


def _take(moments: Sequence[_Moment | None], rows: Mapping[Read, Iterator[Rows]]) -> None:
    """Hand the rows of each instant over to whoever wants some there."""
    for moment in moments:
        results = {read: next(found) for read, found in rows.items()}
        if moment is not None:
            moment.take(results)


async def one_by_one(
    ask: Callable[[TrafficQuery], Coroutine[Any, Any, Answer]], query: TrafficQuery, span: Span
) -> tuple[Answer, ...]:
    """What ``ask`` answers at each instant of ``span``, a few at a time; its first error is raised."""
    answers: list[Answer] = []
    for at in range(0, len(span.instants), _AT_ONCE):
        few = span.instants[at : at + _AT_ONCE]
        answers += await together(*(ask(replace(query, instant=instant)) for instant in few))
    return tuple(answers)
