"""What a panel is answered: its queries are read together, and become series, tables and graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from apiservice.identity import User
from apiservice.result import Result
from apiservice.surfaces.grafana.asking import ROWS, Past, Reading, Time
from apiservice.surfaces.grafana.bodies import Query, QueryBody
from apiservice.surfaces.grafana.frames import Field, Frame, old_series, old_table, wire
from apiservice.surfaces.grafana.graphs import graph_reads, graph_rows
from apiservice.surfaces.grafana.metrics import Form, Metric
from apiservice.surfaces.grafana.reads import reads_of
from apiservice.surfaces.grafana.series import Legend, Line, lines_of, series_frame
from apiservice.surfaces.grafana.tables import table_frame
from apiservice.surfaces.grafana.times import MOST_INSTANTS, fitting_window, span_of
from apiservice.surfaces.reading import Asked, Reader
from metrics_api.errors import BadQuery
from metrics_api.span import Span
from metrics_api.together import aside
from metrics_api.window import Window

__all__ = ["Panels", "sentences"]

_FEWEST_INSTANTS = 10
"""Instants that every series gets, however many series are read."""

_MOST_VALUES = 250_000
"""Points that the series of one answer may have together."""

_MOST_ROWS = 150_000
"""Rows that the tables and graphs of one answer may have together."""

_NARROWER = "choose a namespace, a kind or a name, or ask fewer queries at once"

Found = dict[tuple[Asked, Time], tuple[Result, ...]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """A query, and what is read for it."""

    query: Query
    reads: tuple[tuple[Asked, Time], ...]
    span: Span | None = None
    coarse: str = ""


class _Budget(NamedTuple):
    """How much is read and told for one answer: ``rows`` for each read, and ``instants`` for each series."""

    rows: int
    instants: int


class Panels:
    """Answers panels through ``reader``. ``window`` is the default one, ``refresh`` in seconds, ``clock`` is Unix time."""

    def __init__(self, reader: Reader, window: Window, refresh: int, clock: Callable[[], float]) -> None:
        self._reader = reader
        self._window = window
        self._refresh = refresh
        self._clock = clock

    async def answer(self, user: User, body: QueryBody, scope: str) -> tuple[list[dict[str, Any]], list[str]]:
        """What ``POST grafana/query`` answers, and the warnings in it. ``scope`` is the namespace of the URL, empty for all.

        Raises :class:`metrics_api.errors.BadQuery`, a 403 for what the user may not read, and what the API raises.
        """
        reading = Reading(self._reader, user)
        plans = await self._plans(reading, body, scope)
        found = await reading.read(key for plan in plans for key in plan.reads)
        rows = _rows(plans, found)
        still = _rows((plan for plan in plans if plan.query.wanted.form is not Form.SERIES), found)
        if still > _MOST_ROWS:
            raise BadQuery(f"this is {still} rows in all tables and graphs: {_MOST_ROWS} is the most; {_NARROWER}")
        filters = max((len(plan.query.wanted.filters) for plan in plans), default=0)
        return await aside(rows * (1 + filters), lambda: _answered(plans, found))

    async def _plans(self, reading: Reading, body: QueryBody, scope: str) -> list[_Plan]:
        now = self._clock()
        then = Past(body.range.past(now, self._refresh) if body.range is not None else None)
        lines = [query for query in body.queries if query.wanted.form is Form.SERIES]
        if lines and body.range is None:
            raise BadQuery('a time series needs a range: {"from": "2026-11-21T22:25:55Z", "to": "2026-11-21T23:25:55Z"}')
        reads = [(query, asked) for query in lines for asked in reads_of(query.wanted, scope, self._window)]
        counted = await reading.rows((asked, then) for _, asked in reads)
        values = sum(counted[asked] * len(query.wanted.target.metrics) for query, asked in reads)
        if values > _MOST_VALUES:
            raise BadQuery(f"this is {values} series in one panel, of {_MOST_VALUES} points at most; {_NARROWER}")
        budget = _Budget(ROWS // max(len(counted), 1), _MOST_VALUES // max(values, 1))
        return [self._plan(query, body, then, scope, now, counted, budget) for query in body.queries]

    def _plan(
        self, query: Query, body: QueryBody, then: Past, scope: str, now: float, counted: dict[Asked, int], budget: _Budget
    ) -> _Plan:
        wanted = query.wanted
        if wanted.form is Form.GRAPH:
            return _Plan(query, tuple((asked, then) for asked in graph_reads(wanted, scope, self._window)))
        reads = reads_of(wanted, scope, self._window)
        if wanted.form is Form.TABLE or body.range is None:
            return _Plan(query, tuple((asked, then) for asked in reads))
        rows = max((counted[asked] for asked in reads), default=1)
        most = min(max(budget.rows // max(rows, 1), _FEWEST_INSTANTS), budget.instants, MOST_INSTANTS)
        span = span_of(body.range, now, body.interval, body.points, most)
        if span is None:
            return _Plan(query, ())
        usual = span_of(body.range, now, body.interval, body.points)
        coarse = ""
        if usual is not None and usual.step < span.step:
            coarse = (
                f"there are {rows} series, so points are {span.step}s apart instead of {usual.step}s: choose a namespace or a name to "
                "see more"
            )
        reads = reads_of(wanted, scope, fitting_window(self._window, span))
        return _Plan(query, tuple((asked, span) for asked in reads), span, coarse)


def _rows(plans: Iterable[_Plan], found: Found) -> int:
    """How many rows are looked at; those of a read as often as somebody wants them."""
    return sum(len(result.rows) for plan in plans for key in plan.reads for result in found[key])


def sentences(results: Iterable[Result]) -> list[str]:
    """What a reader should know of results, each sentence once."""
    results = list(results)
    told = list(dict.fromkeys(text for result in results for text in result.warnings))
    if not told and any(result.incomplete for result in results):
        told = ["a source failed, and numbers may be missing"]
    return told


def _answered(plans: Sequence[_Plan], found: Found) -> tuple[list[dict[str, Any]], list[str]]:
    drawn = {index: _lines(plan, found) for index, plan in enumerate(plans) if plan.query.wanted.form is Form.SERIES}
    legend = Legend.of([pair for pairs in drawn.values() for pair in pairs])
    sent: list[dict[str, Any]] = []
    told: dict[str, None] = {}
    for index, plan in enumerate(plans):
        results = [result for key in plan.reads for result in found[key]]
        new = [text for text in (*plan.query.wanted.remarks, *filter(None, [plan.coarse]), *sentences(results)) if text not in told]
        told |= dict.fromkeys(new)
        frames = _series(plan, drawn[index], legend) if index in drawn else _still(plan, found)
        if frames:
            # Of several frames the first one carries what is to be said.
            frames[0] = replace(frames[0], notices=(*frames[0].notices, *new))
        told |= dict.fromkeys(text for frame in frames for text in frame.notices)
        sent += [_sent(plan.query, frame) for frame in frames]
    return sent, list(told)


def _lines(plan: _Plan, found: Found) -> list[tuple[Line, Metric]]:
    if plan.span is None:
        return []
    wanted = plan.query.wanted
    moments = ((instant, result) for key in plan.reads for instant, result in zip(plan.span.instants, found[key], strict=True))
    lines = lines_of(moments, wanted)
    return [(line, metric) for metric in wanted.target.metrics for line in lines]


def _series(plan: _Plan, drawn: Sequence[tuple[Line, Metric]], legend: Legend) -> list[Frame]:
    query = plan.query
    if plan.span is None or not drawn:
        empty = [Field("Time", "time", []), Field(query.wanted.target.metrics[0].name, "number", [])]
        return [Frame(query.ref_id, query.wanted.target.name, empty)]
    return [
        series_frame(query.ref_id, line, metric, plan.span, legend.name(line, metric, query.wanted.legend))
        for line, metric in drawn
    ]


def _still(plan: _Plan, found: Found) -> list[Frame]:
    """The frames of what is of one instant: a table, or a graph."""
    query, wanted = plan.query, plan.query.wanted
    results = [found[key][0] for key in plan.reads]
    if wanted.form is Form.GRAPH:
        drawing = graph_rows(wanted, results)
        return drawing.frames(query.ref_id, drawing.remarks)
    rows = [row for result in results for row in result.rows if wanted.has(row)]
    return [table_frame(query.ref_id, wanted.target.name, rows, wanted.target.metrics, edges=bool(wanted.directions))]


def _sent(query: Query, frame: Frame) -> dict[str, Any]:
    if not query.old or query.wanted.form is Form.GRAPH:
        return wire(frame)
    return old_series(frame) if query.wanted.form is Form.SERIES else old_table(frame)
