"""App Mesh: the traffic that the Envoys of a mesh count with its metrics extension, in each of the shapes in which it reaches CloudWatch.

What a virtual node receives is counted without outcome and without caller (``RequestCount``), what it calls with both. So all traffic is
known as its callers saw it, and the total of a virtual node is what they saw together. A call of gRPC that failed has a code of 2xx, as its
HTTP response has. AWS ended App Mesh on 2026-09-30: the names of its metrics live on in Envoys that others configure, and in history.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from backends.cloudwatch.discovery import Discovery
from backends.cloudwatch.measured import Found
from backends.cloudwatch.meshedge import MeshEdge
from backends.cloudwatch.meshpaths import GATEWAY, MESH, METRIC_TYPE, NODE, SERVICE, TARGET, Path, paths_of
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.naming import asked_for, configured, refused_objects, unnamed
from backends.cloudwatch.observed import End, Observed
from backends.cloudwatch.published import Dimensions, Published
from backends.cloudwatch.responses import CLASSES, Responses
from backends.cloudwatch.rows import Row, named
from backends.cloudwatch.selection import concerns, raised
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, EVERYTHING, Direction, Naming, ResourceRef, Side, TrafficQuery

__all__ = ["AppMesh"]

_AGENT = "CWAgent"
"""The namespace that the CloudWatch agent publishes in unless it is told another one."""

_PREFIX = {"statsd": "envoy_appmesh_", "emf": "envoy_appmesh_", "adot": "envoy.appmesh."}
"""How the names of metrics begin: the agent writes underscores for dots, the collector of ADOT does not."""

_COUNTS = "HTTPCode_Target_{}_Count"

_NODE_NAME = re.compile(r"(?P<name>[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?)_(?P<namespace>[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)")
"""What the controller calls a virtual node or gateway of Kubernetes (aws/aws-app-mesh-controller-for-k8s,
apis/appmesh/v1beta2/virtualnode_types.go: ``awsName`` defaults to ``name_namespace``)."""


@dataclass(frozen=True, slots=True)
class _Mesh:
    """The traffic of a mesh, and the objects whose calls are published in several ways."""

    traffic: Observed = field(default_factory=Observed)
    contested: set[ResourceRef] = field(default_factory=set)


class AppMesh:
    """The rows of one mesh. ``clock`` gives Unix seconds."""

    def __init__(self, settings: CloudWatchSettings, discovery: Discovery, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._namespace = settings.metric_namespace or _AGENT
        self._prefix = _PREFIX[settings.form]
        self._configured = [(edge, self._by_convention(edge)) for edge in settings.edges]
        mesh = {MESH: settings.mesh}
        codes = [self._name(_COUNTS.format(each)) for each in CLASSES]
        self._calls = Published(discovery, self._namespace, codes, mesh | {TARGET: None}, self._understand, clock)
        self._received = Published(
            discovery, self._namespace, [self._name("RequestCount")], mesh | {NODE: None}, self._nodes, clock
        )

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why its metrics can never answer such a query; None when they can."""
        if query.side is Side.SERVER:
            return (
                "what virtual nodes receive is counted without outcomes and callers: their traffic is known as their clients saw it"
            )
        return refused_objects(query, self._settings)

    async def find(self, query: TrafficQuery, moment: Moment) -> Found:
        """The rows that a question asks for. Raises :class:`metrics_api.errors.BackendError`."""
        mesh, rows = await self._calls.search(query, moment, lambda mesh: mesh.traffic.about(query))
        warnings = [*self._told(mesh, rows, query), *(await self._unseen(mesh, query, moment))]
        return Found(tuple([raised(row, query) for row in rows]), tuple(warnings))

    def _told(self, mesh: _Mesh, rows: Sequence[Row], query: TrafficQuery) -> Iterator[str]:
        source = f'source "{self._settings.name}"'
        if mesh.traffic.unnamed and not (query.name and rows):
            yield unnamed(self._settings.name, "virtual nodes and gateways", mesh.traffic.unnamed)
        if contested := {row.resource for row in rows} & mesh.contested:
            why = (
                f"{source} finds the same calls with several sets of dimensions; "
                "it counts those with the fewest, and what is published with others alone is missing"
            )
            yield Naming(f"{why}: {named(contested)}", contested, why)
        if rows and self._settings.form == "emf":
            yield f"{source} has no percentiles: the CloudWatch agent leaves histograms out of what it scrapes"

    async def _unseen(self, mesh: _Mesh, query: TrafficQuery, moment: Moment) -> list[str]:
        """A sentence about virtual nodes that receive requests which no caller counts, so that there is nothing to say of them."""
        if query.edges:
            return []
        unseen = {
            node
            for node in (await self._received.around(moment)).difference(mesh.traffic.totals())
            if asked_for(node, query) and concerns(Row(node, EVERYTHING, Direction.FROM, Side.CLIENT, (), ()), query)
        }
        if not unseen:
            return []
        why = (
            f'source "{self._settings.name}" knows nothing of requests whose callers are not in the mesh, '
            "because what virtual nodes receive is counted without its outcome"
        )
        return [Naming(f"{why}: {named(unseen)}", unseen, why)]

    def _understand(self, sets: Sequence[Dimensions]) -> _Mesh:
        found = _Mesh()
        for path in paths_of(sets, self._settings.mesh, self._configured):
            self._add(path, found)
        return found

    def _add(self, path: Path, found: _Mesh) -> None:
        caller, callee = (End(name, self._object(name)) for name in (path.ends.caller, path.ends.callee))
        if path.contested:
            found.contested.update(end.ref for end in (caller, callee) if end.ref is not None)
        for dimensions in path.sets:
            responses = self._responses(dimensions)
            found.traffic.add_total(callee, responses)
            if path.ends.kind:
                found.traffic.add_edge(caller, callee, responses)

    def _nodes(self, sets: Sequence[Dimensions]) -> set[ResourceRef]:
        """The virtual nodes that receive requests, as far as they are objects."""
        found = (self._object(dict(dimensions)[NODE]) for dimensions in sets)
        return {ref for ref in found if ref is not None}

    def _object(self, name: str) -> ResourceRef | None:
        """What a virtual node or gateway is: what configuration says, or the workload it is named after."""
        found = configured(self._settings, name, self._settings.mesh)
        match = _NODE_NAME.fullmatch(name)
        if found is None and match is not None:
            return ResourceRef(ANY_WORKLOAD, match["namespace"], match["name"])
        return found

    def _responses(self, dimensions: Dimensions) -> Responses:
        counts = Metric(self._namespace, self._name(_COUNTS), dimensions)
        return Responses(counts, self._latency(dimensions), client_errors_fail=self._settings.client_errors_fail)

    def _latency(self, dimensions: Dimensions) -> Metric | None:
        """Milliseconds, from the request until the response has ended, as Envoy has them."""
        if self._settings.form == "emf":
            return None
        timed = tuple([(name, "timing" if name == METRIC_TYPE else value) for name, value in dimensions])
        return Metric(self._namespace, self._name("TargetResponseTime"), timed)

    def _name(self, metric: str) -> str:
        return f"{self._prefix}{metric}"

    def _by_convention(self, edge: MeshEdge) -> Dimensions:
        """The dimensions of a configured edge: those that its form adds by itself, and what configuration says."""
        found = {MESH: self._settings.mesh, GATEWAY if edge.gateway else NODE: edge.caller, TARGET: edge.callee}
        match = _NODE_NAME.fullmatch(edge.callee)
        service = edge.service
        if service is None and match is not None:
            service = f"{match['name']}.{match['namespace']}.svc.cluster.local"
        if service:
            found[SERVICE] = service
        if self._settings.form == "statsd":
            found[METRIC_TYPE] = "counter"
        return tuple(sorted((found | dict(edge.dimensions)).items()))
