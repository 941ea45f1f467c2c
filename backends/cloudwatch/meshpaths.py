"""Who calls whom in a mesh of App Mesh, and where each call is counted: read from the dimensions of the metrics of its Envoys.

The metrics extension counts what a virtual node or gateway calls by ``Mesh``, ``VirtualNode`` or ``VirtualGateway``,
``TargetVirtualService`` and ``TargetVirtualNode`` (App Mesh User Guide, "Metrics extension for App Mesh"). On the way to CloudWatch some
of these are left out and others added (``host``, ``metric_type``, ``OTelLib``), and often the same calls are published under several
sets at once (``metric_declaration`` in aws/aws-app-mesh-examples, walkthroughs/howto-k8s-metrics-extension). Of a caller and what it calls
one kind of set is therefore read, the one with the fewest dimensions, which is what agents add the others up to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from backends.cloudwatch.meshedge import MeshEdge
from backends.cloudwatch.published import Dimensions

__all__ = ["GATEWAY", "METRIC_TYPE", "NODE", "SERVICE", "TARGET", "Ends", "Path", "paths_of"]

NODE, GATEWAY = "VirtualNode", "VirtualGateway"
TARGET, SERVICE = "TargetVirtualNode", "TargetVirtualService"
MESH = "Mesh"
METRIC_TYPE = "metric_type"
"""The dimension that the statsd listener of the CloudWatch agent adds (CloudWatch User Guide, "Retrieve custom metrics with StatsD")."""

_COUNTERS = ("", "counter")
_COVERED = frozenset({SERVICE})
"""What may be left out of a set without a word: agents publish calls with and without it on purpose."""


class Ends(NamedTuple):
    """The two ends of a call, as App Mesh calls them. ``kind`` is NODE or GATEWAY; it and ``caller`` are empty for every caller."""

    kind: str
    caller: str
    callee: str


@dataclass(frozen=True, slots=True)
class Path:
    """The calls from one end to the other, and all ``sets`` of dimensions they are counted with, each of which counts others.

    ``contested`` says that they are also counted with sets that are something else than those, added up or divided further.
    """

    ends: Ends
    sets: tuple[Dimensions, ...]
    contested: bool = False


def paths_of(sets: Iterable[Dimensions], mesh: str, configured: Sequence[tuple[MeshEdge, Dimensions]] = ()) -> list[Path]:
    """The paths of a mesh, one for each pair of ends.

    ``configured`` are those that there are in any case, with the set of each; what is listed already counts once. Every caller together is
    an end only of a virtual node of which nothing else is listed.
    """
    found: dict[Ends, list[Dimensions]] = defaultdict(list)
    for dimensions in sets:
        values = dict(dimensions)
        if values.get(MESH) == mesh and TARGET in values and values.get(METRIC_TYPE, "") in _COUNTERS:
            found[_ends(values)].append(dimensions)
    named = {ends.callee for ends in found if ends.caller} | {
        edge.callee for edge, _ in configured if Ends("", "", edge.callee) not in found
    }
    paths = {ends: _path(ends, listed) for ends, listed in found.items() if ends.caller or ends.callee not in named}
    for _, dimensions in configured:
        ends = _ends(dict(dimensions))
        if Ends("", "", ends.callee) in paths:
            continue
        path = paths.get(ends)
        if path is None:
            paths[ends] = Path(ends, (dimensions,))
        elif not any(_holds(each, dimensions) for each in path.sets):
            paths[ends] = Path(ends, (*path.sets, dimensions), path.contested)
    return list(paths.values())


def _ends(values: dict[str, str]) -> Ends:
    kind = next((kind for kind in (NODE, GATEWAY) if kind in values), "")
    return Ends(kind, values.get(kind, ""), values[TARGET])


def _path(ends: Ends, listed: Iterable[Dimensions]) -> Path:
    by_names: dict[frozenset[str], list[Dimensions]] = defaultdict(list)
    for dimensions in listed:
        by_names[frozenset(name for name, _ in dimensions)].append(dimensions)
    chosen = min(by_names, key=lambda names: (len(names), sorted(names)))
    contested = any((names ^ chosen) - _COVERED for names in by_names)
    return Path(ends, tuple(by_names[chosen]), contested)


def _holds(listed: Dimensions, configured: Dimensions) -> bool:
    """Whether a listed set counts what a configured one would: those to the same virtual service, or to every one."""
    service = dict(listed).get(SERVICE)
    return service is None or service == dict(configured).get(SERVICE, service)
