"""Counts under names that the Prometheus libraries do not let a counter or gauge have, and that Kubernetes uses all the same."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

__all__ = ["Untyped"]


class Untyped(Collector):
    """One metric with one label and an untyped value for each of ``values``, which are all there are."""

    def __init__(self, name: str, said: str, label: str, values: Iterable[str], registry: CollectorRegistry) -> None:
        self._name = name
        self._said = said
        self._label = label
        self._counts = dict.fromkeys(values, 0)
        registry.register(self)

    def add(self, value: str, amount: int = 1) -> None:
        """Add to the count of one label value; KeyError for one that was not announced."""
        self._counts[value] += amount

    def collect(self) -> Iterable[Metric]:
        """The metric, for the registry."""
        family = UnknownMetricFamily(self._name, self._said, labels=[self._label])
        for value, count in self._counts.items():
            family.add_metric([value], count)
        return [family]
