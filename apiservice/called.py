"""Objects known by the host name that callers used: the Service it is, and the workload behind that, where there is only one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apiservice.objects import ObjectView
from metrics_api import ANY_WORKLOAD, CALLED_HOST, Naming, ResourceRef, Sample, TrafficQuery, first_few, roll_up

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

    def renamed(sample: Sample) -> Sample:
        resource = whole(sample.resource, level)
        if sample.resource.kind == CALLED_HOST and resource.kind == "Service" and level == ANY_WORKLOAD:
            untold[resource] = None
        return replace(sample, resource=resource, peer=whole(sample.peer, query.peer_level))

    found = roll_up(map(renamed, samples))
    if not untold or not query.name:
        return found, ()
    why = "callers know them by the name of a Service that is not one workload's, so their requests are in no row"
    told = first_few(sorted("/".join(service[1:]) for service in untold))
    return found, (Naming(f"{why}: {told}", untold, why),)
