"""Rows of traffic, and the metrics that tell of each: what has to be read for them, and what they come to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from backends.cloudwatch.metric import Metric, Values, Wanted, percentile
from metrics_api import (
    CALLED_HOST,
    Direction,
    Naming,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    blurred,
    first_few,
    roll_up,
)

__all__ = ["QUANTILES", "Row", "Term", "named", "samples_of", "wanted_of"]

QUANTILES = (0.5, 0.9, 0.99)
"""The percentiles of every row."""

Term = tuple[Metric, str]
"""A metric and a statistic of it, which is a number of requests."""


@dataclass(frozen=True, slots=True)
class Row:
    """The traffic of a resource in total, or with one peer, and where its numbers are.

    ``requests`` added up are all requests, ``failures`` those of them that failed. ``latency`` is the metric whose percentiles are wanted,
    None when there is none; ``unit`` is the factor from its unit to seconds.
    """

    resource: ResourceRef
    peer: ResourceRef
    direction: Direction
    side: Side
    requests: tuple[Term, ...]
    failures: tuple[Term, ...]
    latency: Metric | None = None
    unit: float = 0.001
    trust: int = 0


def wanted_of(rows: Iterable[Row], query: TrafficQuery) -> Wanted:
    """The statistics that rows need, each metric once."""
    percentiles = [percentile(quantile) for quantile in (*QUANTILES, *query.quantiles)]
    if query.sums:
        percentiles.append("Average")
    wanted: dict[Metric, dict[str, None]] = {}
    for row in rows:
        for metric, statistic in (*row.requests, *row.failures):
            wanted.setdefault(metric, {})[statistic] = None
        if row.latency is not None:
            wanted.setdefault(row.latency, {}).update(dict.fromkeys(percentiles))
    return {metric: tuple(statistics) for metric, statistics in wanted.items()}


def samples_of(
    rows: Sequence[Row],
    values: Values,
    query: TrafficQuery,
    source: str,
    marks: frozenset[str] = frozenset(),
    *,
    kind: str = "",
    incomplete: bool = False,
) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """One sample about each thing, and what a reader must know of percentiles that cannot be told.

    ``kind`` is what the metrics are of: the samples are said to be told in it.

    No data point is no request: counts are 0 then, unless the values are ``incomplete``, so that it may be there. Requests without
    percentiles, which CloudWatch does not give of what was published as statistic sets ("Metrics concepts", Percentiles), have none here
    either; and so have several metrics that are one row together.
    """
    quantiles = [(quantile, percentile(quantile)) for quantile in (*QUANTILES, *query.quantiles)]
    # Both ends of an edge have the same numbers.
    latency_of = cache(partial(_latency, values, quantiles))
    samples: list[Sample] = []
    bare: list[ResourceRef] = []
    for row in rows:
        requests, failures = (_sum(terms, values, incomplete=incomplete) for terms in (row.requests, row.failures))
        latency = latency_of(row.latency, row.unit)
        if row.latency is not None and not latency and requests:
            bare.append(row.resource)
        samples.append(
            Sample(
                row.resource,
                row.peer,
                row.direction,
                row.side,
                # One data point may arrive before the other.
                None if requests is None or failures is None else max(requests - failures, 0.0),
                failures,
                latency,
                row.trust,
                source,
                marks,
                kind,
            )
        )
    together = roll_up(samples)
    told: list[str] = []
    if bare:
        told.append(
            _without(source, bare, "CloudWatch gives none of values that were published as statistic sets, or that are below zero")
        )
    if lost := blurred(samples, together):
        told.append(_without(source, lost, "CloudWatch gives those of single metrics, and they cannot be added up"))
    return tuple(together), tuple(told)


def named(refs: Iterable[ResourceRef]) -> str:
    """The first few of some objects, for a message; a host by its name alone, as its namespace is that of who called it."""
    return first_few(sorted({"/".join(filter(None, ref[2:] if ref.kind == CALLED_HOST else ref[1:])) for ref in refs}))


def _without(source: str, about: Sequence[ResourceRef], why: str) -> Naming:
    """The sentence that there are no percentiles of some objects."""
    return Naming(
        f'source "{source}" has no percentiles of {named(about)}: {why}',
        about,
        f'source "{source}" has no percentiles of some objects: {why}',
    )


def _sum(terms: Sequence[Term], values: Values, *, incomplete: bool) -> float | None:
    if incomplete and not all(term in values for term in terms):
        return None
    return math.fsum(values.get(term, 0.0) for term in terms)


def _latency(values: Values, quantiles: Sequence[tuple[float, str]], metric: Metric | None, unit: float) -> Percentiles | None:
    if metric is None:
        return None
    read = [(quantile, values.get((metric, statistic))) for quantile, statistic in quantiles]
    found = {quantile: value * unit for quantile, value in read if value is not None}
    mean = values.get((metric, "Average"))
    return Percentiles(found, None if mean is None else mean * unit) if found or mean is not None else None
