"""The shape of the API objects as OpenAPI schemas, with a description for every field: what ``kubectl explain`` prints.

Written once in the language of OpenAPI 3.0; :func:`as_v2` says the same in that of Swagger 2.0.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiservice.catalog import KIND, LIST_KIND
from metrics_api.resources import GROUP, VERSION

__all__ = ["LIST_SCHEMA", "OBJECT_SCHEMA", "as_v2", "reference", "schemas"]

_PREFIX = "io.smi-spec.metrics.v1alpha1."
OBJECT_SCHEMA = f"{_PREFIX}{KIND}"
LIST_SCHEMA = f"{_PREFIX}{LIST_KIND}"

_V3, _V2 = "#/components/schemas/", "#/definitions/"

_KIND_FIELDS = {
    "apiVersion": {"type": "string", "description": f"Version of this representation: {GROUP}/{VERSION}."},
    "kind": {"type": "string", "description": "Kind of this object. It is TrafficMetrics whatever resource was asked for."},
}


def reference(name: str) -> dict[str, str]:
    """A reference to one of the schemas, by its full name."""
    return {"$ref": _V3 + name}


def schemas(kinds: Iterable[str]) -> dict[str, Any]:
    """Every schema by name. ``kinds`` are the kinds discovery gives, all of which have the shape of TrafficMetrics."""
    group_version_kinds = [_group_version_kind(kind) for kind in dict.fromkeys([KIND, *kinds])]
    return {
        OBJECT_SCHEMA: _object(
            "The traffic of one resource over a window of time, in total or with one peer: how many requests succeeded and failed, "
            "and how long responses took.",
            {
                **_KIND_FIELDS,
                "metadata": _field("ObjectMeta", "Name, namespace and labels of the resource measured."),
                "resource": _field("ObjectReference", "The resource the numbers are about."),
                "edge": _field("Edge", "With whom the requests were exchanged, in which direction, and who observed them."),
                "backend": _field(
                    "Backend",
                    "Of what splits traffic, the backend the numbers are about, and of a Service what part of split traffic it got, where "
                    "a source knows; absent otherwise.",
                ),
                "timestamp": _string(
                    "The instant the numbers describe, the end of the window; one instant for a whole answer.", format="date-time"
                ),
                "window": _string("The stretch of time the numbers cover, as a Go duration such as 30s."),
                "metrics": _array(
                    "Metric",
                    "Always five, in this order: p99_response_latency, p90_response_latency, p50_response_latency, success_count, "
                    "failure_count. After them come the percentiles and statistics that were asked for, and then percentiles that a source "
                    "has although nobody asked for them.",
                ),
            },
            required=["resource", "edge", "timestamp", "window", "metrics"],
            kinds=group_version_kinds,
        ),
        LIST_SCHEMA: _object(
            "A list of TrafficMetrics.",
            {
                "apiVersion": _KIND_FIELDS["apiVersion"],
                "kind": {"type": "string", "description": "Kind of this object: TrafficMetricsList."},
                "metadata": _field("ListMeta", "How the list continues."),
                "resource": _field("ObjectReference", "What was asked for: a kind, a namespace, the object whose edges these are."),
                "items": _array(KIND, "The rows, ordered by namespace and name; of what splits traffic, one for each backend."),
            },
            required=["items"],
            kinds=[_group_version_kind(LIST_KIND)],
        ),
        f"{_PREFIX}Metric": _object(
            "One measure.",
            {
                "name": _string("Name of the measure, such as p99_response_latency or success_count."),
                "unit": _string("Unit of the value: seconds, or ms on servers that were set so. Counts have none."),
                "value": {
                    **_string(
                        "The measure as a Kubernetes quantity, such as 250m. null is unknown; 0 is measured. Counts may have a "
                        "fraction, because sources extrapolate to the ends of the window."
                    ),
                    "nullable": True,
                },
            },
            required=["name", "value"],
        ),
        f"{_PREFIX}Edge": _object(
            "Whose traffic was counted, seen from the resource.",
            {
                "direction": _string("to: requests the resource sent; from: requests it received.", enum=["to", "from"]),
                "side": _string("Which proxy observed: that of the client or of the server.", enum=["client", "server"]),
                "resource": _field(
                    "ObjectReference",
                    "The peer. Empty for all traffic; a name without a kind is a host, or unknown, outside the mesh.",
                ),
            },
            required=["direction", "side", "resource"],
        ),
        f"{_PREFIX}Backend": _object(
            "A Service that a TrafficSplit, HTTPRoute or GRPCRoute sends requests to.",
            {
                "apex": _string("The Service that clients call; empty when they call none, as behind a Gateway."),
                "name": _string("The Service that answers. One in another namespace has that behind a dot, as in web.other."),
                "weight": {
                    "type": "integer",
                    "format": "int64",
                    "description": "The share of requests it is to get, in proportion to the weights of the other backends.",
                },
            },
            required=["apex", "name", "weight"],
        ),
        f"{_PREFIX}ObjectReference": _object(
            "A reference to an object; fields that do not apply are left out.",
            {
                "kind": _string("Kind of the object, such as Deployment."),
                "namespace": _string("Namespace of the object; absent for objects that have none."),
                "name": _string("Name of the object."),
            },
        ),
        f"{_PREFIX}ObjectMeta": _object(
            "Metadata of one row.",
            {
                "name": _string("Name of the resource; in trafficmetrics, kind and name such as deployment.web."),
                "namespace": _string("Namespace of the resource; absent for resources that have none."),
                "labels": _map("Labels of the Kubernetes object, which label selectors choose by."),
                "annotations": _map(
                    f"Where the numbers come from, and what is to be known of them. {GROUP}/source is the configured source, "
                    f"{GROUP}/dialect what it was understood in, {GROUP}/effective-window the stretch of time the numbers really cover, "
                    f"{GROUP}/staleness how long before the instant that was asked about it ended; {GROUP}/cluster the cluster, where it "
                    f"has a name. Edges have {GROUP}/client-identity and {GROUP}/server-identity, or {GROUP}/no-identity and why, where "
                    f'a source knows them. {GROUP}/incomplete is "true" when a source failed and values may be missing.'
                ),
                "resourceVersion": _string("The instant of the answer in Unix seconds; comparable between servers."),
                "creationTimestamp": {
                    **_string("Not set: rows are computed when they are asked for.", format="date-time"),
                    "nullable": True,
                },
            },
        ),
        f"{_PREFIX}ListMeta": _object(
            "Metadata of a list.",
            {
                "continue": _string("Set when there are more rows: send it back as the parameter of this name for the next page."),
                "remainingItemCount": {
                    "type": "integer",
                    "format": "int64",
                    "description": "How many rows follow this page; absent on the last one and when a selector is used.",
                },
            },
        ),
    }


def as_v2(node: Any) -> Any:
    """The same schema in the words of Swagger 2.0, which has neither ``nullable`` nor a description beside a reference."""
    if isinstance(node, list):
        return [as_v2(child) for child in node]
    if not isinstance(node, dict):
        return node
    if "allOf" in node:
        (target,) = node["allOf"]
        return {"description": node["description"], "$ref": target["$ref"].replace(_V3, _V2)}
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"].replace(_V3, _V2)}
    return {"x-nullable" if key == "nullable" else key: as_v2(value) for key, value in node.items()}


def _object(
    description: str, properties: dict[str, Any], *, required: list[str] | None = None, kinds: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "description": description, "properties": properties}
    if required:
        schema["required"] = required
    if kinds:
        schema["x-kubernetes-group-version-kind"] = kinds
    return schema


def _string(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _field(name: str, description: str) -> dict[str, Any]:
    # Keywords beside a reference are ignored in OpenAPI 3.0, hence allOf of one.
    return {"description": description, "allOf": [reference(_PREFIX + name)]}


def _array(name: str, description: str) -> dict[str, Any]:
    return {"type": "array", "description": description, "items": reference(_PREFIX + name)}


def _map(description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": {"type": "string"}}


def _group_version_kind(kind: str) -> dict[str, str]:
    return {"group": GROUP, "version": VERSION, "kind": kind}
