"""The parameters requests may carry, as OpenAPI 3.0 describes them."""

from __future__ import annotations

from typing import Any

__all__ = ["LIST_PARAMETERS", "OBJECT_PARAMETERS", "WATCH_PARAMETERS", "path_parameter"]


def _query(name: str, description: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind}}


OBJECT_PARAMETERS: list[dict[str, Any]] = [
    _query("window", "Stretch of time to measure, as a Go duration in whole seconds such as 30s or 5m."),
    _query("t", "The same as window, for clients written against older servers."),
    _query(
        "time", "The past instant to answer for, in RFC 3339 such as 2026-11-21T22:25:55Z, rounded down to seconds; unset is now."
    ),
    _query(
        "percentiles",
        "Percentiles of latency that are added after the five metrics, such as 95,99.9: numbers above 0 and below 100 with at most "
        "three decimals, at most 20 of them.",
    ),
    _query("stats", "Statistics of latency that are added after the percentiles: mean and stddev, separated by commas."),
    _query("resourceVersion", "The answer must not be older than this version; unset or 0 accepts what is known."),
    _query("timeout", "How long the request may take, as a Go duration; at most one minute."),
    _query("pretty", "If 'true', the output is indented."),
    _query(
        "format",
        "If 'numbers', every row is one flat object of plain numbers (rps, successRate, p99Ms, ...) instead of the object described "
        "here; not with watch.",
    ),
]
"""What a request for one object understands."""

LIST_PARAMETERS: list[dict[str, Any]] = [
    *OBJECT_PARAMETERS,
    _query("labelSelector", "Chooses objects by their labels. It filters the objects listed, not the requests counted."),
    _query(
        "fieldSelector",
        "Chooses rows by fields. All lists know metadata.name, metadata.namespace, cluster, window and time; lists of edges and "
        "trafficmetrics also edge.direction, edge.side, edge.resource.kind, edge.resource.name and edge.resource.namespace; "
        "trafficmetrics also resource.kind and resource.name; what splits traffic also backend.name and backend.apex.",
    ),
    _query("edgeKind", "The level peers are shown at in lists of edges: pods, services, namespaces or another resource."),
    _query("includeIdle", "If 'true', objects without any traffic observed are listed too, with null values.", "boolean"),
    _query("limit", "The most rows to answer at once; the rest follows with continue.", "integer"),
    _query("continue", "The token of the list so far; all pages come from the same answer."),
    _query("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan."),
]
"""What a request for a list understands."""

WATCH_PARAMETERS: list[dict[str, Any]] = [
    _query("watch", "If 'true', the list goes on: the answer is a stream of events, one JSON document per line.", "boolean"),
    _query("timeoutSeconds", "How long to watch, in seconds; unset is from half an hour to an hour.", "integer"),
    _query("allowWatchBookmarks", "If 'true', events of type BOOKMARK tell now and then how far the watch has come.", "boolean"),
    _query(
        "sendInitialEvents",
        "If 'true', a watch begins with an ADDED for every row, and a BOOKMARK with the annotation k8s.io/initial-events-end after "
        "them; it needs resourceVersionMatch=NotOlderThan.",
        "boolean",
    ),
]
"""What a list that can be watched understands beside that."""


def path_parameter(name: str) -> dict[str, Any]:
    """A variable of a path."""
    said = {"namespace": "Namespace of the resource.", "name": "Name of the resource."}[name]
    return {"name": name, "in": "path", "required": True, "description": said, "schema": {"type": "string"}}
