"""What discovery and OpenAPI say of the two metrics APIs.

Kinds, fields and paths: kubernetes/metrics (pkg/apis/custom_metrics, pkg/apis/external_metrics),
kubernetes-sigs/custom-metrics-apiserver (pkg/apiserver/installer). The lists are static: they do not depend on what the sources hold.
"""

from __future__ import annotations

from typing import Any

from apiservice.groups import ApiGroup, GroupVersion, Listed
from apiservice.schemas import reference
from metrics_api.autoscaling import (
    CUSTOM_GROUP,
    CUSTOM_VERSIONS,
    EXTERNAL_GROUP,
    EXTERNAL_VERSIONS,
    METRICS,
)
from metrics_api.resources import RESOURCE_TYPES

__all__ = ["CUSTOM", "CUSTOM_LIST", "EXTERNAL", "EXTERNAL_LIST"]

CUSTOM_LIST = "MetricValueList"
EXTERNAL_LIST = "ExternalMetricValueList"

_VARIABLES = {
    "namespace": "Namespace of the object, or of what is asked for by labels.",
    "resource": "Plural of the object, with its group behind a dot where it has one, as in deployments.apps.",
    "name": "Name of the object; * for all of them.",
    "metric": f"One of {', '.join(METRICS)}.",
}


def _string(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


def _integer(description: str) -> dict[str, Any]:
    return {"type": "integer", "format": "int64", "description": description}


def _object(description: str, properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "description": description, "properties": properties, **more}


def _map(description: str) -> dict[str, Any]:
    return {"type": "object", "description": description, "additionalProperties": {"type": "string"}}


def _inside(target: str, description: str) -> dict[str, Any]:
    # Keywords beside a reference are ignored in OpenAPI 3.0, hence allOf of one.
    return {"description": description, "allOf": [reference(target)]}


def _query(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"}}


_LABELS = _query("labelSelector", "Chooses the objects by their labels, where all of them are asked for.")
_METRIC_LABELS = _query(
    "metricLabelSelector", "How to measure: window=1m, direction=from, and backend=NAME for what splits traffic."
)
_EXTERNAL_LABELS = _query(
    "labelSelector", "What is measured, and how: deployment=web, or kind=Deployment,name=web; window=1m, direction=from."
)


def _listing(prefix: str, api_version: str, kind: str) -> dict[str, Any]:
    """The schemas of a list and of its metadata; items are of the kind without ``List``."""
    group, _, version = api_version.partition("/")
    return {
        f"{prefix}{kind}": _object(
            "Values of a metric.",
            {
                "apiVersion": _string(f"Version of this representation: {api_version}."),
                "kind": _string(f"Kind of this object: {kind}."),
                "metadata": _inside(f"{prefix}ListMeta", "Nothing: the list is always whole."),
                "items": {
                    "type": "array",
                    "description": "One for each object; exactly one where one is asked for.",
                    "items": reference(prefix + kind.removesuffix("List")),
                },
            },
            required=["items"],
            **{"x-kubernetes-group-version-kind": [{"group": group, "version": version, "kind": kind}]},
        ),
        f"{prefix}ListMeta": _object("Metadata of a list.", {}),
    }


def _selector(prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}LabelSelector": _object(
            "The selector by which a metric was asked for.", {"matchLabels": _map("What each label has to be.")}, nullable=True
        )
    }


_VALUE = _string("The value as a Kubernetes quantity, such as 12500m.")
_TIME = _string("The end of the stretch of time that the value is of.", format="date-time")


def _custom_schemas(version: str) -> dict[str, Any]:
    prefix = f"io.k8s.metrics.pkg.apis.custom_metrics.{version}."
    selector = _inside(f"{prefix}LabelSelector", "The selector by which the metric was asked for; null without one.")
    if version == "v1beta1":
        measured = {
            "metricName": _string("Name of the metric."),
            "window": _integer("Seconds that the value covers."),
            "selector": selector,
        }
        identifier: dict[str, Any] = {}
    else:
        measured = {
            "metric": _inside(f"{prefix}MetricIdentifier", "The metric, and how it was asked for."),
            "windowSeconds": _integer("Seconds that the value covers."),
        }
        identifier = {
            f"{prefix}MetricIdentifier": _object(
                "A metric, and the selector it was asked for by.", {"name": _string("Name of the metric."), "selector": selector}
            )
        }
    described = _inside(f"{prefix}ObjectReference", "The object whose traffic it is.")
    return {
        **_listing(prefix, f"{CUSTOM_GROUP}/{version}", CUSTOM_LIST),
        f"{prefix}MetricValue": _object(
            "The value of a metric for one object.", {"describedObject": described, **measured, "timestamp": _TIME, "value": _VALUE}
        ),
        **identifier,
        f"{prefix}ObjectReference": _object(
            "A reference to an object.",
            {
                "kind": _string("Kind of the object, such as Deployment."),
                "namespace": _string("Namespace of the object; absent for what has none."),
                "name": _string("Name of the object."),
                "apiVersion": _string("Group and version of the object, such as apps/v1."),
            },
        ),
        **_selector(prefix),
    }


def _external_schemas(version: str) -> dict[str, Any]:
    prefix = f"io.k8s.metrics.pkg.apis.external_metrics.{version}."
    return {
        **_listing(prefix, f"{EXTERNAL_GROUP}/{version}", EXTERNAL_LIST),
        f"{prefix}ExternalMetricValue": _object(
            "The value of a metric for what labels choose.",
            {
                "metricName": _string("Name of the metric."),
                "metricLabels": _map("Of what it is, and how it was measured."),
                "timestamp": _TIME,
                "window": _integer("Seconds that the value covers."),
                "value": _VALUE,
            },
        ),
    }


def _item(path: str, group_version: str, action: str, kind: str, query: list[dict[str, Any]], prefix: str) -> dict[str, Any]:
    """A path item: ``action`` is what the request is authorised as, ``kind`` what it answers."""
    group, _, version = group_version.partition("/")
    variables = [name for name in _VARIABLES if f"{{{name}}}" in path]
    scope = "".join(variable.capitalize() for variable in variables)
    parameters = [
        {"name": name, "in": "path", "required": True, "description": _VARIABLES[name], "schema": {"type": "string"}}
        for name in variables
    ]
    return {
        "get": {
            "operationId": f"{action}{kind.removesuffix('List')}{version.capitalize()}Of{scope}",
            "description": "values of a metric of traffic",
            "tags": [group_version.replace("/", "_")],
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
            "responses": {
                "200": {"description": "OK", "content": {"application/json": {"schema": reference(f"{prefix}{kind}")}}},
                "401": {"description": "Unauthorized"},
            },
        },
        "parameters": [*parameters, *query],
    }


def _custom(version: str) -> GroupVersion:
    group_version = f"{CUSTOM_GROUP}/{version}"
    base = f"/apis/{group_version}"
    prefix = f"io.k8s.metrics.pkg.apis.custom_metrics.{version}."
    paths = (
        f"{base}/namespaces/{{namespace}}/{{resource}}/{{name}}/{{metric}}",
        f"{base}/namespaces/{{namespace}}/metrics/{{metric}}",
        f"{base}/{{resource}}/{{name}}/{{metric}}",
    )
    query = [_LABELS, _METRIC_LABELS]
    resources = tuple(
        Listed(f"{row.plural}.{row.group}".rstrip(".") + f"/{metric}", row.namespaced, CUSTOM_LIST)
        for row in RESOURCE_TYPES
        for metric in METRICS
    )
    items = {path: _item(path, group_version, "get", CUSTOM_LIST, query, prefix) for path in paths}
    return GroupVersion(CUSTOM_GROUP, version, resources, items, _custom_schemas(version))


def _external(version: str) -> GroupVersion:
    group_version = f"{EXTERNAL_GROUP}/{version}"
    path = f"/apis/{group_version}/namespaces/{{namespace}}/{{metric}}"
    prefix = f"io.k8s.metrics.pkg.apis.external_metrics.{version}."
    resources = tuple(Listed(metric, namespaced=True, kind=EXTERNAL_LIST) for metric in METRICS)
    items = {path: _item(path, group_version, "list", EXTERNAL_LIST, [_EXTERNAL_LABELS], prefix)}
    return GroupVersion(EXTERNAL_GROUP, version, resources, items, _external_schemas(version))


CUSTOM = ApiGroup(CUSTOM_GROUP, tuple(map(_custom, CUSTOM_VERSIONS)))
EXTERNAL = ApiGroup(EXTERNAL_GROUP, tuple(map(_external, EXTERNAL_VERSIONS)))
