"""The fleet of ``mesh_facts.py`` as the service graph of X-Ray has it when every request is traced, and what can be known of it from there.

A node is what a service recorded, an edge what its caller recorded; requests from outside are an edge of a node of type ``client``, of what
the first service recorded (X-Ray Developer Guide, "Concepts"). A graph knows no namespaces, so services have names of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.doubles.cloudwatch import edge, node, outcomes
from tests.doubles.cloudwatch_fleet import Signals, spans_at
from tests.doubles.cloudwatch_mesh import Spans
from tests.doubles.mesh_facts import FLOWS, WORKLOADS, External, Flow, Orphan, Outside, Workload
from tests.doubles.meshes import Seen

__all__ = ["Traced", "fleet_graph", "traced_name"]


class Traced(Signals):
    """What Application Signals tells, and that somebody outside called."""

    name = "xray"

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002 both ends are named or none
        """Callers name the other end, and of callers that trace nothing it is known that there are such."""
        return seen.side == "client" or isinstance(seen.flow.client, Outside)


_MESH = Traced()


def traced_name(thing: Workload | External | Orphan) -> str:
    """What the service is called in the graph."""
    match thing:
        case Workload():
            return f"{thing.namespace}-{thing.name}"
        case External():
            return thing.host
        case Orphan():
            return f"{thing.name}.{thing.namespace}.svc.cluster.local"


def fleet_graph() -> list[dict[str, Any]]:
    """The services of a graph of a minute."""
    busy = [flow for flow in FLOWS if not flow.idle]
    inferred = list(dict.fromkeys(flow.server for flow in busy if not isinstance(flow.server, Workload)))
    references: dict[Workload | External | Orphan, int] = {thing: at for at, thing in enumerate((*WORKLOADS, *inferred))}
    calls: dict[Workload | Outside, list[Flow]] = defaultdict(list)
    for flow in busy:
        calls[flow.client].append(flow)
    services = [_workload(workload, references, calls[workload]) for workload in WORKLOADS]
    services += [node(references[thing], traced_name(thing), Type="remote") for thing in inferred]
    return [*services, *_clients(len(references), references, calls.items())]


def _workload(workload: Workload, references: dict[Any, int], calls: list[Flow]) -> dict[str, Any]:
    served = [
        spans_at(flow, "server") for flow in FLOWS if flow.server == workload and not flow.idle and _MESH.reports(flow, "server")
    ]
    edges = [_edge(references[flow.server], spans_at(flow, "client")) for flow in calls]
    return node(
        references[workload],
        traced_name(workload),
        _outcomes(served) if served else None,
        _histogram(served) if served else None,
        edges,
        Type="AWS::EKS::Container",
    )


def _clients(
    first: int, references: dict[Any, int], calls: Iterable[tuple[Workload | Outside, list[Flow]]]
) -> Iterator[dict[str, Any]]:
    outside = [flow for client, flows in calls if isinstance(client, Outside) for flow in flows]
    for at, flow in enumerate(outside, first):
        if isinstance(flow.server, Workload) and _MESH.reports(flow, "server"):
            called = _edge(references[flow.server], spans_at(flow, "server"))
            yield node(at, traced_name(flow.server), edges=[called], Type="client")


def _edge(reference: int, spans: Spans) -> dict[str, Any]:
    return edge(reference, _outcomes([spans]), _histogram([spans]))


def _outcomes(spans: list[Spans]) -> dict[str, Any]:
    faults, errors = sum(one.faults for one in spans), sum(one.errors for one in spans)
    total = sum(one.count for one in spans)
    took = sum(value * count for one in spans for value, count in one.latencies.items()) / 1000
    return outcomes(round(total - faults - errors), round(errors), 0, round(faults), took)


def _histogram(spans: list[Spans]) -> dict[float, int]:
    found: dict[float, int] = defaultdict(int)
    for one in spans:
        for value, count in one.latencies.items():
            found[value / 1000] += round(count)
    return found
