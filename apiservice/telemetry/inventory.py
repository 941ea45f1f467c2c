"""What is known of the objects of the cluster: how many of each kind there are, and whether what is known of them is true."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Gauge

__all__ = ["InventoryMetrics"]


class InventoryMetrics:
    """Two gauges in ``registry``; without a cluster they have no series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._objects = Gauge(
            "trafficmetrics_inventory_objects", "Objects of the cluster that are known.", ["kind"], registry=registry
        )
        self._synced = Gauge(
            "trafficmetrics_inventory_synced",
            "1 while the objects of a kind are followed, 0 while they may not be read or kube-apiserver cannot be asked.",
            ["kind"],
            registry=registry,
        )

    def follow(self, kinds: Iterable[str], count: Callable[[str], int], knows: Callable[[str], bool]) -> None:
        """Learn whom to ask how many objects of a kind there are, and whether it is known: at every scrape."""
        for kind in kinds:
            self._objects.labels(kind).set_function(partial(count, kind))
            self._synced.labels(kind).set_function(partial(knows, kind))
