"""A mesh as small as a test needs it: who called whom how often, told as viz tells it, one object and one kind of peers at a time."""

from __future__ import annotations

from collections.abc import Mapping

from backends.linkerd import viz_pb2 as viz
from metrics_api import ResourceRef
from tests.backends.linkerd.stub import Row, row

__all__ = ["Calls", "Town"]

Calls = Mapping[tuple[ResourceRef, ResourceRef], int]
"""Successful requests, by caller and callee; 0 where there were some before, so that there are series which do not move."""


class Town:
    """All objects are those that call or are called, and ``idle`` ones; ``outside`` are those of them that are not in the mesh."""

    def __init__(
        self, calls: Calls, idle: frozenset[ResourceRef] = frozenset(), outside: frozenset[ResourceRef] = frozenset()
    ) -> None:
        self._calls = calls
        self._objects = {ref for pair in calls for ref in pair} | idle | outside
        self._outside = outside

    def summary(self, request: viz.StatSummaryRequest) -> list[Row]:
        """The rows that answer a StatSummary."""
        selected = [ref for ref in sorted(self._objects) if _selected(request.selector.resource, ref)]
        match request.WhichOneof("outbound"):
            case "to_resource":
                return self._told(
                    selected, {caller: count for (caller, to), count in self._calls.items() if _is(request.to_resource, to)}
                )
            case "from_resource":
                return self._told(
                    selected, {to: count for (own, to), count in self._calls.items() if _is(request.from_resource, own)}
                )
            case _:
                received = {ref: sum(count for (_, to), count in self._calls.items() if to == ref) for ref in selected}
                meshed = {ref: int(ref not in self._outside) for ref in selected}
                if request.skip_stats:
                    return [row(ref, meshed=meshed[ref]) for ref in selected]
                # Viz has no row of a Service that nobody calls.
                return [
                    row(ref, *([received[ref], 0] if received[ref] else []), meshed=meshed[ref])
                    for ref in selected
                    if ref.kind != "Service" or received[ref]
                ]

    def _told(self, selected: list[ResourceRef], counts: Mapping[ResourceRef, int]) -> list[Row]:
        # Viz leaves out numbers that are all zero, but not the row.
        return [row(ref, *([counts[ref], 0] if counts[ref] or ref.kind == "Service" else [])) for ref in selected if ref in counts]


def _selected(resource: viz.Resource, ref: ResourceRef) -> bool:
    return resource.type == ref.kind.lower() and resource.namespace in ("", ref.namespace) and resource.name in ("", ref.name)


def _is(resource: viz.Resource, ref: ResourceRef) -> bool:
    # A filter without a name filters nothing.
    return not resource.name or (resource.type, resource.namespace, resource.name) == (ref.kind.lower(), ref.namespace, ref.name)
