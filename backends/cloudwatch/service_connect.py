"""ECS Service Connect: what the services of ECS call by their discovery names, counted by the proxy of the caller.

Calls are published by ``TargetDiscoveryName``, whoever makes them, and once more by that and ``ServiceName`` and ``ClusterName``, which are
those of the caller (Amazon ECS Developer Guide, "Amazon ECS CloudWatch metrics"). What a service receives (``RequestCount`` by
``DiscoveryName``) has no outcome. ``TargetResponseTime`` is in milliseconds, unlike that of a load balancer.

Neither the names of services nor discovery names are those of Kubernetes: ``services`` says for each of both which object it is, and
``namespace`` in which one those are that are called alike.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from backends.cloudwatch.discovery import Discovery
from backends.cloudwatch.measured import Found
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.naming import configured, refused_objects, unnamed
from backends.cloudwatch.observed import End, Observed
from backends.cloudwatch.published import Dimensions, Published
from backends.cloudwatch.responses import CLASSES, Responses
from backends.cloudwatch.selection import raised
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, ResourceRef, Side, TrafficQuery

__all__ = ["NAMESPACE", "ServiceConnect"]

NAMESPACE = "AWS/ECS"

_TARGET, _SERVICE, _CLUSTER = "TargetDiscoveryName", "ServiceName", "ClusterName"
_COUNTS = "HTTPCode_Target_{}_Count"
_OF_ALL = frozenset({_TARGET})
_OF_ONE = frozenset({_TARGET, _SERVICE, _CLUSTER})


class ServiceConnect:
    """The rows of callers in one cluster, or in every one where none is configured. ``clock`` gives Unix seconds."""

    def __init__(self, settings: CloudWatchSettings, discovery: Discovery, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        codes = [_COUNTS.format(each) for each in CLASSES]
        self._calls = Published(discovery, NAMESPACE, codes, {_TARGET: None}, self._understand, clock)

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why its metrics can never answer such a query; None when they can."""
        if query.side is Side.SERVER:
            return "what services of ECS receive is counted without outcomes and callers: their traffic is known as their clients saw it"
        return refused_objects(query, self._settings)

    async def find(self, query: TrafficQuery, moment: Moment) -> Found:
        """The rows that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
        traffic, rows = await self._calls.search(query, moment, lambda traffic: traffic.about(query))
        told = traffic.unnamed and not (query.name and rows)
        warnings = (unnamed(self._settings.name, "services and discovery names", traffic.unnamed),) if told else ()
        return Found(tuple([raised(row, query) for row in rows]), warnings)

    def _understand(self, sets: Sequence[Dimensions]) -> Observed:
        callers: dict[str, list[Dimensions]] = defaultdict(list)
        everyone: dict[str, Dimensions] = {}
        for dimensions in sets:
            values = dict(dimensions)
            if values.keys() == _OF_ONE:
                callers[values[_TARGET]].append(dimensions)
            elif values.keys() == _OF_ALL:
                everyone[values[_TARGET]] = dimensions
        found = Observed()
        for name in everyone.keys() | callers.keys():
            callee = End(name, self._object(name, self._settings.cluster))
            ours = [dimensions for dimensions in callers[name] if self._ours(dimensions)]
            for dimensions in ours:
                values = dict(dimensions)
                caller = End(values[_SERVICE], self._object(values[_SERVICE], values[_CLUSTER]))
                found.add_edge(caller, callee, self._responses(dimensions))
            # Callers of other clusters are among everyone.
            alone = name in everyone and (not self._settings.cluster or (ours and len(ours) == len(callers[name])))
            for dimensions in [everyone[name]] if alone else ours:
                found.add_total(callee, self._responses(dimensions))
        return found

    def _ours(self, dimensions: Dimensions) -> bool:
        return self._settings.cluster in ("", dict(dimensions)[_CLUSTER])

    def _object(self, name: str, cluster: str) -> ResourceRef | None:
        """What a service or a discovery name is: what configuration says, or the workload of that name where it gives a namespace."""
        found = configured(self._settings, name, cluster)
        if found is None and self._settings.namespace:
            return ResourceRef(ANY_WORKLOAD, self._settings.namespace, name)
        return found

    def _responses(self, dimensions: Dimensions) -> Responses:
        counts = Metric(NAMESPACE, _COUNTS, dimensions)
        return Responses(counts, counts.renamed("TargetResponseTime"), client_errors_fail=self._settings.client_errors_fail)
