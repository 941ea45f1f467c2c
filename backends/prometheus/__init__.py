"""Prometheus and the stores that speak its API: Thanos, Mimir, Cortex, VictoriaMetrics."""

from backends.prometheus.backend import PrometheusBackend
from backends.prometheus.settings import PrometheusSettings, read_settings

__all__ = ["PrometheusBackend", "PrometheusSettings", "read_settings"]
