"""What is asked of the sources: how often, how long they take, whether they answer, and how often nobody had to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from apiservice.federation.observer import Observer
from metrics_api.flight import Sharing

__all__ = ["SharingMetrics", "SourceMetrics"]

_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 10, 100, 1_000, 10_000, 100_000)
_OK = "ok"
_SKIPPED = ("circuit", "coverage", "decided")


class SourceMetrics(Observer):
    """Counts for the sources named in the configuration; ``clock`` is Unix time."""

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._requests = Counter(
            "trafficmetrics_source_requests", "Questions asked of a source, by outcome.", ["source", "code"], registry=registry
        )
        self._durations = Histogram(
            "trafficmetrics_source_request_duration_seconds",
            "Time a source took to answer a question.",
            ["source"],
            buckets=_DURATIONS,
            registry=registry,
        )
        self._rows = Histogram(
            "trafficmetrics_source_rows", "Rows in the answers of a source.", ["source"], buckets=_ROWS, registry=registry
        )
        self._up = Gauge(
            "trafficmetrics_source_up",
            "1 when a source answered the last question, 0 when it failed.",
            ["source"],
            registry=registry,
        )
        self._last_success = Gauge(
            "trafficmetrics_source_last_success_timestamp_seconds",
            "Unix time of the last answer of a source.",
            ["source"],
            registry=registry,
        )
        self._circuits = Gauge(
            "trafficmetrics_source_circuit_open",
            "1 while questions are kept from a source because it failed again and again, 0 while they reach it.",
            ["source"],
            registry=registry,
        )
        self._skipped = Counter(
            "trafficmetrics_source_skipped",
            "Questions that a source was not asked, or not waited for, by reason.",
            ["source", "reason"],
            registry=registry,
        )
        self._hedges = Counter(
            "trafficmetrics_source_hedges",
            "Questions asked of a source a second time because it took long.",
            ["source"],
            registry=registry,
        )
        self._incomplete = Counter(
            "trafficmetrics_incomplete_answers", "Answers that lack what a source would have told.", registry=registry
        )

    def expect(self, sources: Iterable[str]) -> None:
        """Begin the counts of sources at zero, so that their first question is seen as an increase.

        A circuit is closed until something else is told of it; that of a source which is known already is as it was.
        """
        for source in sources:
            self._requests.labels(source, _OK)
            self._durations.labels(source)
            self._rows.labels(source)
            self._circuits.labels(source)
            self._hedges.labels(source)
            for reason in _SKIPPED:
                self._skipped.labels(source, reason)

    def forget(self, source: str) -> None:
        """Tell nothing more of a source that is not configured any more."""
        counted = (
            self._requests,
            self._durations,
            self._rows,
            self._up,
            self._last_success,
            self._circuits,
            self._skipped,
            self._hedges,
        )
        for metric in counted:
            metric.remove_by_labels({"source": source})

    def asked(self, source: str, outcome: str, seconds: float, rows: int) -> None:
        """See :class:`apiservice.federation.observer.Observer`. A question that was given up does not say whether a source is well."""
        self._requests.labels(source, outcome).inc()
        self._durations.labels(source).observe(seconds)
        if outcome == _OK:
            self._rows.labels(source).observe(rows)
            self._last_success.labels(source).set(self._clock())
        if outcome != "cancelled":
            self._up.labels(source).set(outcome == _OK)

    def skipped(self, source: str, reason: str) -> None:
        """See :class:`apiservice.federation.observer.Observer`."""
        self._skipped.labels(source, reason).inc()

    def hedged(self, source: str) -> None:
        """See :class:`apiservice.federation.observer.Observer`."""
        self._hedges.labels(source).inc()

    def circuit(self, source: str, *, is_open: bool) -> None:
        """See :class:`apiservice.federation.observer.Observer`."""
        self._circuits.labels(source).set(is_open)

    def incomplete(self) -> None:
        """See :class:`apiservice.federation.observer.Observer`."""
        self._incomplete.inc()


class SharingMetrics:
    """Counts how often an answer was shared; ``answers`` are whole ones, ``samples`` what the sources said before objects were joined."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hits = Counter("trafficmetrics_cache_hits", "Times an answer was there already.", ["cache"], registry=registry)
        self._misses = Counter("trafficmetrics_cache_misses", "Times an answer had to be made.", ["cache"], registry=registry)
        self._joins = Counter(
            "trafficmetrics_single_flight_joins",
            "Times an answer was being made already, for somebody else.",
            ["cache"],
            registry=registry,
        )
        self.answers: Sharing = self._of("answers")
        self.samples: Sharing = self._of("samples")

    def _of(self, cache: str) -> _Counted:
        return _Counted(self._hits.labels(cache), self._misses.labels(cache), self._joins.labels(cache))


class _Counted(Sharing):
    def __init__(self, hits: Counter, misses: Counter, joins: Counter) -> None:
        self._hits = hits
        self._misses = misses
        self._joins = joins

    def held(self) -> None:
        self._hits.inc()

    def missed(self) -> None:
        self._misses.inc()

    def joined(self) -> None:
        self._joins.inc()
