"""At which level a dialect can answer: the questions to put to it so that what it tells can be added up to what is asked.

A dialect that names an object itself is asked for it: its store adds up, and nobody does it more cheaply. Where it cannot, it is asked for
the members of the object; and beside what it names for what it cannot name, series that lack the labels of all workloads.
"""

from __future__ import annotations

from dataclasses import replace

from backends.dialects.dialect import Dialect
from backends.dialects.identity import Identity
from backends.dialects.nameless import MEMBER_KINDS
from backends.dialects.plan import plan
from backends.dialects.plan import refusal as refused
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, Direction, TrafficQuery

__all__ = ["omissions", "questions", "refusal"]

_UNOWNED = ("Deployment", "StatefulSet", "DaemonSet", "Job")
"""Workloads whose pods are of no other workload."""

_OWNED = frozenset({"Job", "ReplicaSet"})
"""Workloads that mostly belong to another one, by whose name a mesh calls their pods if it tells no kinds."""


def questions(dialect: Dialect, query: TrafficQuery) -> tuple[TrafficQuery, ...]:
    """The questions that ``dialect`` can answer and that are ``query`` together; none when it can never answer.

    None of them has ``members``. One with ``apart_from`` is about series that the others leave out.
    """
    if not query.members:
        return (query,) if plan(dialect, query) else ()
    if not query.edges or query.direction is not None:
        return _of_direction(dialect, query)
    halves = [_of_direction(dialect, replace(query, direction=direction)) for direction in Direction]
    alike = {tuple(replace(question, direction=None) for question in half) for half in halves}
    if len(alike) == 1 and halves[0]:
        # Callees and callers are the two ends of the same series, which are read once.
        return tuple(replace(question, direction=None) for question in halves[0])
    return tuple(question for half in halves for question in half)


def refusal(dialect: Dialect, query: TrafficQuery) -> str | None:
    """Why the dialect can never answer such a query, not even about members; None when it can."""
    return None if questions(dialect, query) else refused(dialect, query)


def omissions(dialect: Dialect, query: TrafficQuery) -> tuple[str, ...]:
    """What an answer to ``query`` lacks whatever the traffic is: of edges in both directions, the one the dialect cannot tell."""
    if not query.edges or query.direction is not None:
        return ()
    halves = (refusal(dialect, replace(query, direction=direction)) for direction in Direction)
    return tuple(half for half in halves if half is not None)


def _of_direction(dialect: Dialect, query: TrafficQuery) -> tuple[TrafficQuery, ...]:
    own = replace(query, members=(), narrowing=())
    members = next((found for member in _members(dialect, query) if plan(dialect, found := _about(member, query))), None)
    if not plan(dialect, own) or (members is not None and _vague(dialect, query)):
        return (members,) if members is not None else ()
    if members is None or not set(query.kinds) & {*WORKLOAD_KINDS, "Node"}:
        # What a Namespace or a Service receives is counted under its name; what its members receive is counted under theirs.
        return (own,)
    if query.kinds == ("ReplicaSet",):
        own = replace(own, whole="ReplicaSet")
    rest = replace(members, apart_from=tuple(dict.fromkeys((*query.kinds, *_others(dialect, query)))))
    return (own, rest) if plan(dialect, rest) else (own,)


def _members(dialect: Dialect, query: TrafficQuery) -> tuple[str, ...]:
    """The kinds of members, the best first: a bare name is that of the CronJob, and says more than pods that are gone by now."""
    named = {identity.kind for view in dialect.views for end in (view.source, view.destination) for identity in end}
    if query.kinds == ("CronJob",) and ANY_WORKLOAD in query.members and not named & {*WORKLOAD_KINDS}:
        return (ANY_WORKLOAD, *query.members)
    return query.members


def _others(dialect: Dialect, query: TrafficQuery) -> tuple[str, ...]:
    """The kinds of which what they name is no member of what is asked for."""
    if "Node" in query.kinds:
        return ()
    if query.kinds != ("ReplicaSet",) or any(identity.composed for identity in _identities(dialect, "ReplicaSet")):
        return _UNOWNED
    # The pods of a Deployment's ReplicaSets are known by the Deployment alone.
    return tuple(kind for kind in _UNOWNED if kind != "Deployment")


def _about(member: str, query: TrafficQuery) -> TrafficQuery:
    """The question about the members of what is asked for."""
    namespace = {"Namespace": query.name, "Node": ""}.get(query.kinds[0], query.namespace)
    kinds = MEMBER_KINDS.get(member, (member,))
    return replace(query, kinds=kinds, whole=query.kinds[0], namespace=namespace, name="", members=())


def _vague(dialect: Dialect, query: TrafficQuery) -> bool:
    """Whether the dialect names the kind asked for by bare names alone, which are those of the owners."""
    if len(query.kinds) > 1 or query.kinds[0] not in _OWNED:
        return False
    return not _identities(dialect, query.kinds[0])


def _identities(dialect: Dialect, kind: str) -> list[Identity]:
    """Whatever names objects of just this kind."""
    ends = [end for view in dialect.views for end in (view.source, view.destination)]
    return [identity for end in ends for identity in end if identity.kind == kind]
