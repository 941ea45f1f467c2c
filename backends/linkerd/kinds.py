"""Which kinds Linkerd viz tells of, what it calls them, and which of them answer a question; what it can never tell is refused here.

Source: linkerd/linkerd2, pkg/k8s/k8s.go for the names of kinds, controller/k8s/api.go for those that can be listed (GetObjects) and for
whose name the series of a pod carry (GetOwnerKindAndName).
"""

from __future__ import annotations

from collections.abc import Iterable

from metrics_api import ANY_WORKLOAD, SPLIT_KINDS, WORKLOAD_KINDS, Direction, Side, TrafficQuery, plural_of

__all__ = ["CARRIED", "WIRE", "WORKLOADS", "directions", "is_member", "peer_kinds", "refusal", "resource_kinds", "side_of_totals"]

WORKLOADS = (*WORKLOAD_KINDS, "CronJob")
"""Kinds of workloads, those that most clusters have in front."""

WIRE = {kind: kind.lower() for kind in (*WORKLOADS, "Pod", "Namespace", "Service")}
"""What viz calls each kind: it knows no other spelling."""

_OWNED = frozenset({"ReplicaSet", "Job"})
"""Kinds that may belong to another workload, whose name is on the series of their pods then, and theirs is not."""

CARRIED = frozenset(WIRE) - _OWNED - {"Service"}
"""Kinds whose names the series of their pods do carry: where one has pods in the mesh and no numbers, there was no traffic."""

_FAMILIES = (frozenset(WORKLOADS), frozenset({"Pod"}), frozenset({"Namespace"}), frozenset({"Service"}))
"""Kinds of which a request counts for one object each; those of different families would count it again."""


def resource_kinds(query: TrafficQuery) -> tuple[str, ...]:
    """The kinds to ask for, so that each request counts once; members where viz does not know the kinds of the question themselves.

    ReplicaSets and Jobs alone are told by their pods, if somebody can add those up: viz knows few of them by themselves.
    """
    return _known(query.kinds, query.members)


def is_member(query: TrafficQuery) -> bool:
    """Whether the kinds to ask for are those of members, which have other names than the object asked about."""
    return ANY_WORKLOAD not in query.kinds and set(query.kinds).isdisjoint(resource_kinds(query))


def peer_kinds(query: TrafficQuery, direction: Direction) -> tuple[str, ...]:
    """The kinds that peers in a direction are asked for as. A Service calls nobody, but for the pods behind it."""
    level = query.peer_level
    if level == "Service" and direction is Direction.FROM:
        return _known((), query.peer_members)
    return _known((level,), query.peer_members)


def directions(query: TrafficQuery) -> tuple[Direction, ...]:
    """The directions in which a question about edges can be answered."""
    asked = (query.direction,) if query.direction is not None else (Direction.TO, Direction.FROM)
    calls = resource_kinds(query) != ("Service",)
    return tuple(each for each in asked if (each is Direction.FROM or calls) and peer_kinds(query, each))


def side_of_totals(kinds: Iterable[str]) -> Side:
    """Who observed what objects received: their own proxies, but what a Service received only its clients know."""
    return Side.CLIENT if "Service" in kinds else Side.SERVER


def refusal(query: TrafficQuery) -> str | None:
    """Why viz can never answer such a query; None when it can."""
    kinds = resource_kinds(query)
    if not kinds:
        return _why(query.kinds[0])
    observed = Side.CLIENT if query.edges else side_of_totals(kinds)
    if query.side not in (None, observed):
        what = "edges" if query.edges else f"totals of {plural_of(kinds[0])}"
        return f"Linkerd viz tells {what} as the {observed} observed them, and not the {query.side}"
    if query.edges and not directions(query):
        if kinds == ("Service",) and query.direction is Direction.TO:
            return "to Linkerd viz a Service calls nobody: ask for the edges of the workloads behind it"
        return f"as peers, {_why(query.peer_level)}"
    return None


def _known(kinds: Iterable[str], members: Iterable[str]) -> tuple[str, ...]:
    named = _one_family(kinds)
    if named and not (set(named) <= _OWNED and "Pod" in members):
        return named
    return next((found for member in members if (found := _one_family((member,)))), named)


def _one_family(kinds: Iterable[str]) -> tuple[str, ...]:
    """Of the kinds that viz knows those which are of a family with the first."""
    known = dict.fromkeys(each for kind in kinds for each in (WORKLOADS if kind == ANY_WORKLOAD else (kind,)) if each in WIRE)
    first = next(iter(known), None)
    return tuple(kind for kind in known if any({first, kind} <= family for family in _FAMILIES))


def _why(kind: str) -> str:
    if kind in SPLIT_KINDS:
        return f"Linkerd viz tells nothing of {plural_of(kind)}: ask for the Services that are their backends"
    if kind == "Service":
        return "Linkerd viz does not tell which Services callers belong to: that is known with Kubernetes alone"
    return f"Linkerd viz tells nothing of {plural_of(kind)}, and nobody here knows which pods belong to them"
