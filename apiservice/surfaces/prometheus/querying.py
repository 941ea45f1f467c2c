"""Queries: at one moment, and over time."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

from apiservice.surfaces.prometheus.answer import Answer, limited
from apiservice.surfaces.prometheus.evaluation import MOST_POINTS, Snapshot, curves, number, snapshot
from apiservice.surfaces.prometheus.expression import BadSyntax, NotEvaluated, Scalar, Vector, parse_expression
from apiservice.surfaces.prometheus.failures import cannot_execute, parameter
from apiservice.surfaces.prometheus.requests import OutOfTime, Query
from apiservice.surfaces.prometheus.selection import select
from apiservice.surfaces.prometheus.times import parse_range, written
from apiservice.surfaces.reading import Reader
from metrics_api import aside

__all__ = ["format_query", "query", "query_exemplars", "query_range"]


async def query(reader: Reader, asked: Query) -> Answer:
    """``query`` at ``time``, or now. As in Prometheus, values are of the moment that was asked about, whenever the sample was taken."""
    moment = asked.moment("time")
    at = written(round(asked.now * 1000) if moment is None else moment)
    expression, limit = asked.expression(), asked.limit()
    if isinstance(expression, Scalar):
        return Answer({"resultType": "scalar", "result": [at, number(expression.value)]})
    if isinstance(expression, Vector):
        return Answer({"resultType": "vector", "result": [{"metric": {}, "value": [at, number(expression.value)]}]})
    try:
        instant = asked.instant(moment)
    except OutOfTime as error:
        return Answer({"resultType": "vector", "result": []}, [str(error)])
    found = await snapshot(reader, asked.user, select(expression, asked.scope), instant)
    elements = await aside(len(found.rows), partial(_elements, found, at))
    elements, warnings = limited(elements, limit, found.warnings)
    return Answer({"resultType": "vector", "result": elements}, warnings)


def _elements(found: Snapshot, at: float) -> list[dict[str, Any]]:
    elements = [{"metric": labels, "value": (at, number(value))} for labels, value in islice(found.samples(), MOST_POINTS + 1)]
    if len(elements) > MOST_POINTS:
        raise cannot_execute(f"more than {MOST_POINTS:,} series are selected: select fewer of them")
    return elements


async def query_range(reader: Reader, asked: Query) -> Answer:
    """``query`` at the moments ``start``, ``start + step``, … up to ``end``."""
    moments = parse_range(asked.text("start"), asked.text("end"), asked.text("step"))
    expression, limit = asked.expression(), asked.limit()
    if isinstance(expression, Scalar | Vector):
        points = [(written(moments.at(place)), number(expression.value)) for place in range(moments.count)]
        return Answer({"resultType": "matrix", "result": [{"metric": {}, "values": points}]})
    lines, warnings = await curves(reader, asked.user, select(expression, asked.scope), moments, asked.now)
    lines, warnings = limited(lines, limit, warnings)
    result = [{"metric": line.labels, "values": line.points} for line in lines]
    return Answer({"resultType": "matrix", "result": result}, warnings)


async def query_exemplars(_reader: Reader, asked: Query) -> Answer:
    """None: what is read here are sums over a window, which no single request stands for. What is no PromQL is refused all the same."""
    try:
        parse_expression(asked.text("query"))
    except BadSyntax as error:
        raise parameter("query", str(error)) from error
    except NotEvaluated:
        pass
    return Answer([])


async def format_query(_reader: Reader, asked: Query) -> Answer:
    """``query`` as it is understood."""
    return Answer(str(asked.expression()))
