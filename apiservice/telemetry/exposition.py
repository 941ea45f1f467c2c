"""The server's own metrics, under the names Kubernetes API servers use, in a registry of their own, and the page that shows them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from aiohttp import web
from multidict import MultiMapping
from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector

from apiservice.about import version_document
from apiservice.encoding import accepts_gzip, compress
from apiservice.telemetry.callers import CallerMetrics
from apiservice.telemetry.certificate import CertificateMetrics
from apiservice.telemetry.delegation import AccessReviewMetrics, TokenReviewMetrics
from apiservice.telemetry.inventory import InventoryMetrics
from apiservice.telemetry.reloads import ReloadMetrics
from apiservice.telemetry.requests import RequestMetrics
from apiservice.telemetry.sources import SharingMetrics, SourceMetrics
from apiservice.telemetry.spending import SpendingMetrics
from metrics_api import Source

__all__ = ["Telemetry"]

# A second series for every count, with the moment it began: Kubernetes has none, and Prometheus has no use for them.
disable_created_metrics()  # type: ignore[no-untyped-call]

_BUILD = {
    "major": "major",
    "minor": "minor",
    "gitVersion": "git_version",
    "gitCommit": "git_commit",
    "gitTreeState": "git_tree_state",
    "buildDate": "build_date",
    "goVersion": "go_version",
    "compiler": "compiler",
    "platform": "platform",
}


class Telemetry(RequestMetrics):
    """What the server counts, and ``/metrics`` to read it. ``version`` is that of the software; ``sources`` are the names configured.

    Requests are counted by the object itself; ``callers``, ``token_reviews``, ``access_reviews``, ``sources``, ``spending``,
    ``sharing``, ``inventory``, ``reloads`` and ``certificate`` count the rest. ``clock`` is Unix time.
    """

    def __init__(self, version: str, sources: Iterable[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        super().__init__(self.registry)
        self.callers = CallerMetrics(self.registry)
        self.token_reviews = TokenReviewMetrics(self.registry)
        self.access_reviews = AccessReviewMetrics(self.registry)
        self.sources = SourceMetrics(self.registry, clock)
        self.sources.expect(sources)
        self.spending = SpendingMetrics(self.registry)
        self.sharing = SharingMetrics(self.registry)
        self.inventory = InventoryMetrics(self.registry)
        self.reloads = ReloadMetrics(self.registry, clock)
        self.certificate = CertificateMetrics(self.registry)
        # As in Kubernetes, results of health checks have a page of their own, too: small enough to be read every second.
        self._levels = CollectorRegistry()
        self._health = Gauge(
            "kubernetes_healthcheck",
            "1 when a health check last passed, 0 when it failed.",
            ["name", "type"],
            registry=self._levels,
        )
        self._healths = Counter(
            "kubernetes_healthchecks", "Results of health checks.", ["name", "type", "status"], registry=self._levels
        )
        self.registry.register(self._health)
        self.registry.register(self._healths)
        own = Gauge("trafficmetrics_build_info", "1, labelled with the version running.", ["version"], registry=self.registry)
        own.labels(version).set(1)
        document = version_document(version)
        build = Gauge(
            "kubernetes_build_info", "1, labelled with what /version tells.", list(_BUILD.values()), registry=self.registry
        )
        build.labels(**{label: document[field] for field, label in _BUILD.items()}).set(1)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    @property
    def paths(self) -> Collection[str]:
        """The paths answered."""
        return ("/metrics", "/metrics/slis")

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:  # noqa: ARG002
        """The exposition, in the format the scraper asks for: OpenMetrics 1.0, or else Prometheus text; None for any other path."""
        registry = {"/metrics": self.registry, "/metrics/slis": self._levels}.get(path)
        if registry is None:
            return None
        if "application/openmetrics-text" in headers.get("Accept", ""):
            body, content_type = openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
        else:
            body, content_type = generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4
        sent = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if accepts_gzip(headers):
            body = compress(body)
            sent["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=sent)

    def follow(self, sources: Sequence[Source]) -> None:
        """Tell of the sources that are in force now."""
        self.sources.expect([source.name for source in sources])
        self.spending.follow([source.backend for source in sources])

    def forget(self, name: str) -> None:
        """Tell nothing more of a source that is not in force any more."""
        self.sources.forget(name)
        for metric in (self._health, self._healths):
            metric.remove_by_labels({"name": f"source-{name}"})

    def checked(self, endpoint: str, check: str, *, passed: bool) -> None:
        """Count the result of one health check, both named as in ``/readyz/ping``."""
        self._health.labels(check, endpoint).set(passed)
        self._healths.labels(check, endpoint, "success" if passed else "error").inc()
