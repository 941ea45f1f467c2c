"""Until when the serving certificate is valid: whoever renews it may have ceased to."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Gauge

__all__ = ["CertificateMetrics"]


class CertificateMetrics:
    """A gauge in ``registry``, as soon as there is a certificate: a server without TLS has none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def follow(self, expires: Callable[[], float]) -> None:
        """Learn whom to ask when the certificate ends, in Unix time: at every scrape."""
        Gauge(
            "trafficmetrics_serving_certificate_expiration_timestamp_seconds",
            "Unix time when the serving certificate in use ends.",
            registry=self._registry,
        ).set_function(expires)
