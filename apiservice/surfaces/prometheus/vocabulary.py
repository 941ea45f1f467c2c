"""What the numbers are called in Prometheus: names, help, units and labels. The same on the page and in answers to queries.

Units are base units and names say them, as Prometheus' naming has it (prometheus.io, "Metric and label naming"). All are gauges: they are
of a window, and start anew with each. Percentiles have a label of their own, because a ``quantile`` belongs to summaries, whose other
parts nobody has here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from apiservice.surfaces.prometheus.selector import NAME
from metrics_api.golden import Golden
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import EVERYTHING

__all__ = [
    "EDGE_LABELS",
    "FAMILIES",
    "INCOMPLETE",
    "MEASURE_LABELS",
    "ROW_LABELS",
    "WINDOW",
    "Family",
    "Labels",
    "Measure",
    "labels_of",
]

Labels = dict[str, str]

WINDOW = "window"
"""The label that a series has whose window was chosen by a matcher."""

EDGE_LABELS = ("direction", "peer_kind", "peer_name", "peer_namespace")
"""Labels that edges have and totals have not."""

ROW_LABELS = ("cluster", "kind", "name", "namespace", *EDGE_LABELS)
"""Labels that tell of what the numbers are."""

MEASURE_LABELS = ("outcome", "percentile")
"""Labels that tell the numbers of one metric apart."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number of a metric: its labels, and what it is of golden metrics; None is unknown."""

    labels: tuple[tuple[str, str], ...]
    value: Callable[[Golden], float | None]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric. ``unit`` is the end of its name, or empty."""

    name: str
    help: str
    unit: str
    measures: tuple[Measure, ...]

    def labels(self, measure: Measure) -> Labels:
        """What every series of a measure is labelled with, its name too."""
        return {NAME: self.name, **dict(measure.labels)}


def _of(field: str, **labels: str) -> Measure:
    return Measure(tuple(labels.items()), attrgetter(field))


INCOMPLETE = Family(
    "trafficmetrics_incomplete",
    "1 while a source could not be asked, so that series may be missing or too low; 0 when all answered.",
    "",
    (Measure((), lambda _: None),),
)
"""What is told of an answer as a whole, without labels."""

FAMILIES: tuple[Family, ...] = (
    Family(
        "trafficmetrics_failure_ratio", "Failed requests among all in the window, from 0 to 1.", "ratio", (_of("failure_ratio"),)
    ),
    INCOMPLETE,
    Family(
        "trafficmetrics_requests_per_second",
        "Requests per second, averaged over the window.",
        "",
        (_of("requests_per_second"),),
    ),
    Family(
        "trafficmetrics_response_latency_seconds",
        "Response latency in the window: the percentile that the label names.",
        "seconds",
        (_of("p50", percentile="50"), _of("p90", percentile="90"), _of("p99", percentile="99")),
    ),
    Family(
        "trafficmetrics_success_ratio", "Successful requests among all in the window, from 0 to 1.", "ratio", (_of("success_rate"),)
    ),
    Family(
        "trafficmetrics_window_requests",
        "Requests in the window, by outcome.",
        "requests",
        (_of("failure", outcome="failure"), _of("success", outcome="success")),
    ),
)
"""All there are, by name."""


def labels_of(row: TrafficMetrics, window: str = "") -> Labels:
    """The labels of a row, without empty ones. ``window`` is what a matcher chose."""
    resource, peer = row.resource, row.edge.peer
    labels = {"namespace": resource.namespace, "kind": resource.kind, "name": resource.name}
    if peer != EVERYTHING:
        labels["direction"] = row.edge.direction.value
        labels["peer_namespace"], labels["peer_kind"], labels["peer_name"] = peer.namespace, peer.kind, peer.name
    labels["cluster"], labels[WINDOW] = row.cluster, window
    return {label: value for label, value in labels.items() if value}
