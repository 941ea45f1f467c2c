"""Which pods stand behind which Services, as EndpointSlices tell, and which stood there until lately.

Slices are the controllers' own answer to what a selector selects, and know of Services without one, too. Several slices of a Service may
name one pod. A pod that is deleted leaves its slices, sometimes before and sometimes after: so it is remembered who left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from apiservice.inventory.index import Index
from apiservice.inventory.recent import Recent
from apiservice.inventory.records import SliceRecord

__all__ = ["Membership"]

_Place = tuple[str, str]
"""A namespace and a name."""


class _Member(NamedTuple):
    namespace: str
    service: str
    pod: str


class Membership:
    """Pods and Services, by their names. One thread changes it; others may read it meanwhile."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._pods: Index[_Place, str, tuple[str, ...]] = Index()
        """The pods of each slice, by Service and then by slice."""
        self._services: Index[_Place, tuple[str, str], str] = Index()
        """The Services of a pod, told apart by the slices."""
        self._left: Recent[_Member, _Member] = Recent(clock)
        self._left_by_pod: Index[_Place, _Member, _Member] = Index()
        self._left_by_service: Index[_Place, _Member, _Member] = Index()

    def change(self, old: SliceRecord | None, new: SliceRecord | None) -> None:
        """A slice was made (``old`` is None), changed, or deleted (``new`` is None)."""
        if new is not None:
            self._add(new)
        if old is not None:
            for member in self._drop(old, new):
                self._left.add(member, member)
                self._left_by_pod.put((member.namespace, member.pod), member, member)
                self._left_by_service.put((member.namespace, member.service), member, member)
        for member, _ in self._left.overdue():
            self._left_by_pod.drop((member.namespace, member.pod), member)
            self._left_by_service.drop((member.namespace, member.service), member)

    def forget(self, record: SliceRecord) -> None:
        """A slice may not be read any more: whether anybody has left it is not known."""
        self._drop(record, None)

    def services(self, namespace: str, pod: str) -> set[str]:
        """The Services a pod stands behind."""
        return set(self._services.at((namespace, pod)))

    def services_left(self, namespace: str, pod: str) -> set[str]:
        """The Services a pod has stood behind lately; it may stand there again."""
        return {member.service for member in self._left_by_pod.at((namespace, pod)) if self._left.get(member)}

    def pods(self, namespace: str, service: str) -> set[str]:
        """The pods that stand behind a Service."""
        return {pod for pods in self._pods.at((namespace, service)) for pod in pods}

    def pods_left(self, namespace: str, service: str) -> set[str]:
        """The pods that have stood behind a Service lately; they may stand there again."""
        return {member.pod for member in self._left_by_service.at((namespace, service)) if self._left.get(member)}

    def _add(self, record: SliceRecord) -> None:
        if record.service:
            self._pods.put((record.namespace, record.service), record.name, record.pods)
        for member in _members(record):
            self._services.put((member.namespace, member.pod), (member.service, record.name), member.service)

    def _drop(self, old: SliceRecord, new: SliceRecord | None) -> set[_Member]:
        """Forget what ``old`` tells and ``new``, its successor, does not: who is not behind the Service any more, as far as it tells."""
        if old.service and (new is None or new.service != old.service):
            self._pods.drop((old.namespace, old.service), old.name)
        gone = _members(old) - (_members(new) if new is not None else set())
        for member in gone:
            self._services.drop((member.namespace, member.pod), (member.service, old.name))
        return gone


def _members(record: SliceRecord) -> set[_Member]:
    return {_Member(record.namespace, record.service, pod) for pod in record.pods} if record.service else set()
