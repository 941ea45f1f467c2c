"""What is true of the fleet, computed from its facts: which rows each mesh can know, and their counts and latencies.

Written from what each mesh says about a request, without the product's dialects: a double that shared them would prove nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, External, Flow, Latency, Orphan, Outside, Pod, Result, Workload

__all__ = ["EVERYBODY", "NOBODY", "Asked", "Key", "Truth", "rows"]

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet")
EVERYBODY = ResourceRef("", "", "")
NOBODY = ResourceRef("", "", "unknown")

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


@dataclass(frozen=True, slots=True)
class _Seen:
    """Requests as one proxy saw them: those between one pod and another, with one result."""

    flow: Flow
    client_pod: Pod | None
    server_pod: Pod | None
    side: str
    result: Result
    rate: float
    latency: Latency

    @property
    def observer(self) -> Pod | None:
        return self.client_pod if self.side == "client" else self.server_pod

    def end(self, which: str) -> tuple[Workload | External | Orphan | Outside, Pod | None]:
        """The client's or the server's end."""
        return (self.flow.client, self.client_pod) if which == "client" else (self.flow.server, self.server_pod)


def rows(mesh: str, asked: Asked) -> dict[Key, Truth]:
    """Every row that ``mesh`` can know the answer by: of two observers of the same traffic, the one nearer to what is asked."""
    if not asked.edges:
        for side in [asked.side] if asked.side else ["server", "client"]:
            found = _grouped(mesh, asked, "from", side)
            if found:
                return found
        return {}
    chosen: dict[Key, Truth] = {}
    for direction in [asked.direction] if asked.direction else ["to", "from"]:
        near = ["client", "server"] if direction == "to" else ["server", "client"]
        for side in near:
            if asked.side in ("", side):
                chosen = _grouped(mesh, asked, direction, side) | chosen
    return chosen


def _grouped(mesh: str, asked: Asked, direction: str, side: str) -> dict[Key, Truth]:
    own, other = ("client", "server") if direction == "to" else ("server", "client")
    found: dict[Key, Truth] = defaultdict(lambda: Truth(side))
    for seen in _observations(mesh, side):
        resource = next((ref for kind in asked.kinds if (ref := _named(mesh, seen, own, kind, only=len(asked.kinds) == 1))), None)
        if resource is None or (asked.name and resource.name != asked.name):
            continue
        if asked.namespace and resource.namespace not in ("", asked.namespace):
            continue
        peer = EVERYBODY
        if asked.edges:
            if not _tells_peer(mesh, seen, other):
                continue
            peer = _peer(mesh, seen, other, asked.kinds[0])
        _add(found[resource, peer, direction], seen)
    return dict(found)


def _add(row: Truth, seen: _Seen) -> None:
    if seen.result.failed:
        row.failure += seen.rate
    else:
        row.success += seen.rate
    row.latencies += [(seconds, share * seen.rate) for seconds, share in seen.latency if seen.rate]
    if seen.observer is not None and seen.observer.restarts:
        row.restarting += seen.rate


def _observations(mesh: str, side: str) -> Iterator[_Seen]:
    for flow in FLOWS:
        if not _reports(mesh, flow, side):
            continue
        client_pods: Sequence[Pod | None] = flow.client.pods if isinstance(flow.client, Workload) else (None,)
        server_pods: Sequence[Pod | None] = flow.server.pods if isinstance(flow.server, Workload) else (None,)
        for caller, callee, (outcome, rate) in product(client_pods, server_pods, flow.rates):
            result = outcome.client if side == "client" else outcome.server
            if result is None or (flow.idle and result.failed):
                continue
            share = (caller.share if caller else 1.0) * (callee.share if callee else 1.0)
            latency = flow.at_client if side == "client" else flow.at_server
            timed = _timed(mesh, side, result)
            yield _Seen(flow, caller, callee, side, result, rate * share, latency if timed else ())


def _reports(mesh: str, flow: Flow, side: str) -> bool:
    """Whether a proxy on that side exists and reports the flow."""
    if side == "client":
        inside = isinstance(flow.client, Workload) and not (mesh == "istio" and flow.client.ambient)
        # Consul counts calls out of the mesh under no service.
        return inside and not (mesh == "consul" and isinstance(flow.server, External))
    return isinstance(flow.server, Workload) and not (mesh == "istio" and flow.server.gateway)


def _timed(mesh: str, side: str, result: Result) -> bool:
    """Whether the mesh has a latency for such a result."""
    if mesh == "istio":
        return True
    if mesh == "linkerd":
        return result.code != 0 and not result.local
    return not result.local if side == "client" else result.code != 0


def _tells_peer(mesh: str, seen: _Seen, other: str) -> bool:
    """Whether the observer can say anything of the other end: a server of Linkerd knows of its callers only that one has no proxy."""
    if seen.side == "client" or other == "server" or mesh == "istio":
        return True
    return mesh == "linkerd" and isinstance(seen.flow.client, Outside)


def _named(mesh: str, seen: _Seen, which: str, kind: str, *, only: bool = True) -> ResourceRef | None:
    """The object of ``kind`` at one end, if its observer names it. ``only``: no other kind is asked for."""
    thing, pod = seen.end(which)
    own = seen.side == which
    if mesh != "istio" and not own and which == "client":
        return None
    if isinstance(thing, Orphan):
        return _orphan(mesh, thing, kind)
    if not isinstance(thing, Workload):
        return None
    match kind:
        case "Namespace":
            return ResourceRef(kind, "", thing.namespace)
        case "Service":
            return ResourceRef(kind, thing.namespace, thing.name) if _tells_service(mesh, which, own=own) else None
        case "Pod" | "Node":
            return _place(mesh, thing, pod, kind, own=own)
        case _:
            return _workload(mesh, thing, kind, own=own, only=only)


def _tells_service(mesh: str, which: str, *, own: bool) -> bool:
    """Callers know the service they call, Istio's servers that by which they were called, Consul's proxies always their own."""
    if mesh == "consul":
        return own or which == "server"
    return which == "server" and (mesh == "istio" or (mesh == "linkerd" and not own))


def _workload(mesh: str, workload: Workload, kind: str, *, own: bool, only: bool) -> ResourceRef | None:
    if kind not in KINDS or (mesh == "consul" and not own):
        return None
    if mesh == "istio" or (mesh == "envoy" and not own):
        return ResourceRef("Workload", workload.namespace, workload.name)
    if kind == "ReplicaSet" and only and mesh == "linkerd" and workload.template_hash:
        return ResourceRef(kind, workload.namespace, f"{workload.name}-{workload.template_hash}")
    return ResourceRef(kind, workload.namespace, workload.name) if kind == workload.kind else None


def _orphan(mesh: str, service: Orphan, kind: str) -> ResourceRef | None:
    if kind == "Service":
        return ResourceRef(kind, service.namespace, service.name)
    return ResourceRef(kind, "", service.namespace) if kind == "Namespace" and mesh != "istio" else None


def _place(mesh: str, workload: Workload, pod: Pod | None, kind: str, *, own: bool) -> ResourceRef | None:
    """Pod or node: of the reporting proxy, and in Linkerd of the pod that was called."""
    if pod is None or (mesh == "istio" and workload.ambient) or (not own and (mesh, kind) != ("linkerd", "Pod")):
        return None
    if kind == "Node":
        return ResourceRef(kind, "", pod.node) if mesh != "linkerd" else None
    return ResourceRef(kind, workload.namespace, pod.name)


def _peer(mesh: str, seen: _Seen, other: str, kind: str) -> ResourceRef:
    """The other end at the level of the question: a namespace for a namespace, a pod for a pod, else a workload; or what is known."""
    levels = {"Namespace": ("Namespace",), "Pod": ("Pod", *KINDS, "Service"), "Node": ("Node", *KINDS, "Service")}
    for level in levels.get(kind, (*KINDS, "Service")):
        ref = _named(mesh, seen, other, level, only=False)
        if ref is not None:
            return ref
    thing, _ = seen.end(other)
    if isinstance(thing, External):
        return ResourceRef("", "", thing.host)
    if isinstance(thing, Orphan):
        return ResourceRef("", "", f"{thing.name}.{thing.namespace}.svc.cluster.local")
    return NOBODY
