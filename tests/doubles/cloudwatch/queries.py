"""What a request of GetMetricData asks: its queries, read and checked, each SEARCH as one for every metric that it finds.

Rules: botocore data ``cloudwatch/2010-08-01``, GetMetricData and MetricDataQuery.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.cloudwatch import search, statistics
from tests.doubles.cloudwatch.errors import Refusal, validation
from tests.doubles.cloudwatch.store import MINUTE, MetricKey, Store

__all__ = ["MOST_QUERIES", "Asked", "Query", "read_queries"]

MOST_QUERIES = 500

_ID = "^[a-z][a-zA-Z0-9_]*$"
_LONGEST_ID = 255
_SHORT_PERIODS = (1, 5, 10, 20, 30)
_TRUNCATED = ("MaxMetricsExceeded", f"Maximum number of allowed metrics exceeded: {search.MOST_FOUND}")


@dataclass(frozen=True, slots=True)
class Query:
    """One statistic of one metric, over periods of so many seconds; ``unit`` is empty for any."""

    id: str
    metric: MetricKey
    stat: str
    period: int
    unit: str
    label: str
    returned: bool


@dataclass(slots=True)
class Asked:
    """All queries of a request, and messages (code, text) about the whole of it."""

    queries: list[Query] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)


def read_queries(parameters: Mapping[str, Any], store: Store, now: float) -> Asked:
    """What a request asks; Refusal when it breaks a rule."""
    documents = parameters.get("MetricDataQueries")
    if not documents:
        raise Refusal(
            "MissingRequiredParameterException", "The parameter MetricDataQueries is required.", query_code="MissingParameter"
        )
    if len(documents) > MOST_QUERIES:
        raise validation(f"The collection MetricDataQueries must not have a size greater than {MOST_QUERIES}.")
    ids = [document.get("Id", "") for document in documents]
    for number, name in enumerate(ids, 1):
        if not re.fullmatch(_ID, name) or len(name) > _LONGEST_ID:
            where = f"MetricDataQueries.member.{number}.Id"
            raise validation(f"The value {name} for parameter {where} is not matching the expected pattern {_ID}.")
    if len(set(ids)) < len(ids):
        raise validation("The values for parameter id in MetricDataQueries are not unique.")
    asked = Asked()
    for number, document in enumerate(documents, 1):
        where = f"MetricDataQueries.member.{number}"
        if ("MetricStat" in document) == ("Expression" in document):
            raise validation(f"Exactly one of MetricStat or Expression must be given in {where}.")
        if "Expression" in document:
            _search(document, store, now, asked)
        else:
            asked.queries.append(_read(document, where))
    return asked


def _read(document: Mapping[str, Any], where: str) -> Query:
    stat = document["MetricStat"]
    metric, period = _metric(stat["Metric"], where), stat["Period"]
    statistics.check(stat["Stat"])
    if period < 1 or (period % MINUTE and period not in _SHORT_PERIODS):
        raise validation(f"The value {period} for parameter {where}.MetricStat.Period is not valid.")
    label = search.label(document.get("Label"), metric, stat["Stat"], period)
    return Query(document["Id"], metric, stat["Stat"], period, stat.get("Unit", ""), label, document.get("ReturnData", True))


def _search(document: Mapping[str, Any], store: Store, now: float, asked: Asked) -> None:
    found = search.search(document["Expression"], store, now)
    if len(found.metrics) > search.MOST_FOUND:
        asked.messages.append(_TRUNCATED)
    for metric in found.metrics[: search.MOST_FOUND]:
        label = search.label(document.get("Label"), metric, found.stat, found.period)
        asked.queries.append(Query(document["Id"], metric, found.stat, found.period, "", label, document.get("ReturnData", True)))


def _metric(document: Mapping[str, Any], where: str) -> MetricKey:
    if not document.get("Namespace") or not document.get("MetricName"):
        raise validation(f"The parameter {where}.MetricStat.Metric must have a Namespace and a MetricName.")
    pairs = [(dimension["Name"], dimension["Value"]) for dimension in document.get("Dimensions", ())]
    return MetricKey(document["Namespace"], document["MetricName"], frozenset(pairs))
