"""GetMetricData: queries in, points by period out, page by page.

Rules: botocore data ``cloudwatch/2010-08-01`` (GetMetricData, MetricDataQuery, MetricStat), CloudWatch User Guide, "Metrics concepts".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch import statistics
from tests.doubles.cloudwatch.errors import Refusal, validation
from tests.doubles.cloudwatch.queries import Asked, Query
from tests.doubles.cloudwatch.store import MINUTE, Datum, Store

__all__ = ["MOST_POINTS", "MetricData", "Spoiled"]

MOST_POINTS = 100_800

_DAY = 86400
_KEPT = ((_DAY // 8, 1), (15 * _DAY, MINUTE), (63 * _DAY, 300), (455 * _DAY, 3600))
"""Until which age, in seconds, points can be read with a period that is a multiple of what."""


@dataclass(slots=True)
class Spoiled:
    """How results of a metric come: with that status and those messages (code, text), and without points unless ``points``.

    ``times`` is the number of requests to which that happens, None for all.
    """

    status: str
    messages: Sequence[tuple[str, str]] = ()
    points: bool = False
    times: int | None = None


@dataclass(slots=True)
class _Series:
    """One result, of which points are still to be sent."""

    query: Query
    points: Sequence[tuple[int, float]]


@dataclass(slots=True)
class MetricData:
    """The operation, and its knobs; see the package."""

    store: Store
    anchor: str = "start"
    page_points: int = MOST_POINTS
    empty_partial: bool = False
    endless: bool = False
    spoiled: dict[str, Spoiled] = field(default_factory=dict)
    messages: list[tuple[str, str]] = field(default_factory=list)
    _pages: dict[str, tuple[Any, list[_Series]]] = field(default_factory=dict)

    def answer(self, parameters: Mapping[str, Any], asked: Asked, now: float) -> dict[str, Any]:
        """The answer, of one page; Refusal for a range, an order or a token that is none."""
        start, end = parameters["StartTime"], parameters["EndTime"]
        if start >= end:
            raise validation("The parameter StartTime must be less than the parameter EndTime.")
        most = parameters.get("MaxDatapoints", MOST_POINTS)
        if not 1 <= most <= MOST_POINTS:
            raise validation(f"The value {most} for parameter MaxDatapoints must be from 1 to {MOST_POINTS}.")
        order = parameters.get("ScanBy", "TimestampDescending")
        if order not in ("TimestampDescending", "TimestampAscending"):
            raise validation(f"The value {order} for parameter ScanBy is not valid.")
        same = {name: value for name, value in parameters.items() if name != "NextToken"}
        token = parameters.get("NextToken")
        if token is None:
            left = [_Series(query, self._points(query, start, end, now)) for query in asked.queries if query.returned]
            if order == "TimestampDescending":
                left = [_Series(series.query, series.points[::-1]) for series in left]
        elif token in self._pages and self._pages[token][0] == same:
            left = self._pages[token][1]
        else:
            raise Refusal("InvalidNextToken", "The service cannot process the provided next token.")
        results, rest = self._page(left, min(most, self.page_points))
        page: dict[str, Any] = {"MetricDataResults": results, "Messages": _messages([*self.messages, *asked.messages])}
        if rest or self.endless:
            page["NextToken"] = f"page-{len(self._pages) + 1}"
            self._pages[page["NextToken"]] = (same, rest)
        return page

    def _page(self, left: Sequence[_Series], room: int) -> tuple[list[dict[str, Any]], list[_Series]]:
        results: list[dict[str, Any]] = []
        rest: list[_Series] = []
        spoiled = {name: one for name, one in self.spoiled.items() if one.times is None or one.times > 0}
        used = {name for name in spoiled if name == "*" or any(series.query.metric.name == name for series in left)}
        for series in left:
            sent, later = series.points[:room], series.points[room:]
            room -= len(sent)
            if later:
                rest.append(_Series(series.query, later))
            if sent or not later or self.empty_partial:
                one = spoiled.get(series.query.metric.name) or spoiled.get("*")
                results.append(_result(series.query, sent, "PartialData" if later else "Complete", one))
        for one in map(spoiled.__getitem__, used):
            one.times = None if one.times is None else one.times - 1
        return results, rest

    def _points(self, query: Query, start: float, end: float, now: float) -> list[tuple[int, float]]:
        first = _rounded(start, query.period, now)
        origin = first if self.anchor == "start" else 0
        buckets: dict[int, list[Datum]] = defaultdict(list)
        for datum in self.store.seen(query.metric, now):
            if first <= datum.stamp < end and _kept(datum.stamp, query.period, now) and query.unit in ("", datum.unit):
                buckets[origin + (datum.stamp - origin) // query.period * query.period].append(datum)
        values = [(stamp, statistics.statistic(query.stat, data)) for stamp, data in sorted(buckets.items())]
        return [(stamp, float(value)) for stamp, value in values if value is not None]


def _result(query: Query, points: Sequence[tuple[int, float]], status: str, spoiled: Spoiled | None) -> dict[str, Any]:
    if spoiled is not None:
        points, status = points if spoiled.points else (), spoiled.status
    return {
        "Id": query.id,
        "Label": query.label,
        "Timestamps": [stamp for stamp, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": status,
    } | ({"Messages": _messages(spoiled.messages)} if spoiled is not None else {})


def _messages(messages: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Code": code, "Value": text} for code, text in messages]


def _rounded(start: float, period: int, now: float) -> int:
    step = next((step for kept, step in _KEPT[1:] if now - start <= kept), 3600)
    step = min(step, period) if step == MINUTE else step
    return int(start // step * step)


def _kept(stamp: int, period: int, now: float) -> bool:
    return any(now - stamp <= kept and period % step == 0 for kept, step in _KEPT)
