"""Records by what they belong to: their controller, their node, and names that may be cut in the names of pods.

Controllers of kinds that are not watched (Argo's Rollout, OpenKruise's CloneSet, OpenShift's DeploymentConfig) are known by the owner
references of what they control, and by nothing else.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from apiservice.inventory.index import Index
from apiservice.inventory.names import GENERATING, LONGEST_WHOLE, NUMBERING
from apiservice.inventory.records import Owner, PodRecord, Record
from metrics_api import RESOURCE_TYPES, ResourceRef

__all__ = ["CONTROLLED", "Identity", "Kinship", "identity", "is_custom"]

CONTROLLED = frozenset({"Pod", "ReplicaSet", "ReplicationController"})
"""Kinds whose controllers are workloads, of whatever kind."""

_GROUPS = {row.kind: row.group for row in RESOURCE_TYPES}
_NAMING = frozenset({*GENERATING, NUMBERING})


class Identity(NamedTuple):
    """What tells one object from another that came after it under the same name."""

    kind: str
    namespace: str
    name: str
    uid: str


class _Custom(NamedTuple):
    """How many objects of kind ``child`` name a custom controller of a kind."""

    kind: str
    child: str
    many: int


def identity(record: Record) -> Identity:
    """The identity of an object."""
    return Identity(record.kind, record.namespace, record.name, record.uid)


def is_custom(owner: Owner) -> bool:
    """Whether the controller is of a kind that is not one of Kubernetes' own, though it may be spelt like one.

    OpenKruise has a StatefulSet and Volcano a Job, too. The Node that mirror pods name is not one.
    """
    return _GROUPS.get(owner.kind) != (owner.api_version.rpartition("/")[0])


class Kinship:
    """The indexes. What is gone stays in them until it is dropped, but for the names of custom controllers."""

    def __init__(self) -> None:
        self._children: Index[ResourceRef, Identity, Record] = Index()
        self._on_node: Index[str, Identity, Record] = Index()
        self._long_named: Index[str, Identity, Record] = Index()
        self._custom: Index[tuple[str, str], tuple[str, str], _Custom] = Index()
        self._custom_kinds: Index[str, tuple[str, str], None] = Index()

    def add(self, record: Record) -> None:
        """Enter a record, in the place of one of the same identity."""
        for index, key in self._places(record):
            index.put(key, identity(record), record)

    def drop(self, record: Record, successor: Record | None = None) -> None:
        """Forget a record, but for where its ``successor`` of the same identity has taken its place."""
        kept = self._places(successor) if successor is not None and identity(successor) == identity(record) else []
        for index, key in self._places(record):
            if (index, key) not in kept:
                index.drop(key, identity(record))

    def count(self, record: Record, change: int) -> None:
        """Note that one object more (1) or less (-1) names its controller, should this be a custom one."""
        owner = record.controller
        if owner is None or record.kind not in CONTROLLED or not is_custom(owner):
            return
        place, sort = (record.namespace, owner.name), (owner.kind, record.kind)
        held = self._custom.get(place, sort)
        count = (held.many if held is not None else 0) + change
        if count > 0:
            self._custom.put(place, sort, _Custom(*sort, count))
            self._custom_kinds.put(owner.kind, place, None)
        else:
            self._custom.drop(place, sort)
            if owner.kind not in self.customs(*place):
                self._custom_kinds.drop(owner.kind, place)

    def children(self, controller: ResourceRef) -> list[Record]:
        """What names this controller as its own, by kind and name."""
        return self._children.at(controller)

    def on_node(self, node: str) -> list[Record]:
        """The pods of a node."""
        return self._on_node.at(node)

    def long_named(self, namespace: str) -> list[Record]:
        """The owners of pods whose names may be cut in those of their pods."""
        return self._long_named.at(namespace)

    def customs(self, namespace: str, name: str, children: frozenset[str] = CONTROLLED) -> tuple[str, ...]:
        """The kinds of the custom controllers of this name that control objects of the kinds ``children``."""
        return tuple(sorted({custom.kind for custom in self._custom.at((namespace, name)) if custom.child in children}))

    @property
    def custom_kinds(self) -> frozenset[str]:
        """The kinds of all custom controllers."""
        return frozenset(self._custom_kinds.places())

    def all_customs(self, namespace: str) -> list[ResourceRef]:
        """Every custom controller in a namespace, or with "" in all."""
        places = [place for place in self._custom.places() if namespace in ("", place[0])]
        return [ResourceRef(kind, *place) for place in places for kind in self.customs(*place)]

    def _places(self, record: Record) -> list[tuple[Index[Any, Identity, Record], Any]]:
        """Each index the record is in, and under which key."""
        found: list[tuple[Index[Any, Identity, Record], Any]] = []
        if record.controller is not None:
            found.append((self._children, ResourceRef(record.controller.kind, record.namespace, record.controller.name)))
        if isinstance(record, PodRecord) and record.node:
            found.append((self._on_node, record.node))
        if record.kind in _NAMING and len(record.name) > LONGEST_WHOLE:
            found.append((self._long_named, record.namespace))
        return found
