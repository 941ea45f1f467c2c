"""What an object is made of: the kinds it can be added up from, and the names that its pods and workloads have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from apiservice.inventory.names import GENERATING, NUMBERING, beginning
from apiservice.inventory.ownership import chains, descendants
from apiservice.inventory.store import Store
from metrics_api import ANY_WORKLOAD, SPLIT_KINDS, WORKLOAD_KINDS, ResourceRef

__all__ = ["members", "narrowing", "needed"]

_MANY = 200
"""Names; with more of them a query is no narrower, only longer."""

_BETWEEN: dict[str, tuple[str, ...]] = {**dict.fromkeys(WORKLOAD_KINDS, ()), "Deployment": ("ReplicaSet",)}
"""What owns the pods of a workload in its stead."""

_BETWEEN_CUSTOM = ("ReplicaSet", "ReplicationController")
"""What may do so for a workload of any other kind."""

_MEMBERS: dict[str, dict[str, tuple[str, ...]]] = {
    "Pod": {},
    "Node": {"Pod": ("Pod",)},
    "Namespace": {"Service": (), "Pod": ()},
    "Service": {"Pod": ("EndpointSlice",), ANY_WORKLOAD: ("EndpointSlice", "Pod")},
    "CronJob": {"Pod": ("Pod", "Job"), ANY_WORKLOAD: ("Job",)},
    **{kind: {} for kind in SPLIT_KINDS},
}
"""Members of a kind, the best first, and the kinds that have to be known for them to be added up."""

_PODS = frozenset({"Pod"})
_REPLICA_SETS = frozenset({"ReplicaSet"})
_MADE = {"Deployment": "ReplicaSet", "CronJob": "Job"}
"""What makes the pods of a workload, and is called by its name with more behind it."""
_OF_WORKLOADS: dict[str, tuple[str, ...]] = {"Pod": ("Pod",), ANY_WORKLOAD: ()}


def members(store: Store, kinds: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of which kinds the members of objects of ``kinds`` are, the best first; and the kinds for want of which others are left out."""
    found: dict[str, None] = {}
    missing: dict[str, None] = {}
    for kind in kinds:
        for member, needs in _MEMBERS.get(kind, _OF_WORKLOADS).items():
            unknown = [need for need in needs if not store.tells(need)]
            missing.update(dict.fromkeys(unknown))
            if not unknown and member not in kinds:
                found[member] = None
    return tuple(found), tuple(missing)


def needed(kinds: Iterable[str]) -> frozenset[str]:
    """The kinds that have to be known to add up objects of ``kinds``, those themselves included."""
    found: set[str] = set()
    for kind in kinds:
        between = () if kind in _MEMBERS else _BETWEEN.get(kind, _BETWEEN_CUSTOM)
        found.update((kind, *between), *_MEMBERS.get(kind, _OF_WORKLOADS).values())
    return frozenset(found)


def narrowing(store: Store, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:
    """The names of all pods and workloads that belong to this object, of any of ``kinds``, or with a hyphen at the end how they begin.

    Of pods that were never seen it has the beginnings. Empty when there are too many, or when not all can be told: then anything may
    belong to it.
    """
    found: set[str] = set()
    for kind in kinds:
        if kind == "Namespace" or not name or not all(map(store.knows, needed((kind,)))):
            return ()
        found.update(_names(store, kind, namespace, name))
    if "" in found:
        return ()
    starts = [each for each in found if each.endswith("-")]
    kept = sorted(each for each in found if not any(each != start and each.startswith(start) for start in starts))
    return tuple(kept) if len(kept) <= _MANY else ()


def _names(store: Store, kind: str, namespace: str, name: str) -> Iterator[str]:
    """The names and beginnings for one object; "" among them when its pods may have any name. Nothing when there is no such object."""
    ref = ResourceRef(kind, namespace, name)
    match kind:
        case "Pod":
            if store.held(ref) is not None:
                yield name
        case "Node":
            yield from (pod.name for pod in store.kinship.on_node(name) if store.remembers(pod))
        case "Service":
            pods = store.membership.pods(namespace, name) | store.membership.pods_left(namespace, name)
            for pod in pods:
                yield from _on_the_way(store, ResourceRef("Pod", namespace, pod))
        case "Workload":
            for custom in store.kinship.customs(namespace, name):
                yield from _below(store, ResourceRef(custom, namespace, name))
        case _:
            yield from _below(store, ref)


def _below(store: Store, ref: ResourceRef) -> Iterator[str]:
    """A workload, what it owns, and how the names of their pods begin."""
    if store.held(ref) is None and ref.kind not in store.kinship.customs(ref.namespace, ref.name):
        return
    yield from _own(store, ref)
    for below in descendants(store, ref):
        yield from (below.name,) if below.kind == "Pod" else _own(store, below)


def _on_the_way(store: Store, pod: ResourceRef) -> Iterator[str]:
    """A pod, what owns it, and how the names of the pods of those begin."""
    yield pod.name
    for steps in chains(store, pod):
        for step in steps[1:]:
            yield from _own(store, step.ref)


def _own(store: Store, ref: ResourceRef) -> Iterator[str]:
    """The name of a workload, and the beginning of the names of its pods."""
    yield ref.name
    between = _MADE.get(ref.kind) or ("ReplicaSet" if store.kinship.customs(ref.namespace, ref.name, _REPLICA_SETS) else "")
    if between:
        yield beginning(between, ref.name)
    elif ref.kind in (*GENERATING, NUMBERING) or ref.kind in store.kinship.customs(ref.namespace, ref.name, _PODS):
        yield beginning(ref.kind, ref.name)
