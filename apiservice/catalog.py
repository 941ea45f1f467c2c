"""The resources served, as clients address them: one static table that discovery, OpenAPI, dispatch and telemetry read.

It never depends on what a source happens to hold. kubectl keeps one resource per kind, so each resource has a kind of its own
here and ``TrafficMetrics`` belongs to ``trafficmetrics``, which is listed last; the objects themselves always say ``kind:
TrafficMetrics``.
"""

from __future__ import annotations

from dataclasses import dataclass

from apiservice.requestinfo import RequestInfo
from apiservice.status import misdirected, unknown_path
from metrics_api.resources import GROUP, RESOURCE_TYPES, SPLIT_KINDS, VERSION, ResourceType

__all__ = ["EDGES", "KIND", "LIST_KIND", "SERVED", "SOURCES", "SURFACES", "Served", "locate"]

KIND = "TrafficMetrics"
LIST_KIND = "TrafficMetricsList"
EDGES = "edges"
SOURCES = "sources"
"""The resource that is about the server and not about traffic: it is in no discovery, and is read with ``kubectl get --raw``."""

SURFACES = ("grafana", "prometheus")
"""The resources that are other ways to read the same (:mod:`apiservice.surfaces`); they are in no discovery either."""

_UNWATCHED = ("get", "list")
_WATCHED = (*_UNWATCHED, "watch")


@dataclass(frozen=True, slots=True)
class Served:
    """One resource. ``edges`` says that its objects have the subresource of that name, ``split`` that one has a row for each backend."""

    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = _WATCHED
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    edges: bool = True
    split: bool = False


def _served(row: ResourceType) -> Served:
    split = row.kind in SPLIT_KINDS
    verbs = _UNWATCHED if split else _WATCHED
    return Served(row.plural, row.singular, row.metrics_kind, row.namespaced, verbs, split=split)


SERVED: tuple[Served, ...] = (
    *map(_served, RESOURCE_TYPES),
    # No watch: all edges of a namespace have its name, and a watch tells rows apart by their names. So it is with the backends of a split.
    # Kubernetes reads GET .../namespaces/NS/edges as a list of the resource "edges" in NS, and that is what roles must grant.
    Served(EDGES, "edge", f"Edge{KIND}", namespaced=True, verbs=("list",), edges=False),
    Served("trafficmetrics", "trafficmetrics", KIND, namespaced=True, short_names=("tm",), categories=("traffic",), edges=False),
)

_BY_PLURAL = {row.plural: row for row in SERVED}


def locate(info: RequestInfo) -> Served:
    """The resource a resource request is about; 404 when its path leads nowhere, whatever the verb."""
    if not info.group:
        raise misdirected()
    served = _BY_PLURAL.get(info.resource)
    if served is None or (info.group, info.version) != (GROUP, VERSION):
        raise unknown_path()
    named = len(info.parts) > 1
    if len(info.parts) > 3 or (named and "get" not in served.verbs):
        raise unknown_path()
    if info.subresource and not (served.edges and info.subresource == EDGES):
        raise unknown_path()
    if served.namespaced and named and not info.namespace:
        raise unknown_path()
    if not served.namespaced and info.namespace and served.plural != "namespaces":
        raise unknown_path()
    return served
