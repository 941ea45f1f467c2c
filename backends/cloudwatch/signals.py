"""Application Signals: which of its metrics tell of the traffic of which workload, and of the edges between them.

A service publishes ``Latency``, ``Fault`` and ``Error`` for what it receives, and once more for what it calls, under several sets of
dimensions at once (CloudWatch User Guide, "Application Signals metrics collected"). Of each kind of traffic the widest set is read, so that
nothing counts twice. Every span counts in ``Latency``, whose samples are all requests; ``Fault`` is 1 for a 5xx or an error, ``Error`` for
a 4xx (aws-observability/aws-otel-java-instrumentation, AwsSpanMetricsProcessor).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from backends.cloudwatch.discovery import LISTED_FOR, Discovery
from backends.cloudwatch.identity import Identity
from backends.cloudwatch.measured import Found
from backends.cloudwatch.metric import SAMPLE_COUNT, SUM, Metric
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.published import Dimensions, Published
from backends.cloudwatch.rows import Row
from backends.cloudwatch.selection import refused_kinds, refused_sides, selected
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import CALLED_HOST, EVERYTHING, Direction, ResourceRef, Side, TrafficQuery, called_service

__all__ = ["NAMESPACE", "ApplicationSignals"]

NAMESPACE = "ApplicationSignals"

_SERVICE = frozenset({"Environment", "Service"})
_REMOTE = _SERVICE | {"RemoteService"}
_REMOTE_IN_CLUSTER = _REMOTE | {"RemoteEnvironment"}
_LISTED: Mapping[str, str | None] = {"Environment": None, "Service": None}
_SETS = frozenset({_SERVICE, _REMOTE, _REMOTE_IN_CLUSTER})
"""All others hold operations, of which there may be hundreds to a service."""


@dataclass(frozen=True, slots=True)
class _Catalogue:
    """All rows there are, totals and edges, by the namespace of the resource they are about."""

    totals: Mapping[str, list[Row]]
    edges: Mapping[str, list[Row]]

    def about(self, query: TrafficQuery) -> list[Row]:
        """Those that a question is about, at the level it asks for."""
        found = self.edges if query.edges else self.totals
        namespace = query.name if query.kinds == ("Namespace",) else query.namespace
        return selected(found.get(namespace, ()) if namespace else chain.from_iterable(found.values()), query)


class ApplicationSignals:
    """The rows of Application Signals in one cluster."""

    def __init__(
        self,
        settings: CloudWatchSettings,
        discovery: Discovery,
        identity: Identity | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._identity = identity or Identity(settings)
        self._clock = clock
        self._published = Published(
            discovery, NAMESPACE, ["Latency"], _LISTED, self._understand, clock, sets=_SETS, given=lambda: self._identity.learnt
        )

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why its metrics can never answer such a query; None when they can."""
        return refused_kinds(query) or refused_sides(query, Side.SERVER)

    async def find(self, query: TrafficQuery, moment: Moment) -> Found:
        """The rows that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
        _, rows = await self._published.search(query, moment, lambda catalogue: catalogue.about(query))
        return Found(tuple(rows), tuple(self._told(moment)))

    def _told(self, moment: Moment) -> Iterator[str]:
        """What a reader of the past must know of what is not listed any more."""
        if moment.start < self._clock() - LISTED_FOR:
            yield (
                f'source "{self._settings.name}" leaves out what has been silent for the last two weeks, '
                "because CloudWatch does not list it any more"
            )

    def _understand(self, sets: Sequence[Dimensions]) -> _Catalogue:
        listing = [Metric(NAMESPACE, "Latency", dimensions) for dimensions in sets]
        totals: dict[str, list[Row]] = defaultdict(list)
        edges: dict[str, list[Row]] = defaultdict(list)
        for row in self._totals(listing):
            totals[row.resource.namespace].append(row)
        for row in self._edges(listing):
            edges[_home(row.resource)].append(row)
        return _Catalogue(totals, edges)

    def _totals(self, listing: Iterable[Metric]) -> Iterator[Row]:
        for metric in listing:
            if metric.names == _SERVICE:
                resource = self._identity.workload(metric.value("Service"), metric.value("Environment"))
                if resource is not None:
                    yield self._row(metric, resource, EVERYTHING, Direction.FROM, Side.SERVER)

    def _edges(self, listing: Sequence[Metric]) -> Iterator[Row]:
        # Where the environment of the callee is told, the set without it holds the same requests once more.
        placed = {_ends(metric) for metric in listing if metric.names == _REMOTE_IN_CLUSTER}
        for metric in listing:
            names = metric.names
            if names != _REMOTE_IN_CLUSTER and (names != _REMOTE or _ends(metric) in placed):
                continue
            service, environment = metric.value("Service"), metric.value("Environment")
            known = self._identity.workload(service, environment)
            if known is None and names == _REMOTE:
                # Where it is, the same name may be that of another host.
                continue
            caller = known or self._identity.stranger(service, environment)
            callee = self._identity.remote(metric.value("RemoteService"), metric.value("RemoteEnvironment"), caller)
            row = self._row(metric, caller, callee, Direction.TO, Side.CLIENT)
            if known is not None:
                yield row
            if callee.namespace and (callee.kind != CALLED_HOST or called_service(callee) is not None):
                yield Row(callee, caller, Direction.FROM, Side.CLIENT, row.requests, row.failures, row.latency)

    def _row(self, latency: Metric, resource: ResourceRef, peer: ResourceRef, direction: Direction, side: Side) -> Row:
        failures = ("Fault", "Error") if self._settings.client_errors_fail else ("Fault",)
        return Row(
            resource,
            peer,
            direction,
            side,
            ((latency, SAMPLE_COUNT),),
            tuple((latency.renamed(name), SUM) for name in failures),
            latency,
        )


def _ends(metric: Metric) -> tuple[str, str, str]:
    return metric.value("Environment"), metric.value("Service"), metric.value("RemoteService")


def _home(resource: ResourceRef) -> str:
    """The namespace that a resource is in, or would be if the host that it is were a Service."""
    found = called_service(resource) if resource.kind == CALLED_HOST else None
    return found[0].namespace if found is not None else resource.namespace
