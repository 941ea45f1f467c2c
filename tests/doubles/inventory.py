"""Objects of a cluster as the inventory keeps them, made by hand, and stores that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiservice.inventory.kinds import WATCHED
from apiservice.inventory.records import Owner, PodRecord, Record, RouteRecord, SliceRecord
from apiservice.inventory.store import Store
from apiservice.objects import Split
from metrics_api import RESOURCE_TYPES, ResourceRef

__all__ = ["NAMESPACE", "custom", "fill", "obj", "owner_of", "pod", "ref", "route", "slice_of", "synced"]

NAMESPACE = "shop"
_VERSIONS = {row.kind: f"{row.group}/{row.version}".lstrip("/") for row in RESOURCE_TYPES}


def owner_of(record: Record | Owner | None) -> Owner | None:
    """The reference that what this object controls has to it."""
    if record is None or isinstance(record, Owner):
        return record
    return Owner(record.kind, record.name, record.uid, _VERSIONS[record.kind])


def custom(kind: str, name: str, api_version: str = "argoproj.io/v1alpha1", uid: str = "") -> Owner:
    """A reference to a controller of a kind that nobody watches."""
    return Owner(kind, name, uid or f"uid of {kind} {name}", api_version)


def obj(
    kind: str, name: str, owner: Record | Owner | None = None, *, uid: str = "", namespace: str = NAMESPACE, **labels: str
) -> Record:
    """An object; its uid is made of its kind and name unless one is given."""
    place = "" if kind in ("Node", "Namespace") else namespace
    return Record(kind, place, name, uid or f"uid of {kind} {place}/{name}", labels, owner_of(owner))


def pod(
    name: str,
    owner: Record | Owner | None = None,
    *,
    uid: str = "",
    namespace: str = NAMESPACE,
    node: str = "node-1",
    host_network: bool = False,
    labels: Mapping[str, str] | None = None,
) -> PodRecord:
    """A Pod that runs."""
    made = uid or f"uid of Pod {namespace}/{name}"
    return PodRecord("Pod", namespace, name, made, labels or {}, owner_of(owner), node, host_network, "Running")


def slice_of(service: str, *pods: str, name: str = "", namespace: str = NAMESPACE) -> SliceRecord:
    """An EndpointSlice of a Service, with these pods behind it."""
    made = name or f"{service}-slice"
    return SliceRecord("EndpointSlice", namespace, made, f"uid of slice {made}", {}, None, service, pods)


def route(kind: str, name: str, split: Split | None, namespace: str = NAMESPACE) -> RouteRecord:
    """An object that divides traffic."""
    return RouteRecord(kind, namespace, name, f"uid of {kind} {name}", {}, None, split)


def ref(kind: str, name: str, namespace: str = NAMESPACE) -> ResourceRef:
    """An object by its name."""
    return ResourceRef(kind, "" if kind in ("Node", "Namespace") else namespace, name)


def fill(store: Store, records: Iterable[Record] = (), *, without: Iterable[str] = ()) -> Store:
    """The store, told that these are all objects there are; of the kinds ``without`` it is told nothing."""
    by_kind: dict[str, list[Record]] = {watched.kind: [] for watched in WATCHED}
    for record in records:
        by_kind[record.kind].append(record)
    for kind, listed in by_kind.items():
        if kind not in without:
            store.replace(kind, listed)
    return store


def synced(*records: Record, clock: Callable[[], float] = lambda: 0.0, **options: Any) -> Store:
    """A store that knows everything, and these objects."""
    return fill(Store(clock, **options), records)
