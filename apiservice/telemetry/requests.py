"""Requests, as Kubernetes API servers count theirs: how many, how long, how large, how many at once, and those cut off.

Names, labels and buckets: ``k8s.io/apiserver/pkg/endpoints/metrics/metrics.go``, 1.36.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from apiservice.requestinfo import RequestInfo
from apiservice.telemetry.events import WatchEvents
from apiservice.telemetry.labels import READING, SCOPED, resource_of, scoped

__all__ = ["RequestMetrics"]

_DURATIONS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
_SIZES = tuple(1000.0 * 10**power for power in range(7))


class RequestMetrics:
    """Counts requests in ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter("apiserver_request", "Requests answered.", [*SCOPED, "dry_run", "code"], registry=registry)
        self._durations = Histogram(
            "apiserver_request_duration_seconds",
            "Time from the request to its answer; of a watch, to its end.",
            [*SCOPED, "dry_run"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._sizes = Histogram(
            "apiserver_response_sizes", "Size of the answers to GET and LIST, in bytes.", SCOPED, buckets=_SIZES, registry=registry
        )
        self._inflight = Gauge(
            "apiserver_current_inflight_requests",
            "Requests being answered, but for watches.",
            ["request_kind"],
            registry=registry,
        )
        self._long_running = Gauge("apiserver_longrunning_requests", "Watches being answered.", SCOPED, registry=registry)
        self._terminations = Counter(
            "apiserver_request_terminations",
            "Requests the server refused or cut off to protect itself.",
            [*SCOPED, "code"],
            registry=registry,
        )
        self._aborts = Counter(
            "apiserver_request_aborts", "Requests given up before their answer was complete.", SCOPED[:-1], registry=registry
        )
        self._watch_events = WatchEvents(registry)
        self._handshake_errors = Counter(
            "apiserver_tls_handshake_errors", "Connections lost before their TLS handshake was complete.", registry=registry
        )
        self._watchers = Gauge("trafficmetrics_watchers", "Watches that are open.", registry=registry)
        self._watch_questions = Gauge(
            "trafficmetrics_watch_questions", "Different questions asked over and over for watches.", registry=registry
        )
        for kind in ("readOnly", "mutating"):
            self._inflight.labels(kind).set(0)

    def in_flight(self, info: RequestInfo) -> AbstractContextManager[None]:
        """Count a request as being answered for as long as the context lasts; not a watch, which is :meth:`long_running`."""
        if info.verb == "watch":
            return nullcontext()
        return _one_more(self._inflight.labels("readOnly" if info.verb in READING else "mutating"))

    def long_running(self, info: RequestInfo) -> AbstractContextManager[None]:
        """Count a watch as open for as long as the context lasts."""
        return _one_more(self._long_running.labels(*scoped(info)))

    def observe_request(self, info: RequestInfo, code: int, seconds: float, size: int, dry_run: str = "") -> None:
        """Count one answer of ``size`` bytes; ``dry_run`` as :func:`apiservice.telemetry.labels.clean_dry_run` tells."""
        labels = scoped(info)
        self._requests.labels(*labels, dry_run, str(code)).inc()
        self._durations.labels(*labels, dry_run).observe(seconds)
        if labels.verb in ("GET", "LIST"):
            self._sizes.labels(*labels).observe(size)

    def terminated(self, info: RequestInfo, code: int) -> None:
        """Count a request the server refused or cut off to protect itself, and answered with ``code``: 429, 503, 504.

        To be called at most once for a request, beside :meth:`observe_request`.
        """
        self._terminations.labels(*scoped(info), str(code)).inc()

    def aborted(self, info: RequestInfo) -> None:
        """Count a request given up before its answer was complete: the client is gone, or the connection was closed under it."""
        self._aborts.labels(*scoped(info)[:-1]).inc()

    def watch_events(self, info: RequestInfo, sizes: Sequence[int]) -> None:
        """Count events of these sizes, in bytes and of any type, sent to the watcher whose request is ``info``."""
        self._watch_events.add(resource_of(info), sizes)

    def watching(self, watchers: Callable[[], int], questions: Callable[[], int]) -> None:
        """Learn whom to ask how many watches are open, and how many different questions are asked for them: at every scrape."""
        self._watchers.set_function(watchers)
        self._watch_questions.set_function(questions)

    def handshake_failed(self) -> None:
        """Count a connection that was lost before its TLS handshake was complete."""
        self._handshake_errors.inc()


@contextmanager
def _one_more(gauge: Gauge) -> Iterator[None]:
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()
