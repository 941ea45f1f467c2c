"""Which rows a question is about, and at which level: workloads, or their namespaces. What no metric of AWS can tell is refused here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from backends.cloudwatch.rows import Row
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    SPLIT_KINDS,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    called_service,
    plural_of,
)

__all__ = ["concerns", "raised", "refused_kinds", "refused_sides", "selected"]

T = TypeVar("T", Row, Sample)

_MADE_OF_OTHERS = frozenset({"Service", "CronJob"})
"""Kinds whose traffic is that of workloads with other names."""

_BELOW = ("Pod", "Node")


def refused_kinds(query: TrafficQuery) -> str | None:
    """Why metrics of workloads tell nothing of the kinds asked for; None when they do."""
    if not any(_answered(kind, query.members) for kind in query.kinds):
        return _why(query.kinds[0])
    if query.edges and not _answered(query.peer_level, query.peer_members):
        return _why(query.peer_level)
    return None


def refused_sides(query: TrafficQuery, total: Side) -> str | None:
    """Why the side asked for did not observe; ``total`` is the side that observes totals. Edges are observed by callers."""
    if query.side is None:
        return None
    observed = Side.CLIENT if query.edges else total
    if query.side is observed:
        return None
    what = "edges" if query.edges else "totals"
    return f"its {what} are observed on the side of the {observed}, and not of the {query.side}"


def selected(rows: Iterable[T], query: TrafficQuery) -> list[T]:
    """The rows that a question is about, at the level it asks for."""
    return [raised(row, query) for row in rows if concerns(row, query)]


def concerns(row: Row | Sample, query: TrafficQuery) -> bool:
    """Whether a row of a workload may be, or be a part of, what a question asks for."""
    if query.edges and query.direction not in (None, row.direction):
        return False
    return _may_be(row.resource, query) and (not query.edges or _may_be_peer(row.peer, query.peer))


def raised(row: T, query: TrafficQuery) -> T:
    """The row, about namespaces where these are asked for."""
    if query.kinds == ("Namespace",):
        row = replace(row, resource=_namespace_of(row.resource))
    return replace(row, peer=_namespace_of(row.peer)) if query.edges and query.peer_level == "Namespace" else row


def _answered(kind: str, members: Iterable[str]) -> bool:
    """Whether a kind is answered: workloads of any kind and namespaces are, and whatever can be added up from workloads."""
    if kind in (*_BELOW, *SPLIT_KINDS):
        return False
    return ANY_WORKLOAD in members if kind == "Service" else True


def _why(kind: str) -> str:
    if kind == "Service":
        return "its metrics are of workloads, and which of them stand behind a Service is known with Kubernetes alone"
    return f"its metrics are of workloads: the dimensions they have name no {plural_of(kind)}"


def _may_be(resource: ResourceRef, query: TrafficQuery) -> bool:
    if query.kinds == ("Namespace",):
        return not query.name or _place_of(resource).namespace == query.name
    if resource.kind == CALLED_HOST:
        place = _place_of(resource)
        return query.namespace in ("", place.namespace) and (not query.name or place.name in (query.services or (query.name,)))
    if query.namespace not in ("", resource.namespace):
        return False
    if query.name and not query.narrowing and not _MADE_OF_OTHERS.isdisjoint(query.kinds):
        # Nobody knows the names of the workloads that it is made of.
        return True
    return not query.name or resource.name == query.name or any(_fits(resource.name, name) for name in query.narrowing)


def _fits(name: str, narrowing: str) -> bool:
    return name == narrowing or (narrowing.endswith("-") and name.startswith(narrowing))


def _may_be_peer(peer: ResourceRef, wanted: ResourceRef) -> bool:
    if peer.kind == CALLED_HOST:
        return True
    return wanted.namespace in ("", peer.namespace) and (wanted.kind == "Namespace" or wanted.name in ("", peer.name))


def _place_of(resource: ResourceRef) -> ResourceRef:
    """The namespace and name that a host has if it is a Service; the resource itself where it is no host."""
    if resource.kind != CALLED_HOST:
        return resource
    found = called_service(resource)
    return found[0] if found is not None else ResourceRef("", "", "")


def _namespace_of(ref: ResourceRef) -> ResourceRef:
    return ref if ref.kind in (CALLED_HOST, "") or not ref.namespace else ResourceRef("Namespace", "", ref.namespace)
