"""What is kept of each object that is watched, and how it is read: the wire is decoded for these fields, the rest is passed over.

The records, as a store gets them (``==`` compares all fields; none of them is ever changed)::

    Record(kind, namespace, name, uid, labels, controller)      every kind; namespace is "" for Node and Namespace
    PodRecord(..., node, host_network, phase, ready)            Pod; node is "" before it is scheduled, phase as Kubernetes spells it
    SliceRecord(..., service, pods)                             EndpointSlice; labels are dropped, pods are names in its own namespace
    RouteRecord(..., split)                                     TrafficSplit, HTTPRoute, GRPCRoute; None: its spec cannot be understood
    Owner(kind, name, uid, api_version)                         the owner reference with ``controller: true``; None: there is none

Annotations, managed fields, specs and statuses make up most of an object and are never kept. What repeats (label sets, owners, names of
nodes and namespaces) is kept once, by a :class:`Pool`: the pods of one ReplicaSet share their labels and their owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from apiservice.inventory.routes import split_of
from apiservice.objects import Split
from metrics_api.resources import SPLIT_KINDS

__all__ = ["Change", "Owner", "Page", "PodRecord", "Pool", "Reader", "Record", "RouteRecord", "SliceRecord"]

_T = TypeVar("_T")
_K = TypeVar("_K")
_V = TypeVar("_V")


# No record can be part of a cycle, so the search for cycles is spared all of them (gc=False).
class Owner(msgspec.Struct, frozen=True, gc=False):
    """The controller of an object, as its owner reference names it; it is in the namespace of the object."""

    kind: str
    name: str
    uid: str
    api_version: str


class Record(msgspec.Struct, frozen=True, gc=False):
    """One object. ``labels`` may be shared with other records."""

    kind: str
    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    controller: Owner | None


class PodRecord(Record, frozen=True, gc=False):
    """A Pod: where it runs, whether with the addresses of its node, whether it has ended (``Succeeded``, ``Failed``), or takes requests."""

    node: str
    host_network: bool
    phase: str
    ready: bool = False


class SliceRecord(Record, frozen=True, gc=False):
    """An EndpointSlice: pods behind a Service, whether ready, serving or terminating, because all of them may have had traffic.

    ``service`` is "" when it belongs to none. A Service has as many slices as it needs.
    """

    service: str
    pods: tuple[str, ...]


class RouteRecord(Record, frozen=True, gc=False):
    """A TrafficSplit, HTTPRoute or GRPCRoute, and what it divides among which backends."""

    split: Split | None


class Page(NamedTuple):
    """A part of a list: ``version`` is what to watch from, ``token`` asks for the next part, "" after the last."""

    records: list[Record]
    version: str
    token: str


class Change(NamedTuple):
    """One event of a watch: the object as it is after ``ADDED`` and ``MODIFIED``, as it was before ``DELETED``; None for ``BOOKMARK``.

    The watch can go on from ``version``.
    """

    type: str
    record: Record | None
    version: str


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")
    labels: msgspec.Raw = msgspec.Raw()
    owners: msgspec.Raw = msgspec.field(name="ownerReferences", default=msgspec.Raw())


class _Object(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _PodSpec(msgspec.Struct):
    node: str = msgspec.field(name="nodeName", default="")
    host_network: bool = msgspec.field(name="hostNetwork", default=False)


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _PodStatus(msgspec.Struct):
    phase: str = ""
    conditions: list[_Condition] | None = None


class _Pod(_Object):
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Target(msgspec.Struct):
    kind: str = ""
    name: str = ""


class _Endpoint(msgspec.Struct):
    target: _Target | None = msgspec.field(name="targetRef", default=None)


class _SliceLabels(msgspec.Struct):
    service: str = msgspec.field(name="kubernetes.io/service-name", default="")


class _Slice(_Object):
    endpoints: list[_Endpoint] | None = None


class _Route(_Object):
    spec: msgspec.Raw = msgspec.Raw()


class _ListMetadata(msgspec.Struct):
    version: str = msgspec.field(name="resourceVersion", default="")
    token: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, Generic[_T]):
    metadata: _ListMetadata
    items: list[_T] | None


class _Reference(msgspec.Struct):
    """An owner reference (``k8s.io/apimachinery/pkg/apis/meta/v1``, types.go); at most one of an object is its controller."""

    kind: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = msgspec.field(name="apiVersion", default="")
    controller: bool | None = None


_slice_labels = msgspec.json.Decoder(_SliceLabels | None)
_no_labels: Mapping[str, str] = {}
_labels = msgspec.json.Decoder(dict[str, str] | None)
_references = msgspec.json.Decoder(list[_Reference] | None)


class Pool:
    """Equal texts, label sets and owners, each kept once.

    It forgets all it has when there are ``most`` of a sort, so that what was deleted does not stay for ever: then some are kept twice.
    """

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._texts: dict[str, str] = {}
        self._labels: dict[bytes, Mapping[str, str]] = {}
        self._owners: dict[bytes, Owner | None] = {}

    def text(self, text: str) -> str:
        """This text, the same object each time."""
        return self._texts.get(text) or _kept(self._texts, text, text, self._most)

    def labels(self, json: msgspec.Raw) -> Mapping[str, str]:
        """The label set written so; kube-apiserver writes equal ones equally, because it sorts keys."""
        key = bytes(json)
        held = self._labels.get(key)
        if held is None:
            read = _labels.decode(key) if key else None
            held = _kept(self._labels, key, {self.text(name): self.text(value) for name, value in (read or {}).items()}, self._most)
        return held

    def controller(self, json: msgspec.Raw) -> Owner | None:
        """The controller among the owner references written so."""
        key = bytes(json)
        if not key:
            return None
        if key in self._owners:
            return self._owners[key]
        owner = next((each for each in _references.decode(key) or () if each.controller), None)
        kept = owner and Owner(self.text(owner.kind), owner.name, owner.uid, self.text(owner.api_version))
        return _kept(self._owners, key, kept, self._most)


def _kept(held: dict[_K, _V], key: _K, value: _V, most: int) -> _V:
    if len(held) >= most:
        held.clear()
    held[key] = value
    return value


class Reader:
    """Reads the objects of one kind; what it cannot read raises :class:`msgspec.MsgspecError`."""

    def __init__(self, kind: str, pool: Pool) -> None:
        self._kind = kind
        self._pool = pool
        shape, self._record = _SHAPES.get(kind, (_Object, _plain))
        self._object: msgspec.json.Decoder[Any] = msgspec.json.Decoder(shape)
        self._list: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_List[shape])  # type: ignore[valid-type]

    def page(self, json: bytes) -> Page:
        """A list, or a part of one."""
        read = self._list.decode(json)
        return Page([self._keep(each) for each in read.items or ()], read.metadata.version, read.metadata.token)

    def change(self, event: str, json: msgspec.Raw) -> Change:
        """An event of a watch: its type, and the object it tells of."""
        read = self._object.decode(json)
        return Change(event, None if event == "BOOKMARK" else self._keep(read), read.metadata.resource_version)

    def _keep(self, read: Any) -> Record:
        return self._record(self._kind, read, self._pool)


def _plain(kind: str, read: _Object, pool: Pool) -> Record:
    meta = read.metadata
    return Record(kind, pool.text(meta.namespace), meta.name, meta.uid, pool.labels(meta.labels), pool.controller(meta.owners))


def _pod(kind: str, read: _Pod, pool: Pool) -> Record:
    meta = read.metadata
    return PodRecord(
        kind,
        pool.text(meta.namespace),
        meta.name,
        meta.uid,
        pool.labels(meta.labels),
        pool.controller(meta.owners),
        pool.text(read.spec.node),
        read.spec.host_network,
        pool.text(read.status.phase),
        any(each.type == "Ready" and each.status == "True" for each in read.status.conditions or ()),
    )


def _slice(kind: str, read: _Slice, pool: Pool) -> Record:
    meta = read.metadata
    labels = _slice_labels.decode(meta.labels) if meta.labels else None
    service = labels.service if labels else ""
    pods = dict.fromkeys(each.target.name for each in read.endpoints or () if each.target is not None and each.target.kind == "Pod")
    return SliceRecord(kind, pool.text(meta.namespace), meta.name, meta.uid, _no_labels, None, service, tuple(pods))


def _route(kind: str, read: _Route, pool: Pool) -> Record:
    meta = read.metadata
    split = split_of(kind, meta.namespace, meta.name, bytes(read.spec))
    labels, owner = pool.labels(meta.labels), pool.controller(meta.owners)
    return RouteRecord(kind, pool.text(meta.namespace), meta.name, meta.uid, labels, owner, split)


_SHAPES: dict[str, tuple[type[_Object], Callable[[str, Any, Pool], Record]]] = {
    "Pod": (_Pod, _pod),
    "EndpointSlice": (_Slice, _slice),
    **dict.fromkeys(SPLIT_KINDS, (_Route, _route)),
}
