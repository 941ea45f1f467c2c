"""From a service graph to samples: what each service received, as it recorded it, and what passed between two, as the caller did.

What came from outside is the exception: nobody there recorded anything, and X-Ray makes that edge of what the first service recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backends.cloudwatch.graph import CLIENT, Call, Graph, Node, Requests
from backends.cloudwatch.rows import named
from backends.cloudwatch.selection import concerns, selected
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.traced import TracedServices, is_proxy
from metrics_api import (
    CALLED_HOST,
    EVERYTHING,
    Direction,
    Naming,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    called_service,
    first_few,
    roll_up,
)
from metrics_api.resources import host

__all__ = ["MARKS", "GraphTraffic", "nameless"]

MARKS = frozenset({"sampled"})
"""What is to be known of every number: it is of the requests that were traced."""


@dataclass(frozen=True, slots=True)
class GraphTraffic:
    """The answer that a graph gives to a question, and sentences for its reader; ``incomplete`` says that some mean missing data."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    incomplete: bool = False

    @classmethod
    def of(cls, graph: Graph, query: TrafficQuery, settings: CloudWatchSettings) -> GraphTraffic:
        """What ``graph`` tells of what ``query`` asks for, as ``settings`` name its services."""
        reading = _Reading(graph, settings)
        found = selected(reading.edges() if query.edges else reading.totals(), query)
        found = [sample for sample in found if query.side in (None, sample.side)]
        warnings = [*_of_names(settings.name, nameless(graph, settings)), *reading.warnings(query)]
        unclear = sorted({sample.resource for sample in found if sample.success is None})
        if unclear:
            warnings.append(_naming(settings.name, "counts of some requests are missing, or contradict each other", unclear))
        return cls(tuple(roll_up(found)), tuple(warnings), incomplete=bool(unclear))


def nameless(graph: Graph, settings: CloudWatchSettings) -> list[str]:
    """The names of services that may well be workloads of the cluster, of which nobody knows which."""
    services = TracedServices(settings)
    return sorted({node.name for node in graph.nodes if services.nameless(node)})


class _Reading:
    """A graph, read with the names that the configuration gives."""

    def __init__(self, graph: Graph, settings: CloudWatchSettings) -> None:
        self._graph = graph
        self._settings = settings
        self._services = TracedServices(settings)

    def totals(self) -> Iterator[Sample]:
        """What each service received."""
        for node, resource in self._recording():
            if not is_proxy(node) and node.received is not None:
                yield self._sample(resource, EVERYTHING, Direction.FROM, Side.SERVER, node.received)

    def edges(self) -> Iterator[Sample]:
        """What passed between two services, once for each of them that is an object."""
        for call in self._graph.calls:
            caller = self._services.resource(call.caller)
            callee = self._services.peer(call.callee, caller)
            if _within(call, caller, callee):
                continue
            side = Side.SERVER if call.caller.type == CLIENT else Side.CLIENT
            if caller is not None:
                yield self._sample(caller, callee, Direction.TO, side, call.requests)
            if callee.namespace and (callee.kind != CALLED_HOST or called_service(callee) is not None):
                yield self._sample(callee, self._services.peer(call.caller), Direction.FROM, side, call.requests)

    def warnings(self, query: TrafficQuery) -> Iterator[str]:
        """What a reader must know of what the graph does not tell, or tells twice."""
        name = self._settings.name
        if not query.edges and (proxied := _concerned(self._proxied(), query)):
            why = "totals are missing of what only a proxy of App Mesh traced, which counts what it sends with what it receives"
            yield _naming(name, why, proxied)
        if several := _concerned(self._of_several_accounts(), query):
            why = "services of one name in several AWS accounts are counted as one; a group with account.id in its filter tells them apart"
            yield _naming(name, why, several)
        if self._graph.regrouped:
            group = self._settings.group
            yield f'source "{name}": the filter of group "{group}" has changed: some of the traces are those it chose before'

    def _recording(self) -> Iterator[tuple[Node, ResourceRef]]:
        for node in self._graph.nodes:
            resource = self._services.resource(node)
            if resource is not None and self._services.records(node):
                yield node, resource

    def _proxied(self) -> list[ResourceRef]:
        recording = list(self._recording())
        themselves = {resource for node, resource in recording if not is_proxy(node)}
        return sorted({resource for node, resource in recording if is_proxy(node)} - themselves)

    def _of_several_accounts(self) -> list[ResourceRef]:
        accounts: dict[ResourceRef, set[str]] = {}
        for node, resource in self._recording():
            accounts.setdefault(resource, set()).add(node.account)
        return sorted(resource for resource, known in accounts.items() if len(known - {""}) > 1)

    def _sample(
        self, resource: ResourceRef, peer: ResourceRef, direction: Direction, side: Side, requests: Requests | None
    ) -> Sample:
        outcome = requests.outcome(client_errors_fail=self._settings.client_errors_fail) if requests is not None else None
        success, failure = outcome if outcome is not None else (None, None)
        latency = requests.latency if requests is not None else None
        name, kind = self._settings.name, self._settings.source
        return Sample(resource, peer, direction, side, success, failure, latency, 0, name, MARKS, kind)


def _within(call: Call, caller: ResourceRef | None, callee: ResourceRef) -> bool:
    """Whether it is between a workload and its own proxy."""
    return caller == callee and call.callee is not None and is_proxy(call.caller) != is_proxy(call.callee)


def _of_names(source: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        why = f"{len(names)} traced services are left out, because nobody says which objects of Kubernetes they are"
        advice = 'name them in "services", or set "namespace" if they are all in one'
        about = [host(name) for name in names]
        yield Naming(f'source "{source}": {why}: {first_few(names)}; {advice}', about, f'source "{source}": {why}; {advice}')


def _concerned(resources: Sequence[ResourceRef], query: TrafficQuery) -> list[ResourceRef]:
    """Those of the resources that a question is about."""
    totals = replace(query, edges=False)
    return [each for each in resources if concerns(Sample(each, EVERYTHING, Direction.FROM, Side.SERVER, None, None, None), totals)]


def _naming(source: str, why: str, about: Sequence[ResourceRef]) -> Naming:
    return Naming(f'source "{source}": {why}: {named(about)}', about, f'source "{source}": {why}')
