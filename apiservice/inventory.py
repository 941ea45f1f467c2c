"""Objects looked up in Kubernetes: metadata only, each list remembered for a few seconds.

A kind that may not be listed degrades alone: its rows stay, without labels and unchecked, and a warning says why.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cachetools import TTLCache

from apiservice.flight import SingleFlight
from apiservice.kube import KubeClient, KubeError
from apiservice.objects import ObjectView
from metrics_api import ANY_WORKLOAD, JOINED_SERVICE, WORKLOAD_KINDS, ResourceRef, ResourceType, partings, type_of_kind
from metrics_api.resources import host

__all__ = ["ClusterObjects"]

_KEPT = 10.0
"""Seconds a list is believed: a new object shows after so long at most."""

_PAGE = "500"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
_MANY_NAMESPACES = 4
"""From so many namespaces on, one list of the whole cluster costs less than one for each."""


_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class _Object:
    labels: Mapping[str, str]
    owned: bool


@dataclass(frozen=True, slots=True)
class _Listing:
    """The objects of one kind, or why they are not known (``trouble``)."""

    objects: Mapping[tuple[str, str], _Object]
    trouble: str = ""


class ClusterObjects:
    """Looks objects up through the Kubernetes API. ``clock`` gives seconds that only grow."""

    def __init__(self, kube: KubeClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._lists: TTLCache[tuple[str, str], _Listing] = TTLCache(maxsize=1024, ttl=_KEPT, timer=clock)
        self._flights: SingleFlight[_Listing] = SingleFlight()

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> ObjectView:  # noqa: ARG002 a list serves all names
        """The objects of these kinds in one namespace, or in all."""
        return await self._view({(kind, namespace) for kind in kinds})

    async def view_of(self, resources: Collection[ResourceRef]) -> ObjectView:
        """A view that finds the kind of workloads known by name, and the namespace of Services known by one joined to it."""
        spaces = {resource.namespace for resource in resources if resource.kind == ANY_WORKLOAD}
        if len(spaces) >= _MANY_NAMESPACES:
            spaces = {""}
        wanted = {(kind, space) for kind in WORKLOAD_KINDS for space in spaces}
        if any(resource.kind == JOINED_SERVICE for resource in resources):
            wanted.add(("Service", ""))
        return await self._view(wanted)

    async def _view(self, wanted: set[tuple[str, str]]) -> ObjectView:
        keys = sorted(wanted)
        listings = await asyncio.gather(*(self._list(kind, namespace) for kind, namespace in keys))
        return _ClusterView(dict(zip(keys, listings, strict=True)))

    async def _list(self, kind: str, namespace: str) -> _Listing:
        for key in ((kind, ""), (kind, namespace)):
            held = self._lists.get(key)
            if held is not None and not held.trouble:
                return held
        key = (kind, namespace)
        held = self._lists.get(key)
        return held if held is not None else await self._flights.once(key, lambda: self._fetch(kind, namespace))

    async def _fetch(self, kind: str, namespace: str) -> _Listing:
        row = type_of_kind(kind)
        if row is None or (namespace and not _NAMESPACE.fullmatch(namespace)):
            # What cannot exist need not be looked up, and no such name may become part of a path.
            return _Listing({})
        try:
            listing = _Listing(await self._objects(row, namespace if row.namespaced else ""))
        except KubeError as error:
            where = f"in namespace {namespace}" if namespace else "in the cluster"
            listing = _Listing({}, f"{row.plural} {where} cannot be listed, so their labels and existence are not known: {error}")
        self._lists[(kind, namespace)] = listing
        return listing

    async def _objects(self, row: ResourceType, namespace: str) -> dict[tuple[str, str], _Object]:
        root = f"/apis/{row.group}/{row.version}" if row.group else "/api/v1"
        path = f"{root}/namespaces/{namespace}/{row.plural}" if namespace else f"{root}/{row.plural}"
        found: dict[tuple[str, str], _Object] = {}
        params = {"limit": _PAGE, "resourceVersion": "0"}
        while True:
            page = await self._kube.get_json(path, params=params, accept=_METADATA_LIST)
            for item in page.get("items") or ():
                metadata = item.get("metadata") or {}
                owned = any(owner.get("controller") for owner in metadata.get("ownerReferences") or ())
                found[metadata.get("namespace", ""), metadata.get("name", "")] = _Object(metadata.get("labels") or {}, owned)
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            params = {"limit": _PAGE, "continue": token}


class _ClusterView:
    """Listings of several kinds and namespaces, asked as one."""

    def __init__(self, listings: Mapping[tuple[str, str], _Listing]) -> None:
        self._listings = listings
        self._ambiguous: dict[ResourceRef, list[str]] = {}
        self._joined: dict[str, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        troubles = dict.fromkeys(listing.trouble for listing in self._listings.values() if listing.trouble)
        return (
            *troubles,
            *(
                f"the mesh writes more than one Service, with its namespace, as {name}: their numbers cannot be told apart, "
                "and are shown for none of them"
                for name in self._joined
            ),
            *(
                f"{found.namespace} has a {' and a '.join(kinds)} called {found.name}, and the mesh tells only the name: "
                f"the numbers shown for the {kinds[0]} may be of either"
                for found, kinds in self._ambiguous.items()
            ),
        )

    def exists(self, resource: ResourceRef) -> bool | None:
        listing = self._listing(resource.kind, resource.namespace)
        return None if listing is None else (resource.namespace, resource.name) in listing.objects

    def labels(self, resource: ResourceRef) -> Mapping[str, str] | None:
        listing = self._listing(resource.kind, resource.namespace)
        if listing is None:
            return None
        found = listing.objects.get((resource.namespace, resource.name))
        return found.labels if found is not None else {}

    def refs(self) -> Collection[ResourceRef]:
        several = len({kind for kind, _ in self._listings}) > 1
        return {
            ResourceRef(kind, namespace, name)
            for (kind, _), listing in self._listings.items()
            for (namespace, name), found in listing.objects.items()
            # Among workloads in general, what another workload owns is not one of its own.
            if not (several and kind == "ReplicaSet" and found.owned)
        }

    def named(self, resource: ResourceRef) -> ResourceRef:
        if resource.kind == JOINED_SERVICE:
            return self._parted(resource)
        if resource.kind != ANY_WORKLOAD:
            return resource
        kinds = [kind for kind in WORKLOAD_KINDS if self.exists(resource._replace(kind=kind))]
        if len(kinds) > 1:
            self._ambiguous[resource] = kinds
        # Nothing of that name: it is gone, or of a kind that is not looked up. The name is still a fact.
        return resource._replace(kind=kinds[0] if kinds else "")

    def _parted(self, joined: ResourceRef) -> ResourceRef:
        services = [service for service in partings(joined) if self.exists(service)]
        if len(services) > 1:
            self._joined[joined.name] = None
        # A mesh that joins the names of both adds their numbers up itself: they are of neither.
        return services[0] if len(services) == 1 else host(joined.name)

    def _listing(self, kind: str, namespace: str) -> _Listing | None:
        for key in ((kind, namespace), (kind, "")):
            listing = self._listings.get(key)
            if listing is not None and not listing.trouble:
                return listing
        return None
