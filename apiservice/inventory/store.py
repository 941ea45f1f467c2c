"""What exists in the cluster, in memory: told by reflectors one kind at a time; found by name, by owner, by node and by Service.

What was deleted in the last minutes does not exist, and is still found beside what exists: a window has its traffic yet, and it is added
to what it was part of. One thread changes the store; another may read it meanwhile, and sees each object as it was before a change or
after it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from apiservice.inventory.index import Index
from apiservice.inventory.kinds import WATCHED
from apiservice.inventory.kinship import Identity, Kinship, identity
from apiservice.inventory.membership import Membership
from apiservice.inventory.recent import MOST, Recent
from apiservice.inventory.records import Record, SliceRecord
from metrics_api import ResourceRef, first_few

__all__ = ["Knowledge", "State", "Store"]

_REMEMBERED = frozenset(
    {"Pod", "ReplicaSet", "Job", "ReplicationController", "Deployment", "StatefulSet", "DaemonSet", "CronJob", "Service"}
)
"""Kinds that pods are, and that they belong to: what was deleted of them is remembered."""


class State(Enum):
    """What is known of a kind."""

    PENDING = "pending"
    KNOWN = "known"
    STALE = "stale"
    FAILED = "failed"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of a kind, and the reason why it is no more than that.

    PENDING: nothing yet. STALE: what there was some time ago. FAILED: nothing. ABSENT: that the cluster has no such kind.
    """

    state: State
    reason: str = ""


class Store:
    """The objects there are, and those deleted in the last ten minutes: ``most`` of them at most, the latest.

    ``clock`` gives seconds that only grow. Implements :class:`apiservice.inventory.reflector.Store`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = MOST) -> None:
        self._knowledge = {watched.kind: Knowledge(State.PENDING) for watched in WATCHED}
        self._told = {watched.kind: asyncio.Event() for watched in WATCHED}
        self._live: dict[str, Index[str, str, Record]] = {watched.kind: Index() for watched in WATCHED}
        """By kind, and then by namespace and name."""
        self._gone: Recent[Identity, Record] = Recent(clock, most=most)
        self._gone_by_name: Index[ResourceRef, str, Record] = Index()
        self.kinship = Kinship()
        """What is there by what it belongs to; :meth:`remembers` tells what to leave out."""
        self.membership = Membership(clock)

    # What is told

    def replace(self, kind: str, records: Sequence[Record]) -> None:
        """These are all objects there are: whatever else was known of is deleted."""
        listed = {(record.namespace, record.name) for record in records}
        for held in self.records(kind):
            if (held.namespace, held.name) not in listed:
                self.remove(kind, held.namespace, held.name)
        for record in records:
            self.put(kind, record)
        self._know(kind, State.KNOWN)

    def put(self, kind: str, record: Record) -> None:
        """An object was made or changed; one of another uid than before is another object, and that before was deleted."""
        self._forget_overdue()
        held = self.get(kind, record.namespace, record.name)
        if held == record:
            return
        # What is new comes first, so that there is no moment at which a reader finds neither.
        self.kinship.add(record)
        self.kinship.count(record, 1)
        self._live[kind].put(record.namespace, record.name, record)
        revived = self._gone.discard(identity(record))
        if revived is not None:
            self._gone_by_name.drop(_ref(record), record.uid)
            self.kinship.drop(revived, record)
        if held is not None and _same(held.uid, record.uid):
            self.kinship.count(held, -1)
            self.kinship.drop(held, record)
        elif held is not None:
            self._end(held)
        if isinstance(record, SliceRecord):
            self.membership.change(held if isinstance(held, SliceRecord) else None, record)

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """An object was deleted."""
        self._forget_overdue()
        held = self.get(kind, namespace, name)
        if held is None:
            return
        self._end(held)
        self._live[kind].drop(namespace, name)
        if isinstance(held, SliceRecord):
            self.membership.change(held, None)

    def fail(self, kind: str, reason: str) -> None:
        """The objects are not known: those that were told of are forgotten, and nobody says that they were deleted."""
        self._forget(kind)
        self._know(kind, State.FAILED, reason)

    def absent(self, kind: str, reason: str) -> None:
        """The cluster does not have this kind."""
        self._forget(kind)
        self._know(kind, State.ABSENT, reason)

    def stale(self, kind: str, reason: str) -> None:
        """What is known may not be true any more."""
        self._know(kind, State.STALE, reason)

    def fresh(self, kind: str) -> None:
        """What is known is true again."""
        self._know(kind, State.KNOWN)

    # What is known

    def knowledge(self, kind: str) -> Knowledge:
        """What is known of a kind; of one that is not watched, that there is none."""
        return self._knowledge.get(kind, Knowledge(State.ABSENT))

    def knows(self, kind: str) -> bool:
        """Whether an object of this kind that is not found does not exist."""
        return self.knowledge(kind).state in (State.KNOWN, State.ABSENT)

    def tells(self, kind: str) -> bool:
        """Whether anything can be said of this kind, even if it was true some time ago."""
        return self.knows(kind) or self.knowledge(kind).state is State.STALE

    def watches(self, kind: str) -> bool:
        """Whether objects of this kind are told of at all."""
        return kind in self._knowledge

    async def settled(self, kinds: Collection[str], patience: float) -> None:
        """Wait until something is known of each of these kinds, or that it cannot be known; at most ``patience`` seconds."""
        waiting = [self._told[kind] for kind in kinds if kind in self._told and not self._told[kind].is_set()]
        if waiting:
            try:
                async with asyncio.timeout(patience):
                    for told in waiting:
                        await told.wait()
            except TimeoutError:
                return

    def unsynced(self) -> str | None:
        """The readiness check: which kinds have not been listed yet, or None. A kind that cannot be listed is not waited for."""
        waiting = [kind for kind, told in self._told.items() if not told.is_set()]
        return f"not listed yet: {first_few(waiting)}" if waiting else None

    def count(self, kind: str) -> int:
        """How many objects of a kind there are, as far as is known."""
        return len(self._live[kind])

    # What there is

    def get(self, kind: str, namespace: str, name: str) -> Record | None:
        """The object that exists under this name."""
        live = self._live.get(kind)
        return None if live is None else live.get(namespace, name)

    def records(self, kind: str, namespace: str = "") -> list[Record]:
        """All objects of a kind that exist, or those of one namespace."""
        live = self._live.get(kind)
        if live is None:
            return []
        return live.at(namespace) if namespace else [record for place in live.places() for record in live.at(place)]

    def held(self, ref: ResourceRef) -> Record | None:
        """The object of this name: the one that exists, or else the last one that did."""
        return self.get(*ref) or next(iter(self._gone_of(ref)), None)

    def find(self, ref: ResourceRef, uid: str) -> Record | None:
        """The object of this name and uid, whether it exists or was deleted lately; an empty uid is like any."""
        live = self.get(*ref)
        if live is not None and _same(live.uid, uid):
            return live
        return next((record for record in self._gone_of(ref) if _same(record.uid, uid)), None)

    def exists(self, record: Record) -> bool:
        """Whether this very object exists."""
        live = self.get(record.kind, record.namespace, record.name)
        return live is not None and _same(live.uid, record.uid)

    def remembers(self, record: Record) -> bool:
        """Whether this very object exists, or was deleted lately."""
        return self.exists(record) or self._gone.get(identity(record)) is not None

    def _gone_of(self, ref: ResourceRef) -> list[Record]:
        """The objects of this name that were deleted lately, the last one first."""
        gone = self._gone_by_name.at(ref)
        return [record for record in reversed(gone) if self._gone.get(identity(record)) is not None]

    def _know(self, kind: str, state: State, reason: str = "") -> None:
        self._knowledge[kind] = Knowledge(state, reason)
        self._told[kind].set()

    def _end(self, record: Record) -> None:
        """An object has ceased to exist."""
        self.kinship.count(record, -1)
        if record.kind not in _REMEMBERED:
            self.kinship.drop(record)
            return
        self._gone.add(identity(record), record)
        # Dropped first, so that it comes last.
        self._gone_by_name.drop(_ref(record), record.uid)
        self._gone_by_name.put(_ref(record), record.uid, record)

    def _forget(self, kind: str) -> None:
        for record in self.records(kind):
            self.kinship.count(record, -1)
            self.kinship.drop(record)
            self._live[kind].drop(record.namespace, record.name)
            if isinstance(record, SliceRecord):
                self.membership.forget(record)

    def _forget_overdue(self) -> None:
        for known, record in self._gone.overdue():
            self._gone_by_name.drop(_ref(record), known.uid)
            self.kinship.drop(record)


def _ref(record: Record) -> ResourceRef:
    return ResourceRef(record.kind, record.namespace, record.name)


def _same(one: str, other: str) -> bool:
    """Whether two uids may be those of one object."""
    return not one or not other or one == other
