"""Events of watches, counted many at a time: one change is told to a thousand watchers, and must not be counted in as many steps."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from apiservice.telemetry.labels import RESOURCE_LABELS

__all__ = ["WatchEvents"]

_BOUNDS = tuple(1024 * 2**power for power in range(8))
_COUNT = "apiserver_watch_events"
_SIZES = "apiserver_watch_events_sizes"

Labels = tuple[str, str, str]


class WatchEvents(Collector):
    """How many events were sent, and how large they were, by resource. Names and bounds as in :mod:`apiservice.telemetry.requests`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._buckets: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(_BOUNDS) + 1))
        self._bytes: defaultdict[Labels, int] = defaultdict(int)
        registry.register(self)

    def add(self, labels: Labels, sizes: Sequence[int]) -> None:
        """Count events of these sizes, in bytes."""
        buckets = self._buckets[labels]
        for size in sizes:
            buckets[bisect_left(_BOUNDS, size)] += 1
        self._bytes[labels] += sum(sizes)

    def collect(self) -> Iterable[Metric]:
        """The metrics, for the registry."""
        count = CounterMetricFamily(_COUNT, "Events sent to watchers.", labels=RESOURCE_LABELS)
        sizes = HistogramMetricFamily(_SIZES, "Size of the events sent to watchers, in bytes.", labels=RESOURCE_LABELS)
        for labels, buckets in self._buckets.items():
            cumulative, total = [], 0
            for bound, number in zip((*map(str, map(float, _BOUNDS)), "+Inf"), buckets, strict=True):
                total += number
                cumulative.append((bound, total))
            count.add_metric(labels, total)
            sizes.add_metric(labels, cumulative, self._bytes[labels])
        return [count, sizes]
