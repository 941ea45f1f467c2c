"""What was published: data points by metric, each visible from an instant on, as CloudWatch keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["MINUTE", "Datum", "MetricKey", "StatisticSet", "Store"]

MINUTE = 60


class MetricKey(NamedTuple):
    """A metric is its namespace, its name and the exact set of its dimensions."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]

    def as_json(self) -> dict[str, object]:
        """As the API writes a ``Metric``."""
        dimensions = [{"Name": name, "Value": value} for name, value in sorted(self.dimensions)]
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}


class StatisticSet(NamedTuple):
    """What a publisher sends instead of every observation."""

    sample_count: float
    sum: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Datum:
    """What was published for one minute at once. ``values`` are counts by value, None when a statistic set alone was published.

    ``stamp`` is the beginning of the minute; ``visible`` and ``published`` are instants, all in Unix seconds.
    """

    stamp: int
    statistics: StatisticSet
    values: Mapping[float, float] | None
    unit: str
    visible: float
    published: float


def summary(values: Mapping[float, float]) -> StatisticSet:
    """The statistic set of counts by value."""
    return StatisticSet(
        math.fsum(values.values()), math.fsum(value * count for value, count in values.items()), min(values), max(values)
    )


@dataclass(slots=True)
class Store:
    """Everything published, in the order of publication."""

    metrics: dict[MetricKey, list[Datum]] = field(default_factory=dict)

    def put(self, key: MetricKey, datum: Datum) -> None:
        """Adds a datum; several of one minute add up."""
        self.metrics.setdefault(key, []).append(datum)

    def seen(self, key: MetricKey, now: float) -> Iterator[Datum]:
        """What of a metric can be read by now."""
        return (datum for datum in self.metrics.get(key, ()) if datum.visible <= now)
