"""What is asked of every mesh: all kinds, each in all the ways there are to ask."""

from __future__ import annotations

from dataclasses import replace

from metrics_api import Direction, Side, TrafficQuery, Window
from tests.doubles.mesh_truth import Asked
from tests.doubles.meshes import WORKLOAD_KINDS

__all__ = ["QUESTIONS", "query_of"]

_KINDS: dict[str, tuple[str, ...]] = {
    "namespaces": ("Namespace",),
    "nodes": ("Node",),
    "pods": ("Pod",),
    "services": ("Service",),
    "deployments": ("Deployment",),
    "workloads": WORKLOAD_KINDS,
}
"""Kinds asked for together, in every way."""

_ONES = {"pods": "cart-0", "services": "api", "deployments": "web", "workloads": "api"}
"""The names of some in the namespace shop, to narrow down to."""

_MORE_KINDS = {
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "jobs": "Job",
    "replicasets": "ReplicaSet",
    "replicationcontrollers": "ReplicationController",
}
"""Kinds that meshes name as they name Deployments."""


def _ways(kinds: tuple[str, ...]) -> dict[str, Asked]:
    totals, edges = Asked(kinds), Asked(kinds, edges=True)
    return {
        "totals": totals,
        "totals-seen-by-callers": replace(totals, side="client"),
        "edges": edges,
        "edges-to": replace(edges, direction="to"),
        "edges-from": replace(edges, direction="from"),
    }


def _narrowed(kinds: tuple[str, ...], name: str) -> dict[str, Asked]:
    totals, edges = Asked(kinds), Asked(kinds, edges=True)
    return {
        "totals-of-a-namespace": replace(totals, namespace="ledger"),
        "total-of-one": replace(totals, namespace="shop", name=name),
        "edges-of-a-namespace": replace(edges, namespace="ledger"),
        "edges-of-one": replace(edges, namespace="shop", name=name),
    }


QUESTIONS = {
    **{f"{plural}-{way}": asked for plural, kinds in _KINDS.items() for way, asked in _ways(kinds).items()},
    **{f"{plural}-{way}": asked for plural, name in _ONES.items() for way, asked in _narrowed(_KINDS[plural], name).items()},
    **{f"{plural}-totals": Asked((kind,)) for plural, kind in _MORE_KINDS.items()},
    **{f"{plural}-edges": Asked((kind,), edges=True) for plural, kind in _MORE_KINDS.items()},
    "httproutes-edges-to": Asked(("HTTPRoute",), edges=True, direction="to"),
    "grpcroutes-edges-of-one": Asked(("GRPCRoute",), edges=True, direction="to", namespace="shop", name="by-status"),
}


def query_of(asked: Asked, window: Window, instant: int, *, sums: bool = False) -> TrafficQuery:
    """The question as sources are asked it."""
    return TrafficQuery(
        kinds=asked.kinds,
        window=window,
        instant=instant,
        namespace=asked.namespace,
        name=asked.name,
        edges=asked.edges,
        direction=Direction(asked.direction) if asked.direction else None,
        side=Side(asked.side) if asked.side else None,
        sums=sums,
    )
