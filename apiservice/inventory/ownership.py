"""Who owns whom: the walk from a Pod upwards by controller references, to its workload and to what owns that.

A reference names its controller by kind, name and uid, and what it names has to be there: an object of the same name that was made later
is another. Where the objects of a kind are not known, and for kinds that are not watched, the reference is believed. Of a Pod or a
ReplicaSet that was never seen, the owner is found by the name, if one alone fits; and so is, behind both, what made a ReplicaSet or Job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from apiservice.inventory.kinship import CONTROLLED, is_custom
from apiservice.inventory.names import CUT, GENERATING, NUMBERING, cron_job_of, deployment_of, fits, owners_of
from apiservice.inventory.records import PodRecord, Record
from apiservice.inventory.store import Store
from metrics_api import ANY_WORKLOAD, CALLED_HOST, JOINED_SERVICE, SPLIT_KINDS, ResourceRef

__all__ = ["Step", "above", "chains", "descendants", "pods_of", "services_of", "workload_of"]

_DEEPEST = 8
"""Steps of the longest walk: references that go in circles have no end."""

_NO_WORKLOADS = frozenset(
    {"", "Service", "Node", "Namespace", "EndpointSlice", JOINED_SERVICE, CALLED_HOST, ANY_WORKLOAD, *SPLIT_KINDS}
)
_PODS = frozenset({"Pod"})
_REPLICA_SETS = frozenset({"ReplicaSet"})


class Step(NamedTuple):
    """One object on the way up; its record is None where the object is known by a reference or by a name alone."""

    ref: ResourceRef
    record: Record | None


def above(store: Store, ref: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
    """The objects of ``kinds`` that ``ref`` belongs to, as :meth:`apiservice.objects.ObjectView.above` has it.

    Of several kinds the widest counts: Namespace, Node, Service, and then whatever is uppermost on the way up.
    """
    if "Namespace" in kinds and (ref.namespace or ref.kind == "Namespace"):
        return (ResourceRef("Namespace", "", ref.namespace or ref.name),)
    if "Node" in kinds and (node := _node_of(store, ref)):
        return (ResourceRef("Node", "", node),)
    if "Service" in kinds and (services := services_of(store, ref)):
        return services
    found = {_uppermost(store, steps, kinds) for steps in chains(store, ref)}
    # Several owners may fit a name, and all of them belong to one object.
    (only,) = found if len(found) == 1 else (None,)
    return (only,) if only is not None else ()


def workload_of(store: Store, pod: ResourceRef) -> ResourceRef | None:
    """What owns a Pod, as people name it: the Pod itself when nothing does, None when nobody knows."""
    return next(iter(above(store, pod, (ANY_WORKLOAD,))), None)


def chains(store: Store, ref: ResourceRef) -> list[list[Step]]:
    """The way up from an object, itself first; of a Pod that was never seen, one for each owner its name fits."""
    record = store.held(ref)
    if record is None and ref.kind == "Pod":
        return [[Step(ref, None), *_upwards(store, owner)] for owner in _fitting(store, ref)] or [[Step(ref, None)]]
    return [_upwards(store, Step(ref, record))]


def descendants(store: Store, ref: ResourceRef) -> list[ResourceRef]:
    """Whatever names this workload as its controller, or names what does, whether it is there or was deleted lately.

    References are followed by kind and name alone: what refers to a namesake of the workload is among them.
    """
    seen, waiting = {ref: None}, [ref]
    while waiting:
        for child in store.kinship.children(waiting.pop()):
            below = ResourceRef(child.kind, child.namespace, child.name)
            if below not in seen and store.remembers(child):
                seen[below] = None
                waiting.append(below)
    del seen[ref]
    return list(seen)


def pods_of(store: Store, ref: ResourceRef) -> list[str]:
    """The names of the pods that belong to a workload, to a ReplicaSet, or to a CronJob: those there are, and those deleted lately."""
    return [below.name for below in descendants(store, ref) if below.kind == "Pod" and _belongs(store, below, ref)]


def services_of(store: Store, ref: ResourceRef) -> tuple[ResourceRef, ...]:
    """The Services behind which a Pod stands, or any of the pods of a workload."""
    if ref.kind == "Service":
        return (ref,)
    if ref.kind in _NO_WORKLOADS:
        return ()
    if ref.kind != "Pod":
        return _services(store, ref.namespace, pods_of(store, ref))
    found = _services(store, ref.namespace, (ref.name,))
    if found or store.held(ref) is not None:
        return found
    guesses = {_services(store, ref.namespace, pods_of(store, owner.ref)) for owner in _fitting(store, ref)}
    return guesses.pop() if len(guesses) == 1 else ()


def _services(store: Store, namespace: str, pods: Iterable[str]) -> tuple[ResourceRef, ...]:
    names: set[str] = set()
    for pod in pods:
        names |= store.membership.services(namespace, pod)
        if store.get("Pod", namespace, pod) is None:
            names |= store.membership.services_left(namespace, pod)
    services = (ResourceRef("Service", namespace, name) for name in sorted(names))
    return tuple(service for service in services if store.held(service) is not None or not store.knows("Service"))


def _node_of(store: Store, ref: ResourceRef) -> str:
    if ref.kind == "Node":
        return ref.name
    record = store.held(ref) if ref.kind == "Pod" else None
    return record.node if isinstance(record, PodRecord) else ""


def _uppermost(store: Store, steps: Sequence[Step], kinds: Collection[str]) -> ResourceRef | None:
    """The uppermost of the steps that is of one of the kinds; None when that is none, or the name is now that of another object."""
    workload = _workload(steps) if ANY_WORKLOAD in kinds else -1
    for index in range(len(steps) - 1, -1, -1):
        ref, record = steps[index]
        # A Pod that another Pod controls is a Pod all the same.
        asked = ref.kind in kinds and (ref.kind != "Pod" or index == 0)
        if index == workload and (ref.kind != "Pod" or set(kinds) == {ANY_WORKLOAD}):
            asked = True
        if asked:
            return ref if index == 0 or not _replaced(store, record) else None
    return None


def _replaced(store: Store, record: Record | None) -> bool:
    """Whether an object is gone and another has its name: then it cannot be told by it."""
    return record is not None and not store.exists(record) and store.get(record.kind, record.namespace, record.name) is not None


def _workload(steps: Sequence[Step]) -> int:
    """Which of the steps is the workload: the last, but for the CronJob above a Job; -1 when there is none, or nobody knows."""
    first, last = steps[0], len(steps) - 1
    if first.ref.kind in _NO_WORKLOADS:
        return -1
    if first.ref.kind == "Pod" and last == 0 and first.record is None:
        return -1
    return last - 1 if last and steps[last].ref.kind == "CronJob" and steps[last - 1].ref.kind == "Job" else last


def _belongs(store: Store, pod: ResourceRef, owner: ResourceRef) -> bool:
    return any(step.ref == owner and not _replaced(store, step.record) for steps in chains(store, pod) for step in steps)


def _upwards(store: Store, first: Step) -> list[Step]:
    steps = [first]
    while len(steps) < _DEEPEST and (step := _controller(store, steps[-1])) is not None:
        steps.append(step)
    return steps


def _controller(store: Store, step: Step) -> Step | None:
    record = step.record
    if record is None:
        return _owner_by_name(store, step.ref)
    owner = record.controller
    # The kubelet makes mirror pods: a Node is where such a Pod runs, and owns it in name only.
    if owner is None or owner.kind == "Node":
        return None
    custom = is_custom(owner)
    if record.kind not in CONTROLLED and (custom or (record.kind, owner.kind) != ("Job", "CronJob")):
        # The workload: what controls it is the concern of whoever made that, an operator for instance.
        return None
    ref = ResourceRef(owner.kind, record.namespace, owner.name)
    if custom:
        return Step(ref, None)
    held = store.find(ref, owner.uid)
    return Step(ref, held) if held is not None or not store.knows(owner.kind) else None


def _owner_by_name(store: Store, ref: ResourceRef) -> Step | None:
    """What a ReplicaSet or a Job that was never seen belongs to by its name."""
    kind, namespace, name = ref
    if kind == "Job" and (owner := cron_job_of(name)):
        cron_job = ResourceRef("CronJob", namespace, owner)
        return Step(cron_job, record) if (record := store.held(cron_job)) is not None else None
    if kind != "ReplicaSet":
        return None
    owner = deployment_of(name)
    if not owner:
        return None
    found = [Step(ResourceRef(kind, namespace, owner), None) for kind in store.kinship.customs(namespace, owner, _REPLICA_SETS)]
    deployment = ResourceRef("Deployment", namespace, owner)
    if (record := store.held(deployment)) is not None:
        found.append(Step(deployment, record))
    return found[0] if len(found) == 1 else None


def _fitting(store: Store, pod: ResourceRef) -> list[Step]:
    """Each owner that would give a pod this name; the pod was never seen."""
    _, namespace, name = pod
    found: dict[ResourceRef, Step] = {}
    for owner in owners_of(name):
        for kind in (*GENERATING, NUMBERING):
            ref = ResourceRef(kind, namespace, owner)
            if fits(kind, owner, name) and (record := store.held(ref)) is not None:
                found[ref] = Step(ref, record)
        for kind in store.kinship.customs(namespace, owner, _PODS):
            ref = ResourceRef(kind, namespace, owner)
            if fits(kind, owner, name):
                found.setdefault(ref, Step(ref, None))
    if len(name) == CUT:
        for record in store.kinship.long_named(namespace):
            ref = ResourceRef(record.kind, namespace, record.name)
            if fits(record.kind, record.name, name) and (held := store.held(ref)) is not None:
                found[ref] = Step(ref, held)
    return list(found.values()) or _unseen(store, pod)


def _unseen(store: Store, pod: ResourceRef) -> list[Step]:
    """The ReplicaSet or the Job that is gone with its pod, if what made it is there: a long window reaches back behind many of them."""
    _, namespace, name = pod
    refs = [
        ResourceRef(kind, namespace, owner)
        for owner in owners_of(name)
        for kind in ("ReplicaSet", "Job")
        if fits(kind, owner, name)
    ]
    return [Step(ref, None) for ref in refs if _owner_by_name(store, ref) is not None]
