"""The server's own metrics, under the names Kubernetes API servers use, in a registry of their own.

Labels come from static lists: a client that asks for a thousand invented resources adds one series. Names and buckets:
``k8s.io/apiserver/pkg/endpoints/metrics/metrics.go``.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from multidict import MultiMapping
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.process_collector import ProcessCollector

from apiservice.catalog import EDGES, SERVED
from apiservice.requestinfo import RequestInfo
from metrics_api.resources import GROUP, VERSION

__all__ = ["Telemetry"]

_DURATIONS = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
_SIZES = tuple(1000.0 * 10**power for power in range(7))
_SOURCE_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SCOPED = ("verb", "group", "version", "resource", "subresource", "scope", "component")
_VERBS = {
    **{verb: verb.upper() for verb in ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")},
    "head": "GET",
    "post": "POST",
    "put": "PUT",
}
_READING = frozenset({"get", "list", "watch", "head"})
_COMPONENT = "apiserver"
_PLURALS = frozenset(row.plural for row in SERVED)


class Telemetry:
    """What the server counts, and ``/metrics`` to read it. ``version`` is that of the software."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "apiserver_request", "Requests by verb, resource and HTTP code.", *_SCOPED, "dry_run", "code"
        )
        self._durations = self._histogram(
            "apiserver_request_duration_seconds", "Time until the answer was ready.", _DURATIONS, *_SCOPED
        )
        self._sizes = self._histogram("apiserver_response_sizes", "Bytes of the bodies answered.", _SIZES, *_SCOPED)
        self._inflight = Gauge(
            "apiserver_current_inflight_requests", "Requests being answered.", ["request_kind"], registry=self.registry
        )
        self._source_requests = self._counter(
            "trafficmetrics_source_requests", "Requests to a source by outcome.", "source", "code"
        )
        self._source_durations = self._histogram(
            "trafficmetrics_source_request_duration_seconds", "Time a source took to answer.", _SOURCE_DURATIONS, "source"
        )
        build = Gauge("trafficmetrics_build_info", "1, labelled with the version running.", ["version"], registry=self.registry)
        build.labels(version).set(1)
        for kind in ("readOnly", "mutating"):
            self._inflight.labels(kind).set(0)
        ProcessCollector(registry=self.registry)

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        return ("/metrics",)

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:  # noqa: ARG002
        """The exposition, in the format the scraper asks for; None for any other path."""
        if path != "/metrics":
            return None
        encoder, content_type = choose_encoder(headers.get("Accept", ""))
        return web.Response(body=encoder(self.registry), headers={"Content-Type": content_type})

    @contextmanager
    def in_flight(self, info: RequestInfo) -> Iterator[None]:
        """Count a request as being answered for as long as the context lasts."""
        gauge = self._inflight.labels("readOnly" if info.verb in _READING else "mutating")
        gauge.inc()
        try:
            yield
        finally:
            gauge.dec()

    def observe_request(self, info: RequestInfo, code: int, seconds: float, size: int) -> None:
        """Count one answer of ``size`` bytes."""
        labels = _labels(info)
        self._requests.labels(*labels, "", str(code)).inc()
        self._durations.labels(*labels).observe(seconds)
        self._sizes.labels(*labels).observe(size)

    @contextmanager
    def source_request(self, source: str) -> Iterator[None]:
        """Time one request to a source, named as in the configuration; what it raises is counted under the name of the error."""
        start = time.perf_counter()
        code = "ok"
        try:
            yield
        except BaseException as error:
            code = type(error).__name__
            raise
        finally:
            self.observe_source(source, code, time.perf_counter() - start)

    def observe_source(self, source: str, code: str, seconds: float) -> None:
        """Count one request to a source; ``code`` is a word from a short list, such as the name of an error."""
        self._source_requests.labels(source, code).inc()
        self._source_durations.labels(source).observe(seconds)

    def _counter(self, name: str, said: str, *labels: str) -> Counter:
        return Counter(name, said, labels, registry=self.registry)

    def _histogram(self, name: str, said: str, buckets: Any, *labels: str) -> Histogram:
        return Histogram(name, said, labels, buckets=buckets, registry=self.registry)


def _labels(info: RequestInfo) -> tuple[str, ...]:
    """Verb, group, version, resource, subresource, scope, component; empty where the request is about nothing that is served."""
    verb = _VERBS.get(info.verb, "other")
    if not info.is_resource or info.resource not in _PLURALS or (info.group, info.version) != (GROUP, VERSION):
        return verb, "", "", "", "", "", _COMPONENT
    scope = "resource" if info.name else "namespace" if info.namespace else "cluster"
    subresource = info.subresource if info.subresource in ("", EDGES) else "other"
    return verb, GROUP, VERSION, info.resource, subresource, scope, _COMPONENT
