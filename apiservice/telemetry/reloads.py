"""Whether the configuration on disk is the one in force, under the names Prometheus has for the same."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

__all__ = ["ReloadMetrics"]


class ReloadMetrics:
    """Counts readings of the configuration, the first of which was at the start and succeeded; ``clock`` is Unix time."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._successful = Gauge(
            "trafficmetrics_config_last_reload_successful",
            "1 when the configuration that was last read is in force, 0 when it was refused and the one before it stays.",
            registry=registry,
        )
        self._success_time = Gauge(
            "trafficmetrics_config_last_reload_success_timestamp_seconds",
            "Unix time when the configuration in force was read.",
            registry=registry,
        )
        self.loaded()

    def loaded(self) -> None:
        """See :class:`apiservice.reloading.reloader.Counts`."""
        self._successful.set(1)
        self._success_time.set(self._clock())

    def refused(self) -> None:
        """See :class:`apiservice.reloading.reloader.Counts`."""
        self._successful.set(0)
