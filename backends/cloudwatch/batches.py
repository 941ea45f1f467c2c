"""Calls of a size: what is asked about one row of traffic stays in one call, so that its count and its percentiles are of one reading."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from backends.cloudwatch.metric import Metric, Wanted

__all__ = ["MOST_QUERIES", "batches"]

MOST_QUERIES = 500
"""Queries in one call, at most (Amazon CloudWatch API Reference, "GetMetricData"); each is a statistic of a metric."""


def batches(wanted: Wanted, size: int) -> Iterator[Wanted]:
    """Statistics in their order, about ``size`` at a time.

    Metrics of one subject that follow one another are together, unless they are too many. The statistics of one metric always are, up to
    :data:`MOST_QUERIES`, because apart each call of them is paid for.
    """
    batch: dict[Metric, tuple[str, ...]] = {}
    queries = 0
    for part in _parts(wanted, size):
        count = _count(part)
        if batch and queries + count > size:
            yield batch
            batch, queries = {}, 0
        batch.update(part)
        queries += count
    if batch:
        yield batch


def _parts(wanted: Wanted, size: int) -> Iterator[Wanted]:
    """What must not be divided."""
    for _, metrics in groupby(wanted.items(), lambda item: item[0].subject):
        row = dict(metrics)
        if _count(row) <= size:
            yield row
            continue
        for metric, statistics in row.items():
            for first in range(0, len(statistics), MOST_QUERIES):
                yield {metric: statistics[first : first + MOST_QUERIES]}


def _count(wanted: Wanted) -> int:
    return sum(map(len, wanted.values()))
