"""What Linkerd viz has objects of: it tells of edges one object and one kind of peers at a time, so it pays to know which there are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from backends.linkerd.client import VizClient
from backends.linkerd.kinds import WORKLOADS
from backends.linkerd.requests import called, calling, objects
from backends.linkerd.rows import Row, about
from metrics_api import Direction, ResourceRef, TrafficQuery, Window, together
from metrics_api.flight import SingleFlight

__all__ = ["Inventory", "fits"]

_KEPT = 10.0
"""Seconds: what begins to call in the meantime has no numbers yet, for these need two scrapes of Prometheus."""

_ALWAYS = "ReplicaSet"
"""The kind that has objects in every cluster with Deployments, most of them of times gone by: they need not be listed to know that."""


class Inventory:
    """Which objects there are that may have traffic. ``clock`` gives seconds of any origin, and never goes back."""

    def __init__(self, client: VizClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._known: tuple[tuple[str, ...], float] = ((), 0.0)
        self._flights: SingleFlight[tuple[str, ...]] = SingleFlight()

    async def of_kinds(self, kinds: Iterable[str], window: Window) -> tuple[str, ...]:
        """Those of ``kinds`` of which there is any object that may have traffic.

        Of the seven kinds of workloads a cluster has two or three in its mesh: each that is not there saves four queries to Prometheus for
        every object whose edges are told.
        """
        wanted = tuple(kinds)
        if len(wanted) < 2:
            return wanted
        known, until = self._known
        if self._clock() >= until:
            known = await self._flights.once("kinds", lambda: self._look(window))
        return tuple(kind for kind in wanted if kind in known)

    async def named(self, kinds: Iterable[str], query: TrafficQuery) -> list[ResourceRef]:
        """The objects of ``kinds`` that have the name that is asked about."""
        asked = tuple(kinds)
        answers = await together(
            *(self._client.stat_summary(objects(kind, query.window, query.namespace, query.name)) for kind in asked)
        )
        found = [
            about(row, kind, query.namespace, query.name)
            for kind, rows in zip(asked, answers, strict=True)
            for row in rows
            if _may_have_traffic(row)
        ]
        return [ref for ref in dict.fromkeys(found) if ref is not None]

    async def active(self, kinds: Iterable[str], query: TrafficQuery, direction: Direction) -> list[ResourceRef]:
        """The objects of ``kinds`` of which there are edges in a direction, narrowed to those that matter.

        It takes one call for each kind to know whom to ask about. Objects that do nothing are many: a Deployment keeps ten ReplicaSets.
        """
        ask, asked = calling if direction is Direction.TO else called, tuple(kinds)
        answers = await together(*(self._client.stat_summary(ask(kind, query.window, query.namespace)) for kind in asked))
        found = [about(row, kind, query.namespace) for kind, rows in zip(asked, answers, strict=True) for row in rows]
        return [ref for ref in dict.fromkeys(found) if ref is not None and fits(ref.name, query.narrowing)]

    async def _look(self, window: Window) -> tuple[str, ...]:
        listed = [kind for kind in WORKLOADS if kind != _ALWAYS]
        answers = await together(*(self._client.stat_summary(objects(kind, window)) for kind in listed))
        found = {kind for kind, rows in zip(listed, answers, strict=True) if any(map(_may_have_traffic, rows))}
        known = tuple(kind for kind in WORKLOADS if kind in found or kind == _ALWAYS)
        self._known = known, self._clock() + _KEPT
        return known


def fits(name: str, narrowing: Iterable[str]) -> bool:
    """Whether a name is among those that matter, or begins as some of them do; empty is all."""
    names = tuple(narrowing)
    return not names or any(name == each or (each.endswith("-") and name.startswith(each)) for each in names)


def _may_have_traffic(row: Row) -> bool:
    """Not if it has pods, and none of them in the mesh. What has none now may have had some in the window, such as a Job."""
    return row.meshed_pod_count > 0 or row.running_pod_count == 0
