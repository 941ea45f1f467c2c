"""Questions to Linkerd viz: what objects received, and what passed between an object and others.

Source: linkerd/linkerd2, viz/metrics-api/stat_summary.go and viz/pkg/prometheus/prometheus.go.
"""

from __future__ import annotations

from backends.linkerd import viz_pb2 as viz
from backends.linkerd.kinds import WIRE
from metrics_api import ResourceRef, Window

__all__ = ["called", "callees", "callers", "calling", "objects", "totals", "wire_window"]


def wire_window(window: Window) -> str:
    """A window as both Go and PromQL read it: whole seconds."""
    return f"{window.seconds}s"


def totals(kind: str, window: Window, namespace: str = "", name: str = "") -> viz.StatSummaryRequest:
    """What objects of a kind received; empty for every namespace, and every name."""
    return viz.StatSummaryRequest(selector=_selection(kind, namespace, name), time_window=wire_window(window), none=viz.Empty())


def objects(kind: str, window: Window, namespace: str = "", name: str = "") -> viz.StatSummaryRequest:
    """Which objects of a kind there are, and how many pods they have; Prometheus is not asked for numbers."""
    request = totals(kind, window, namespace, name)
    request.skip_stats = True
    return request


def callers(of: ResourceRef, kind: str, window: Window, peer: ResourceRef) -> viz.StatSummaryRequest:
    """What callers of a kind sent to an object, a row for each; of ``peer`` the namespace and the name narrow them, if they are given."""
    request = _among(kind, window, peer)
    request.to_resource.CopyFrom(_resource(of))
    return request


def callees(of: ResourceRef, kind: str, window: Window, peer: ResourceRef) -> viz.StatSummaryRequest:
    """What an object sent to callees of a kind, a row for each; ``peer`` narrows them."""
    request = _among(kind, window, peer)
    request.from_resource.CopyFrom(_resource(of))
    return request


def calling(kind: str, window: Window, namespace: str = "") -> viz.StatSummaryRequest:
    """What objects of a kind sent to anybody: a filter without a name filters nothing."""
    request = viz.StatSummaryRequest(selector=_selection(kind, namespace, ""), time_window=wire_window(window))
    request.to_resource.type = WIRE[kind]
    return request


def called(kind: str, window: Window, namespace: str = "") -> viz.StatSummaryRequest:
    """What anybody sent to objects of a kind."""
    request = viz.StatSummaryRequest(selector=_selection(kind, namespace, ""), time_window=wire_window(window))
    request.from_resource.type = WIRE[kind]
    return request


def _among(kind: str, window: Window, peer: ResourceRef) -> viz.StatSummaryRequest:
    # A Service that is named is looked for by what its clients call it, and one that is not by what answers them, as it should be.
    selection = _selection(kind, peer.namespace, "" if kind == "Service" else peer.name)
    return viz.StatSummaryRequest(selector=selection, time_window=wire_window(window))


def _selection(kind: str, namespace: str, name: str) -> viz.ResourceSelection:
    """Where no namespace is given a name is left out: all objects would be listed, and the numbers be those of the one that has it."""
    if kind == "Namespace":
        namespace, name = "", name or namespace
    return viz.ResourceSelection(
        resource=viz.Resource(type=WIRE[kind], namespace=namespace, name=name if namespace or kind == "Namespace" else "")
    )


def _resource(ref: ResourceRef) -> viz.Resource:
    return viz.Resource(type=WIRE[ref.kind], namespace=ref.namespace, name=ref.name)
