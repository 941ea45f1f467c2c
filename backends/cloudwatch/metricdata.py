"""Data points of many metrics: as few calls as CloudWatch allows, each to its end, and nothing of it missing without a word.

Source of the protocol: Amazon CloudWatch API Reference, "GetMetricData"; botocore, data/cloudwatch/2010-08-01.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from backends.cloudwatch.batches import MOST_QUERIES, batches
from backends.cloudwatch.metric import Metric, Wanted
from backends.cloudwatch.session import Aws
from metrics_api import BackendError, BackendProtocolError, BackendRefused, BackendUnavailable, together

__all__ = ["MetricData", "Readings", "billed"]

_POINTS = 20_000
"""Data points that are asked for in one call. CloudWatch allows 100 800 a page, but decoding those keeps others waiting for too long."""
_BILLED_TOGETHER = 5
"""Statistics of one metric in one call that are paid for as one metric (Amazon CloudWatch pricing, "GetMetricData")."""
_PAGES = 100
_COMPLETE = "Complete"
_LONGEST = 300
"""Characters of a message of CloudWatch that are passed on."""

_EXCEEDED = {
    "MaxMetricsExceeded": "fewer objects",
    "MaxQueryTimeRangeExceeded": "a shorter time",
    "MaxQueryResultsExceeded": "fewer objects",
    "MaxMatchingResultsExceeded": "fewer objects",
}

Query = tuple[Metric, str]
"""A metric and a statistic of it."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read: ``points`` are numbers by metric and statistic, and by the Unix second at which their period begins.

    A period without data has no point. ``billed`` is how many metrics are paid for. ``incomplete`` says that some of the ``warnings`` mean
    missing data.
    """

    points: Mapping[Query, Mapping[int, float]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    billed: int = 0


def billed(wanted: Wanted) -> int:
    """How many metrics are paid for when these statistics are read once."""
    return sum(-(-len(statistics) // _BILLED_TOGETHER) for statistics in wanted.values())


class MetricData:
    """Reads data points for the source called ``name``."""

    def __init__(self, name: str, aws: Aws) -> None:
        self._name = name
        self._aws = aws

    async def read(self, wanted: Wanted, start: int, end: int, period: int) -> Readings:
        """The data points in ``[start, end)``, in Unix seconds, one for each ``period``, in seconds.

        Raises :class:`metrics_api.errors.BackendError`.
        """
        points = max(1, -(-(end - start) // period))
        queries = (_queries(batch) for batch in batches(wanted, min(MOST_QUERIES, _POINTS // points)))
        read = await together(*(self._batch(batch, start, end, period) for batch in queries))
        found: dict[Query, Mapping[int, float]] = {}
        warnings: dict[str, None] = {}
        for call in read:
            found.update(call.points)
            warnings.update(dict.fromkeys(call.warnings))
        return Readings(found, tuple(warnings), any(call.incomplete for call in read), sum(call.billed for call in read))

    async def _batch(self, batch: Sequence[Query], start: int, end: int, period: int) -> Readings:
        window = {"StartTime": start, "EndTime": end, "ScanBy": "TimestampAscending"}
        answer = await self._answer(batch, window, period)
        cost = _cost(batch)
        if missing := answer.missing():
            # What failed inside CloudWatch may succeed at once, and the rest was good.
            again = await self._answer(missing, window, period)
            if left := again.missing():
                raise again.failure(left[0])
            answer.join(again)
            cost += _cost(missing)
        return answer.readings(cost)

    async def _answer(self, batch: Sequence[Query], window: Mapping[str, Any], period: int) -> _Answer:
        parameters: dict[str, Any] = {
            "MetricDataQueries": [_query(number, metric, statistic, period) for number, (metric, statistic) in enumerate(batch)],
            **window,
        }
        answer = _Answer(self._name, batch)
        for _ in range(_PAGES):
            page = await self._aws.call("cloudwatch", "get_metric_data", **parameters)
            answer.add(page)
            token = page.get("NextToken")
            if not token:
                return answer
            if token == parameters.get("NextToken"):
                break
            parameters["NextToken"] = token
        raise BackendProtocolError(self._name, "answers GetMetricData in pages that do not end")


class _Answer:
    """The pages of one call, put together."""

    def __init__(self, name: str, batch: Sequence[Query]) -> None:
        self._name = name
        self._queries = {f"q{number}": query for number, query in enumerate(batch)}
        self._points: dict[Query, dict[int, float]] = {query: {} for query in batch}
        self._status: dict[Query, str] = {}
        self._remarks: dict[Query, tuple[str, ...]] = {}
        self._warnings: dict[str, None] = {}

    def add(self, page: Mapping[str, Any]) -> None:
        """Take a page. Raises :class:`metrics_api.errors.BackendError` for one that says that the call was too large, or forbidden."""
        for message in page.get("Messages", ()):
            code, told = message.get("Code", ""), message.get("Value", "")
            if code in _EXCEEDED:
                raise BackendRefused(self._name, f"CloudWatch refused GetMetricData ({code}); ask for {_EXCEEDED[code]}")
            self._warnings[self._remark(f"the whole request: {told} ({code})")] = None
        for result in page.get("MetricDataResults", ()):
            self._take(result)

    def _take(self, result: Mapping[str, Any]) -> None:
        query = self._queries.get(result.get("Id", ""))
        stamps, values = result.get("Timestamps", ()), result.get("Values", ())
        if query is None or len(stamps) != len(values):
            raise BackendProtocolError(self._name, "CloudWatch answered GetMetricData with something that was not asked for")
        # A result may be on several pages; the last one says how it ended.
        self._status[query] = result.get("StatusCode", _COMPLETE)
        if self._status[query] == "Forbidden":
            raise self.failure(query)
        self._points[query].update(
            (int(stamp.timestamp()), value) for stamp, value in zip(stamps, values, strict=True) if math.isfinite(value)
        )
        self._remarks[query] = tuple(
            self._remark(f"{query[0].name}: {message.get('Value', '')}") for message in result.get("Messages", ())
        )

    def _remark(self, text: str) -> str:
        return f'source "{self._name}": CloudWatch says of {text[:_LONGEST]}'

    def missing(self) -> list[Query]:
        """What was not answered to its end."""
        return [query for query in self._points if self._status.get(query) != _COMPLETE]

    def failure(self, query: Query) -> BackendError:
        """Why a query has no answer. It is never left out: what has no data points counts as no traffic."""
        metric, statistic = query
        status, what = self._status.get(query, "no result"), f"{statistic} of {metric.namespace} {metric.name}"
        if status == "Forbidden":
            return BackendRefused(
                self._name, f"AWS does not allow to read {what}: its account shares no data with this one ({status})"
            )
        if status == "InternalError":
            return BackendUnavailable(self._name, f"CloudWatch failed to read {what} ({status})")
        return BackendProtocolError(self._name, f"CloudWatch did not answer all of {what} ({status})")

    def join(self, other: _Answer) -> None:
        """Take what another answer has of what is missing here."""
        self._points.update(other._points)
        self._remarks.update(other._remarks)
        self._warnings.update(other._warnings)

    def readings(self, cost: int) -> Readings:
        """All of it."""
        remarks = dict.fromkeys(remark for remarks in self._remarks.values() for remark in remarks)
        # What CloudWatch says of the whole call is why it did not do all of it; what it says of a metric is not.
        return Readings(self._points, (*self._warnings, *remarks), incomplete=bool(self._warnings), billed=cost)


def _cost(batch: Sequence[Query]) -> int:
    statistics = Counter(metric for metric, _ in batch)
    return sum(-(-count // _BILLED_TOGETHER) for count in statistics.values())


def _queries(wanted: Wanted) -> list[Query]:
    return [(metric, statistic) for metric, statistics in wanted.items() for statistic in statistics]


def _query(number: int, metric: Metric, statistic: str, period: int) -> dict[str, Any]:
    return {
        "Id": f"q{number}",
        "MetricStat": {
            "Metric": {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            },
            "Period": period,
            "Stat": statistic,
        },
        "ReturnData": True,
    }
