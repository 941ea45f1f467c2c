"""From what a source could name to what was asked for: members stand for objects it cannot name, and are added up by who owns whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

from apiservice.objects import ObjectView
from metrics_api import ANY_WORKLOAD, Naming, ResourceRef, Sample, TrafficQuery, blurred, first_few, lift, type_of_kind
from metrics_api.federation import not_added
from metrics_api.sample import Covered, first_source

__all__ = ["in_scope", "lifted", "lost_in_sums", "lost_members", "lost_percentiles", "with_members"]

_NOWHERE: Mapping[str, Covered] = {}
_ANY_PEER = ResourceRef("", "", "")
_OWNED = frozenset({"Pod", "ReplicaSet", "ReplicationController"})
"""What may belong to another workload."""


def with_members(query: TrafficQuery, view: ObjectView) -> TrafficQuery:
    """The query, and what ``view`` can add up to what it asks for."""
    members = view.members(query.kinds)
    peer_members = view.members((query.peer_level,)) if query.edges else ()
    narrowing = view.narrowing(query.kinds, query.namespace, query.name) if members and query.name else ()
    services = _services(query, view) if query.edges and query.name else ()
    # Only the name of the whole is known, not those of the peers that belong to it.
    peer = _ANY_PEER if peer_members else query.peer
    return replace(query, members=members, peer_members=peer_members, narrowing=narrowing, peer=peer, services=services)


def _services(query: TrafficQuery, view: ObjectView) -> tuple[str, ...]:
    """The names of the Services by which the object asked for may be called."""
    above = (view.above(ResourceRef(kind, query.namespace, query.name), ("Service",)) for kind in query.kinds)
    return tuple(sorted({service.name for services in above for service in services}))


def lifted(
    samples: Iterable[Sample], query: TrafficQuery, view: ObjectView, elsewhere: Mapping[str, Covered] = _NOWHERE
) -> tuple[list[Sample], tuple[str, ...]]:
    """The samples about what was asked for, with peers at the level that was asked for, as far as anybody knows.

    ``elsewhere`` is what the numbers of sources describe that tell of another window or instant than the others. Members that such a
    source saw are not added to those of others, and sentences say so.
    """
    level = query.peer_level
    left_out: defaultdict[tuple[str, str], set[ResourceRef]] = defaultdict(set)

    @cache
    def resource_above(resource: ResourceRef) -> tuple[ResourceRef, ...]:
        # What has a name alone may have been of a kind that was asked for.
        return view.above(resource, query.kinds) if resource.kind else (resource,)

    @cache
    def peer_above(peer: ResourceRef) -> ResourceRef:
        if not peer.kind or peer.kind == level:
            return peer
        if level != ANY_WORKLOAD and len(found := view.above(peer, (level,))) == 1:
            return found[0]
        if level == "Pod" or peer.kind not in _OWNED:
            return peer
        return next(iter(view.above(peer, (ANY_WORKLOAD,))), peer)

    def covered(source: str) -> Covered | None:
        # Of several that were added up already, all describe the same.
        return elsewhere.get(first_source(source))

    whole = lift(
        samples, resource_above, peer_above, covered, lambda kept, left: left_out[kept.source, left.source].add(kept.resource)
    )
    return whole, tuple(not_added(sources, about) for sources, about in left_out.items())


def lost_members(samples: Iterable[Sample], query: TrafficQuery, view: ObjectView) -> tuple[str, ...]:
    """A sentence about the pods of which nobody knows what they belong to: their numbers are in no row."""
    pods = {sample.resource for sample in samples if sample.resource.kind == "Pod"} if "Pod" not in query.kinds else set()
    # A pod that is known belongs to no Deployment if it belongs to something else, and is on a node in any case.
    enough = () if "Node" in query.kinds else (ANY_WORKLOAD,)
    lost = sorted(pod for pod in pods if not view.above(pod, query.kinds) and not (enough and view.above(pod, enough)))
    if query.name and (names := view.narrowing(query.kinds, query.namespace, query.name)):
        lost = [
            pod for pod in lost if any(pod.name == name or (name.endswith("-") and pod.name.startswith(name)) for name in names)
        ]
    if not lost:
        return ()
    why = "because nobody knows what they belong to: they are gone, or of another cluster"
    named = first_few(["/".join(pod[1:]) for pod in lost])
    return (Naming(f"left out are pods, {why}: {named}", lost, f"left out are pods, {why}"),)


def lost_percentiles(parts: Iterable[Sample], wholes: Iterable[Sample]) -> tuple[str, ...]:
    """A sentence about objects that have no percentiles because a source gives those of their parts, and no histogram."""
    return _without(
        "percentiles are not known where several workloads are added up, because a source gives", blurred(parts, wholes)
    )


def lost_in_sums(parts: Sequence[Sample], wholes: Iterable[Sample]) -> tuple[str, ...]:
    """The same of objects whose numbers are the sum of what several sources say."""
    if not any(part.share for part in parts):
        return ()
    told = [replace(part, share="") for part in parts]
    return _without("percentiles are not known where several sources are added up, because a source gives", blurred(told, wholes))


def _without(beginning: str, lost: Sequence[ResourceRef]) -> tuple[str, ...]:
    if not lost:
        return ()
    why = f"{beginning} those of each and no histogram"
    return (Naming(f"{why}: {first_few(['/'.join(filter(None, ref[1:])) for ref in lost])}", lost, why),)


def in_scope(resource: ResourceRef, query: TrafficQuery) -> bool:
    """Whether the query asks for this object."""
    # A mesh may name the pods of a CronJob by that alone.
    further = resource.kind == "CronJob" or (resource.kind and type_of_kind(resource.kind) is None)
    return (
        ((further and ANY_WORKLOAD in query.kinds) or resource.kind in query.kinds)
        and query.name in ("", resource.name)
        and (not query.namespace or resource.namespace in ("", query.namespace))
    )
