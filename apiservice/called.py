"""Objects known by the host name that callers used: the Service it is, and the workload behind that, where there is only one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apiservice.objects import ObjectView
from metrics_api import ANY_WORKLOAD, CALLED_HOST, Direction, Naming, ResourceRef, Sample, TrafficQuery, blurred, first_few, roll_up

__all__ = ["named"]


def named(samples: Iterable[Sample], query: TrafficQuery, view: ObjectView) -> tuple[list[Sample], tuple[str, ...]]:
    """The samples with every incomplete name turned into an object, at the level each end is asked about; and what could not be told."""
    level = next((kind for kind in query.kinds if kind in ("Namespace", "Service")), ANY_WORKLOAD)
    untold: dict[ResourceRef, None] = {}

    def whole(ref: ResourceRef, level: str) -> ResourceRef:
        found = view.named(ref)
        if ref.kind != CALLED_HOST or found.kind != "Service" or level == "Service":
            return found
        if level == "Namespace":
            return ResourceRef("Namespace", "", found.namespace)
        behind = view.behind(found)
        return behind[0] if len(behind) == 1 else found

    def in_no_row(caller: ResourceRef) -> bool:
        # A list of edges in both directions has a row of the caller, if that is asked about.
        return bool(query.name) or query.direction is Direction.FROM or query.namespace not in ("", caller.namespace)

    def renamed(sample: Sample) -> Sample:
        resource = whole(sample.resource, level)
        if sample.resource.kind == CALLED_HOST and resource.kind == "Service" and level == ANY_WORKLOAD and in_no_row(sample.peer):
            untold[resource] = None
        return replace(sample, resource=resource, peer=whole(sample.peer, query.peer_level))

    parts = list(map(renamed, samples))
    found = roll_up(parts)
    told: list[str] = []
    if untold:
        told.append(
            _naming(
                "callers know them by the name of a Service that is not one workload's, so their requests are in no row", untold
            )
        )
    if lost := blurred(parts, found):
        told.append(
            _naming("percentiles are not known where callers use several names, because a source gives those of each name", lost)
        )
    return found, tuple(told)


def _naming(why: str, about: Iterable[ResourceRef]) -> Naming:
    about = sorted(about)
    return Naming(f"{why}: {first_few(['/'.join(filter(None, ref[1:])) for ref in about])}", about, why)
