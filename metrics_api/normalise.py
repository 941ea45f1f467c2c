"""Samples become TrafficMetrics: units to exact quantities, absent stays absent, a fixed order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from metrics_api.histogram import Percentiles
from metrics_api.measures import Measure
from metrics_api.objects import Edge, Extra, TrafficMetrics
from metrics_api.provenance import Origins, cluster_only
from metrics_api.query import Direction
from metrics_api.resources import EVERYTHING, ResourceRef
from metrics_api.sample import Covered, Sample
from metrics_api.window import Window

__all__ = ["idle", "normalise", "row_name"]

_NOWHERE: Mapping[str, Covered] = {}
_TOO_LARGE = 2**63

Labels = Callable[[ResourceRef], Mapping[str, str]]


def normalise(  # noqa: PLR0913 all that a row says comes together here
    samples: Iterable[Sample],
    instant: int,
    window: Window,
    labels: Labels,
    *,
    qualified: bool = False,
    measures: Sequence[Measure] = (),
    elsewhere: Mapping[str, Covered] = _NOWHERE,
    asked: int | None = None,
    cluster: str = "",
    suffix: str = "",
) -> list[TrafficMetrics]:
    """The objects for ``samples``, sorted by namespace, name, direction and peer.

    ``labels`` gives the labels of the Kubernetes object behind a resource. ``qualified`` names rows as the ``trafficmetrics`` resource
    does (``deployment.web``), instead of by the object's own name, and ``suffix`` comes at the end of any name. ``measures`` are wanted of
    each beside the five; percentiles that a source gives without being asked come after them.

    ``elsewhere`` tells of sources whose numbers describe something else than ``instant`` and ``window`` what that is. ``asked`` is the
    instant that was asked about, in Unix seconds; None where it is ``instant``. ``cluster`` names the one the rows are of; it may be empty.
    """
    origins = Origins(instant, window, elsewhere, asked=instant if asked is None else asked, cluster=cluster)
    given = _Given(measures)
    rows = [
        TrafficMetrics(
            name=(row_name(sample.resource, sample.direction, sample.peer) if qualified else sample.resource.name) + suffix,
            namespace=sample.resource.namespace,
            resource=sample.resource,
            edge=Edge(sample.direction, sample.side, sample.peer),
            instant=origin.instant,
            window=origin.window,
            p99=_percentile(sample, 0.99),
            p90=_percentile(sample, 0.9),
            p50=_percentile(sample, 0.5),
            success=_thousandths(sample.success),
            failure=_thousandths(sample.failure),
            labels=labels(sample.resource),
            annotations=origin.annotations,
            source=sample.source,
            extras=given.extras(sample),
            backend=sample.backend,
            version=origin.version,
            cluster=cluster,
        )
        for sample in samples
        for origin in [origins.of(sample)]
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
    cluster: str = "",
    suffix: str = "",
) -> TrafficMetrics:
    """The object of a resource that exists and of which nothing was observed: every value unknown, so that none comes from anywhere."""
    return TrafficMetrics(
        name=(row_name(resource, Direction.FROM, EVERYTHING) if qualified else resource.name) + suffix,
        namespace=resource.namespace,
        resource=resource,
        edge=Edge(),
        instant=instant,
        window=window,
        labels=labels,
        annotations=cluster_only(cluster),
        extras=tuple([Extra(measure.name) for measure in measures]),
        cluster=cluster,
    )


def row_name(resource: ResourceRef, direction: Direction, peer: ResourceRef) -> str:
    """The name of a row of ``trafficmetrics``: ``deployment.web``, ``deployment.web.to.deployment.api``.

    A peer in another namespace has that namespace at the end, so that names stay unique within a namespace; and so has a peer
    whose name holds a dot, which could be mistaken for one. An ``@``, behind which the cluster is, is doubled in the name of a host.
    """
    name = f"{resource.kind.lower()}.{resource.name}"
    if peer == EVERYTHING:
        return name
    home = peer.namespace == resource.namespace and "." not in peer.name
    parts = [peer.kind.lower(), peer.name.replace("@", "@@"), "" if home else peer.namespace]
    return ".".join([name, direction.value, *filter(None, parts)])


class _Given:
    """The measures beside the five: those that are wanted, and percentiles that a source gives although nobody asked for them.

    Whoever has histograms gives any percentile, and whoever computes what it is told gives that. But a source may have percentiles of its
    own: p95, say, and no p90. That is all there is to know of a latency, and is not withheld.
    """

    def __init__(self, measures: Sequence[Measure]) -> None:
        self._measures = measures
        self._asked = frozenset({0.5, 0.9, 0.99, *(measure.quantile for measure in measures)})
        self._further: dict[tuple[float, ...], tuple[Measure, ...]] = {}

    def extras(self, sample: Sample) -> tuple[Extra, ...]:
        """What comes after the five. What was asked for is always there; what was not, where a source has a number."""
        wanted = [Extra(measure.name, _measured(sample, measure)) for measure in self._measures]
        if isinstance(sample.latency, Percentiles):
            further = [Extra(measure.name, _measured(sample, measure)) for measure in self._beside(tuple(sample.latency))]
            wanted += [extra for extra in further if extra.micro is not None]
        return tuple(wanted)

    def _beside(self, quantiles: tuple[float, ...]) -> tuple[Measure, ...]:
        known = self._further.get(quantiles)
        if known is None:
            known = tuple([Measure.percentile(quantile) for quantile in sorted(quantiles) if quantile not in self._asked])
            self._further[quantiles] = known
        return known


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
