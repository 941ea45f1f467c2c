"""What is used of sources that are paid for by use, and what that comes to; of others there is nothing to tell."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from metrics_api.usage import Metered

__all__ = ["SpendingMetrics"]


class SpendingMetrics(Collector):
    """Reads what sources count themselves, at every scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._sources: tuple[Metered, ...] = ()
        registry.register(self)

    def follow(self, sources: Iterable[object]) -> None:
        """Learn which sources there are; those that are not :class:`metrics_api.usage.Metered` have no series."""
        self._sources = tuple(source for source in sources if isinstance(source, Metered))

    def collect(self) -> Iterable[Metric]:
        """The metrics, for the registry."""
        calls = CounterMetricFamily(
            "trafficmetrics_source_api_calls", "Requests sent to the API of a source.", labels=["source", "operation"]
        )
        throttled = CounterMetricFamily(
            "trafficmetrics_source_throttled", "Requests that the API of a source turned away as too many.", labels=["source"]
        )
        requested = CounterMetricFamily(
            "trafficmetrics_source_metrics_requested", "Metrics requested of a source, which it is paid for.", labels=["source"]
        )
        refusals = CounterMetricFamily(
            "trafficmetrics_source_budget_refusals",
            "Questions answered with older numbers, or not at all, because the budget of a source was used up.",
            labels=["source"],
        )
        cost = GaugeMetricFamily(
            "trafficmetrics_source_estimated_monthly_cost_dollars",
            "What a month costs, in US dollars, in which a source is used like in the last hour.",
            labels=["source"],
        )
        for source in self._sources:
            name, usage = source.name, source.usage()
            for operation, count in sorted(usage.calls.items()):
                calls.add_metric([name, operation], count)
            throttled.add_metric([name], usage.throttled)
            if usage.monthly_dollars is not None:
                requested.add_metric([name], usage.billed)
                refusals.add_metric([name], usage.refused)
                cost.add_metric([name], usage.monthly_dollars)
        return [calls, throttled, requested, refusals, cost]
