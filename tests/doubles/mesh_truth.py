"""What is true of the fleet, computed from its facts: which rows each mesh can know, and their counts and latencies.

Written from what each mesh says about a request, without the product's dialects: a double that shared them would prove nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from metrics_api import JOINED_SERVICE, ResourceRef
from tests.doubles.mesh_facts import FLOWS, Pod, Workload
from tests.doubles.meshes import CALLERS, NOBODY, ROUTE_KINDS, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen

__all__ = ["EVERYBODY", "NOBODY", "Asked", "Key", "Truth", "refused", "rows"]

EVERYBODY = ResourceRef("", "", "")

Key = tuple[ResourceRef, ResourceRef, str]
"""Resource, peer, and ``to`` or ``from``."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: the fields mean what those of a TrafficQuery do."""

    kinds: tuple[str, ...]
    edges: bool = False
    direction: str = ""
    side: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(slots=True)
class Truth:
    """One row: requests per second by outcome, where latencies lie and how often, and who observed.

    ``restarting`` is how much of it was counted by a pod that restarts.
    """

    side: str
    success: float = 0.0
    failure: float = 0.0
    latencies: list[tuple[float, float]] = field(default_factory=list)
    restarting: float = 0.0

    def percentile(self, q: float) -> float | None:
        """The exact percentile in seconds; None without latencies."""
        total = sum(weight for _, weight in self.latencies)
        seen = 0.0
        for seconds, weight in sorted(self.latencies):
            seen += weight
            if seen >= q * total and total:
                return seconds
        return None


def refused(mesh: Mesh, asked: Asked) -> bool:
    """Whether the mesh can never answer this: it cannot name one of the kinds in any of the ways asked for."""
    if not asked.edges:
        ways = [CALLERS] if asked.side == "client" else [TOTAL]
    else:
        ways = [asked.direction] if asked.direction else ["to", "from"]
    return all(_untold(mesh, kind, way) for way in ways for kind in asked.kinds)


def _untold(mesh: Mesh, kind: str, way: str) -> bool:
    if kind in ROUTE_KINDS:
        return way != TO or not mesh.routes
    return kind in mesh.never[way]


def rows(mesh: Mesh, asked: Asked) -> dict[Key, Truth]:
    """Every row that ``mesh`` can know the answer by: of two observers of the same traffic, the one nearer to what is asked.

    What was received is seen by whoever received it, and by callers where nobody did.
    """
    chosen: dict[Key, Truth] = {}
    for direction in [asked.direction] if asked.edges and asked.direction else ["to", "from"] if asked.edges else ["from"]:
        near = ["client", "server"] if direction == "to" else ["server", "client"]
        for side in near:
            if asked.side not in ("", side):
                continue
            found = _grouped(mesh, asked, direction, side)
            if not asked.edges and mesh.kindless_callees and chosen:
                found = {key: truth for key, truth in found.items() if key[0].kind != "Workload"}
            chosen = found | chosen
    return chosen


def _grouped(mesh: Mesh, asked: Asked, direction: str, side: str) -> dict[Key, Truth]:
    own, other = ("client", "server") if direction == "to" else ("server", "client")
    only = len(asked.kinds) == 1
    found: dict[Key, Truth] = defaultdict(lambda: Truth(side))
    for seen in _observations(mesh, side):
        named = (mesh.named(seen, own, kind, only=only) for kind in asked.kinds)
        resource = next((ref for ref in named if ref is not None), None)
        if resource is None or (asked.name and resource.name != asked.name):
            continue
        if not _inside(resource, asked.namespace):
            continue
        peer = EVERYBODY
        if asked.edges:
            if not mesh.tells_peer(seen, other):
                continue
            peer = _peer(mesh, seen, other, asked.kinds[0])
        _add(found[resource, peer, direction], mesh, seen)
    return dict(found)


def _inside(resource: ResourceRef, namespace: str) -> bool:
    """Whether the resource is, or may be, in the namespace; everything is in none."""
    if namespace and resource.kind == JOINED_SERVICE:
        return resource.name.startswith(f"{namespace}-")
    return not namespace or resource.namespace in ("", namespace)


def _add(row: Truth, mesh: Mesh, seen: Seen) -> None:
    if mesh.failed(seen.result):
        row.failure += seen.rate
    else:
        row.success += seen.rate
    row.latencies += [(seconds, share * seen.rate) for seconds, share in seen.latency if seen.rate]
    if seen.observer is not None and seen.observer.restarts:
        row.restarting += seen.rate


def _observations(mesh: Mesh, side: str) -> Iterator[Seen]:
    for flow in FLOWS:
        if not mesh.reports(flow, side):
            continue
        client_pods: Sequence[Pod | None] = flow.client.pods if isinstance(flow.client, Workload) else (None,)
        server_pods: Sequence[Pod | None] = flow.server.pods if isinstance(flow.server, Workload) else (None,)
        for caller, callee, (outcome, rate) in product(client_pods, server_pods, flow.rates):
            result = mesh.result(outcome, side)
            if result is None or (flow.idle and result.failed):
                continue
            share = (caller.share if caller else 1.0) * (callee.share if callee else 1.0)
            latency = flow.at_client if side == "client" else flow.at_server
            timed = mesh.timed(side, result)
            yield Seen(flow, caller, callee, side, result, rate * share, latency if timed else ())


def _peer(mesh: Mesh, seen: Seen, other: str, kind: str) -> ResourceRef:
    """The other end at the level of the question: a namespace for a namespace, a pod for a pod, else a workload; or what is known."""
    workloads = (*WORKLOAD_KINDS, "Service")
    levels = {"Namespace": ("Namespace",), "Pod": ("Pod", *workloads), "Node": ("Node", *workloads)}
    named = (mesh.named(seen, other, level, only=False) for level in levels.get(kind, workloads))
    return next((ref for ref in named if ref is not None), None) or mesh.unnamed(seen, other)
