"""Samples become TrafficMetrics: units to exact quantities, absent stays absent, a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from metrics_api.measures import Measure
from metrics_api.objects import Edge, Extra, TrafficMetrics
from metrics_api.query import Direction
from metrics_api.resources import EVERYTHING, GROUP, ResourceRef
from metrics_api.sample import Covered, Sample
from metrics_api.window import Window

__all__ = ["idle", "normalise", "row_name"]

_NOWHERE: Mapping[str, Covered] = {}
_TOO_LARGE = 2**63

Labels = Callable[[ResourceRef], Mapping[str, str]]


def normalise(
    samples: Iterable[Sample],
    instant: int,
    window: Window,
    labels: Labels,
    *,
    qualified: bool = False,
    measures: Sequence[Measure] = (),
    elsewhere: Mapping[str, Covered] = _NOWHERE,
) -> list[TrafficMetrics]:
    """The objects for ``samples``, sorted by namespace, name, direction and peer.

    ``labels`` gives the labels of the Kubernetes object behind a resource. ``qualified`` names rows as the ``trafficmetrics`` resource
    does (``deployment.web``), instead of by the object's own name. ``measures`` are wanted of each beside the five.
    ``elsewhere`` tells of sources whose numbers describe something else than ``instant`` and ``window`` what that is.
    """
    rows = [
        TrafficMetrics(
            name=row_name(sample.resource, sample.direction, sample.peer) if qualified else sample.resource.name,
            namespace=sample.resource.namespace,
            resource=sample.resource,
            edge=Edge(sample.direction, sample.side, sample.peer),
            instant=elsewhere.get(sample.source, (instant, window))[0],
            window=elsewhere.get(sample.source, (instant, window))[1],
            p99=_percentile(sample, 0.99),
            p90=_percentile(sample, 0.9),
            p50=_percentile(sample, 0.5),
            success=_thousandths(sample.success),
            failure=_thousandths(sample.failure),
            labels=labels(sample.resource),
            version=instant if sample.source in elsewhere else None,
            annotations={f"{GROUP}/{mark}": "true" for mark in sorted(sample.marks)},
            source=sample.source,
            extras=tuple([Extra(measure.name, _measured(sample, measure)) for measure in measures]),
        )
        for sample in samples
    ]
    rows.sort(key=lambda row: (row.namespace, row.name, row.resource.kind, row.edge.direction, row.edge.peer))
    return rows


def idle(
    resource: ResourceRef,
    instant: int,
    window: Window,
    labels: Mapping[str, str],
    *,
    qualified: bool = False,
    measures: Sequence[Measure] = (),
) -> TrafficMetrics:
    """The object of a resource that exists and of which nothing was observed: every value unknown."""
    name = row_name(resource, Direction.FROM, EVERYTHING) if qualified else resource.name
    extras = tuple([Extra(measure.name) for measure in measures])
    return TrafficMetrics(name, resource.namespace, resource, Edge(), instant, window, labels=labels, extras=extras)


def row_name(resource: ResourceRef, direction: Direction, peer: ResourceRef) -> str:
    """The name of a row of ``trafficmetrics``: ``deployment.web``, ``deployment.web.to.deployment.api``.

    A peer in another namespace has that namespace at the end, so that names stay unique within a namespace; and so has a peer
    whose name holds a dot, which could be mistaken for one.
    """
    name = f"{resource.kind.lower()}.{resource.name}"
    if peer == EVERYTHING:
        return name
    home = peer.namespace == resource.namespace and "." not in peer.name
    parts = [peer.kind.lower(), peer.name, "" if home else peer.namespace]
    return ".".join([name, direction.value, *filter(None, parts)])


def _percentile(sample: Sample, q: float) -> int | None:
    seconds = sample.latency.quantile(q) if sample.latency is not None else None
    return _rounded(seconds, 1_000_000)


def _measured(sample: Sample, measure: Measure) -> int | None:
    return _rounded(measure.of(sample.latency) if sample.latency is not None else None, 1_000_000)


def _thousandths(count: float | None) -> int | None:
    return _rounded(count, 1000)


def _rounded(value: float | None, scale: int) -> int | None:
    """``value`` in units of 1/scale; what is not a number from zero to the largest Kubernetes has quantities for is unknown."""
    if value is None or not 0 <= value < _TOO_LARGE:
        return None
    return round(value * scale)
