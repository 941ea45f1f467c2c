"""What the service asks of the inventory: views of the objects of some kinds, which know of all others what belongs to what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from apiservice.inventory.kinship import CONTROLLED
from apiservice.inventory.members import members, narrowing, needed
from apiservice.inventory.ownership import above, chains, workload_of
from apiservice.inventory.records import PodRecord, Record, RouteRecord
from apiservice.inventory.store import State, Store
from apiservice.objects import ObjectView, Split
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    JOINED_SERVICE,
    WORKLOAD_KINDS,
    BackendUnavailable,
    Naming,
    ResourceRef,
    Unsupported,
    called_service,
    partings,
    plural_of,
    type_of_kind,
)
from metrics_api.resources import host

__all__ = ["ClusterObjects"]

_PATIENCE = 5.0
"""Seconds an answer waits for a kind to be listed for the first time."""

_NAMED = (*WORKLOAD_KINDS, "CronJob")
"""Kinds that a workload known by its name may be of. Istio names the pods of a CronJob by that."""

_NO_KINDS = frozenset({"", ANY_WORKLOAD, JOINED_SERVICE, CALLED_HOST})
"""What has one of these is a name, and no object yet."""

_OWNED = CONTROLLED - {"Pod"}


class ClusterObjects:
    """The objects of a cluster, out of a store that reflectors keep in step with it. ``patience`` is in seconds."""

    def __init__(self, store: Store, patience: float = _PATIENCE) -> None:
        self._store = store
        self._patience = patience

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:
        """The objects of these kinds; soon after the start it waits for what they are made of to be listed."""
        await self._store.settled(needed(kinds), self._patience)
        return _View(self._store, kinds, namespace, name)

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that finds the kind of workloads known by name, and the namespace of Services known by one joined to it."""
        joined = ("Service",) if any(resource.kind in (JOINED_SERVICE, CALLED_HOST) for resource in resources) else ()
        bare = WORKLOAD_KINDS if any(resource.kind == ANY_WORKLOAD for resource in resources) else ()
        called = needed(("Service",)) if any(resource.kind == CALLED_HOST for resource in resources) else frozenset[str]()
        await self._store.settled(
            (needed(bare) | {"CronJob", "Pod", *joined} if bare else frozenset(joined)) | called, self._patience
        )
        return _View(self._store, (*bare, *joined), "", "")

    def ready_pods(self, namespace: str) -> frozenset[str]:
        """The names of the pods of a namespace that are ready, as far as is known: what Services send requests to."""
        records = self._store.records("Pod", namespace)
        return frozenset(record.name for record in records if isinstance(record, PodRecord) and record.ready)


class _View:
    """What a store knows, told as it stands when it is asked; ``warnings`` are about these ``kinds``, and what they were asked for."""

    def __init__(self, store: Store, kinds: Collection[str], namespace: str, name: str) -> None:
        self._store = store
        self._kinds = tuple(kinds)
        self._namespace = namespace
        self._name = name
        self._wanting: dict[str, None] = {}
        """Kinds that were wanted to add up others, and are not known."""
        self._ambiguous: dict[ResourceRef, list[str]] = {}
        self._joined: dict[ResourceRef, list[ResourceRef]] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(self._warnings())

    @property
    def custom_kinds(self) -> frozenset[str]:
        return self._store.kinship.custom_kinds

    def exists(self, resource: ResourceRef) -> bool | None:
        kind, namespace, name = resource
        if self._store.get(kind, namespace, name) is not None or kind in self._store.kinship.customs(namespace, name):
            return True
        if kind in _NO_KINDS:
            return None
        told_by = (kind,) if self._store.watches(kind) else CONTROLLED
        return False if all(map(self._store.knows, told_by)) else None

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        record = self._store.get(*resource)
        if record is not None:
            return record.labels
        # Of an object that is known by its name alone nobody has read the labels.
        return {} if self.exists(resource) is False else None

    def refs(self) -> Collection[ResourceRef]:
        found = {
            ResourceRef(record.kind, record.namespace, record.name)
            for kind in self._kinds
            for record in self._records(kind)
            # Among workloads in general, what another workload owns is not one of its own.
            if len(self._kinds) == 1 or kind not in _OWNED or not self._owned(record)
        }
        customs = self._store.kinship.all_customs(self._namespace)
        found.update(custom for custom in customs if custom.kind in self._kinds or ANY_WORKLOAD in self._kinds)
        return {ref for ref in found if self._name in ("", ref.name)}

    def named(self, resource: ResourceRef) -> ResourceRef:
        kind, namespace, name = resource
        if kind == JOINED_SERVICE:
            return self._parted(resource)
        if kind == CALLED_HOST:
            return self._called(resource)
        customs = self._store.kinship.customs(namespace, name)
        if kind != ANY_WORKLOAD:
            # Who strips the hash from the name of a ReplicaSet calls all that own one Deployments.
            mistaken = customs and kind in WORKLOAD_KINDS and self.exists(resource) is False
            return resource._replace(kind=customs[0]) if mistaken else resource
        kinds = [kind for kind in _NAMED if self._store.get(kind, namespace, name) is not None]
        kinds += [custom for custom in customs if custom not in kinds]
        if len(kinds) > 1:
            self._ambiguous[resource] = kinds
        if not kinds and (pod := ResourceRef("Pod", namespace, name)) == workload_of(self._store, pod):
            # A Pod that nobody owns is its own workload, and named like one.
            return pod
        # Nothing of that name: it is gone, or its kind is not known. The name is still a fact.
        return resource._replace(kind=kinds[0] if kinds else "")

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
        return above(self._store, resource, kinds)

    def behind(self, service: ResourceRef) -> tuple[ResourceRef, ...]:
        membership, place = self._store.membership, service[1:]
        pods = membership.pods(*place) or membership.pods_left(*place)
        found = (workload_of(self._store, ResourceRef("Pod", service.namespace, pod)) for pod in pods)
        return tuple(sorted({workload for workload in found if workload is not None}))

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:
        found, missing = members(self._store, kinds)
        self._wanting.update(dict.fromkeys(missing))
        return found

    def narrowing(self, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:
        return narrowing(self._store, kinds, namespace, name)

    def splits(self, kind: str, namespace: str, name: str) -> tuple[Split, ...]:
        known = self._store.knowledge(kind)
        if known.state is State.ABSENT:
            raise Unsupported(known.reason)
        if not self._store.tells(kind):
            raise BackendUnavailable("kubernetes", self._reason(kind))
        records = [record for record in self._store.records(kind, namespace) if name in ("", record.name)]
        return tuple(record.split for record in records if isinstance(record, RouteRecord) and record.split is not None)

    def _reason(self, kind: str) -> str:
        """Why a kind is not known."""
        return self._store.knowledge(kind).reason or f"{plural_of(kind)} are still being listed"

    def _records(self, kind: str) -> list[Record]:
        row = type_of_kind(kind)
        return self._store.records(kind, self._namespace if row is None or row.namespaced else "")

    def _owned(self, record: Record) -> bool:
        return (
            record.controller is not None
            and len(chains(self._store, ResourceRef(record.kind, record.namespace, record.name))[0]) > 1
        )

    def _parted(self, joined: ResourceRef) -> ResourceRef:
        services = [service for service in partings(joined) if self._store.get(*service) is not None]
        if len(services) > 1:
            self._joined[joined] = services
        # A mesh that joins the names of both adds their numbers up itself: they are of neither.
        return services[0] if len(services) == 1 else host(joined.name)

    def _called(self, called: ResourceRef) -> ResourceRef:
        found = called_service(called)
        if found is None:
            return host(called.name)
        service, certain = found
        exists = self.exists(service)
        # While Services may not be read, the form of the name alone can tell.
        return service if exists or (certain and exists is None) else host(called.name)

    def _warnings(self) -> Iterator[str]:
        for kind in self._kinds:
            for told_by in () if self._store.watches(kind) or kind in _NO_KINDS else sorted(CONTROLLED):
                if not self._store.tells(told_by):
                    yield f"which {plural_of(kind)} there are is not known: {self._reason(told_by)}"
        for kind in dict.fromkeys((*self._kinds, *self._wanting)):
            known, reason = self._store.knowledge(kind), self._reason(kind)
            if known.state in (State.KNOWN, State.ABSENT):
                continue
            if kind in self._wanting:
                yield f"numbers may be missing, because {plural_of(kind)} are needed to add them up: {reason}"
            elif known.state is State.STALE:
                yield f"labels and existence of {plural_of(kind)} are those of some time ago: {reason}"
            else:
                yield f"labels and existence of {plural_of(kind)} are not known: {reason}"
        for joined, services in self._joined.items():
            apart = "their numbers cannot be told apart, and are shown for none of them"
            yield Naming(
                f"the mesh writes more than one Service, with its namespace, as {joined.name}: {apart}",
                services,
                f"the mesh writes some Services, with their namespaces, as it writes others: {apart}",
            )
        for found, kinds in self._ambiguous.items():
            yield Naming(
                f"{found.namespace} has a {' and a '.join(kinds)} called {found.name}, and the mesh tells only the name: "
                f"the numbers shown for the {kinds[0]} may be of either",
                [found],
            )
