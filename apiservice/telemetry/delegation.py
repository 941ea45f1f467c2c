"""What kube-apiserver was asked to decide, and how often the answer was still known.

Names, labels and buckets: ``k8s.io/apiserver``, pkg/authentication/authenticatorfactory/metrics.go,
pkg/authorization/authorizerfactory/metrics.go and pkg/authentication/token/cache/stats.go.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from apiservice.reviews import Observer
from apiservice.telemetry.untyped import Untyped

__all__ = ["AccessReviewMetrics", "TokenReviewMetrics"]

_DURATIONS = (0.25, 0.5, 0.7, 1, 1.5, 3, 5, 10)


class _Posts(Observer):
    """Counts the calls that ask for reviews under names that begin with ``prefix``."""

    def __init__(self, prefix: str, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            f"{prefix}_request",
            "Calls to kube-apiserver by HTTP code; <error> without an answer.",
            ["code"],
            registry=registry,
        )
        self._durations = Histogram(
            f"{prefix}_request_duration_seconds",
            "Time kube-apiserver took, by HTTP code; <error> without an answer.",
            ["code"],
            buckets=_DURATIONS,
            registry=registry,
        )

    def posted(self, code: str, seconds: float) -> None:
        """See :class:`apiservice.reviews.Observer`."""
        self._requests.labels(code).inc()
        self._durations.labels(code).observe(seconds)


class AccessReviewMetrics(_Posts):
    """Counts SubjectAccessReviews."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("apiserver_delegated_authz", registry)


class TokenReviewMetrics(_Posts):
    """Counts TokenReviews, and how often none was needed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("apiserver_delegated_authn", registry)
        self._lookups = Counter(
            "authentication_token_cache_request",
            "Bearer tokens looked up among the reviews that are remembered.",
            ["status"],
            registry=registry,
        )
        self._lookup_durations = Histogram(
            "authentication_token_cache_request_duration_seconds",
            "Time until the review of a bearer token was known.",
            ["status"],
            registry=registry,
        )
        self._fetches = Counter(
            "authentication_token_cache_fetch", "Reviews asked for because none was remembered.", ["status"], registry=registry
        )
        self._active = Untyped(
            "authentication_token_cache_active_fetch_count",
            "Reviews being asked for (in_flight), and requests that wait for one (blocked).",
            "status",
            ("blocked", "in_flight"),
            registry,
        )
        for status in ("hit", "miss"):
            self._lookups.labels(status)
        for status in ("ok", "error"):
            self._fetches.labels(status)

    def held(self, seconds: float) -> None:
        """See :class:`apiservice.reviews.Observer`."""
        self._looked_up("hit", seconds)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """See :class:`apiservice.reviews.Observer`."""
        start = time.perf_counter()
        self._active.add("blocked")
        try:
            yield
        finally:
            self._active.add("blocked", -1)
            self._looked_up("miss", time.perf_counter() - start)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """See :class:`apiservice.reviews.Observer`."""
        status = "error"
        self._active.add("in_flight")
        try:
            yield
            status = "ok"
        finally:
            self._active.add("in_flight", -1)
            self._fetches.labels(status).inc()

    def _looked_up(self, status: str, seconds: float) -> None:
        self._lookups.labels(status).inc()
        self._lookup_durations.labels(status).observe(seconds)
