"""What clients learn of the two metrics APIs before they use them; and that nothing is said of them where they are off."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from apiservice.discovery import Discovery
from apiservice.openapi import OpenAPI
from apiservice.requestinfo import parse_request
from apiservice.surfaces.autoscaling import CUSTOM, EXTERNAL
from apiservice.telemetry.labels import scoped
from metrics_api.autoscaling import METRICS
from metrics_api.resources import RESOURCE_TYPES
from tests.unit.surfaces.autoscaling.shop import client

GROUPS = (CUSTOM, EXTERNAL)
DISCOVERY = Discovery(groups=GROUPS)
OPENAPI = OpenAPI("0.1.0", groups=GROUPS)
VERSIONS = ("custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1", "external.metrics.k8s.io/v1beta1")


def document(pages: Discovery | OpenAPI, path: str, accept: str = "application/json") -> Any:
    response = pages.respond(path, {}, CIMultiDict({"Accept": accept}))
    assert response is not None
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def aggregated(pages: Discovery) -> dict[str, Any]:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    return {item["metadata"]["name"]: item["versions"] for item in document(pages, "/apis", accept)["items"]}


def test_the_groups_say_which_version_is_preferred():
    groups = {group["name"]: group for group in document(DISCOVERY, "/apis")["groups"]}
    assert list(groups) == ["metrics.smi-spec.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"]
    for name, preferred in (("custom.metrics.k8s.io", "v1beta2"), ("external.metrics.k8s.io", "v1beta1")):
        assert groups[name]["preferredVersion"]["version"] == preferred
        assert document(DISCOVERY, f"/apis/{name}") == {"kind": "APIGroup", "apiVersion": "v1", **groups[name]}


@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_custom_metrics_are_listed_for_every_resource_and_metric(version: str):
    listed = document(DISCOVERY, f"/apis/custom.metrics.k8s.io/{version}")
    assert listed["groupVersion"] == f"custom.metrics.k8s.io/{version}"
    entries = {entry.pop("name"): entry for entry in listed["resources"]}
    expected = {"singularName": "", "kind": "MetricValueList", "verbs": ["get"]}
    assert entries["pods/requests_per_second"] == {**expected, "namespaced": True}
    assert entries["deployments.apps/p99_response_latency_ms"] == {**expected, "namespaced": True}
    assert entries["namespaces/failure_ratio"] == {**expected, "namespaced": False}
    assert len(entries) == len(RESOURCE_TYPES) * len(METRICS)


def test_external_metrics_are_listed_by_their_names():
    listed = document(DISCOVERY, "/apis/external.metrics.k8s.io/v1beta1")["resources"]
    assert [entry["name"] for entry in listed] == list(METRICS)
    assert listed[0] == {
        "name": "requests_per_second",
        "singularName": "",
        "namespaced": True,
        "kind": "ExternalMetricValueList",
        "verbs": ["get"],
    }


def test_the_aggregated_document_says_what_the_legacy_ones_say():
    for group in GROUPS:
        for version in aggregated(DISCOVERY)[group.name]:
            found = {}
            for entry in version["resources"]:
                namespaced = entry["scope"] == "Namespaced"
                if entry["verbs"]:
                    found[entry["resource"]] = (namespaced, entry["responseKind"]["kind"], entry["verbs"])
                for sub in entry.get("subresources", []):
                    found[f"{entry['resource']}/{sub['subresource']}"] = (namespaced, sub["responseKind"]["kind"], sub["verbs"])
            legacy = document(DISCOVERY, f"/apis/{group.name}/{version['version']}")["resources"]
            assert found == {entry["name"]: (entry["namespaced"], entry["kind"], entry["verbs"]) for entry in legacy}


def test_the_preferred_version_comes_first_in_the_aggregated_document():
    versions = [version["version"] for version in aggregated(DISCOVERY)["custom.metrics.k8s.io"]]
    assert versions == ["v1beta2", "v1beta1"]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_has_a_valid_openapi_document(version: str):
    address = document(OPENAPI, "/openapi/v3")["paths"][f"apis/{version}"]["serverRelativeURL"]
    path, _, asked = address.partition("?hash=")
    described = document(OPENAPI, path)
    assert [error.message for error in OpenAPIV30SpecValidator(described).iter_errors()] == []
    held = OPENAPI.respond(path, {"hash": asked}, CIMultiDict())
    assert held is not None
    assert held.headers["Cache-Control"] == "public, immutable"
    kinds = {
        gvk["kind"]
        for schema in described["components"]["schemas"].values()
        for gvk in schema.get("x-kubernetes-group-version-kind", [])
    }
    asked_for = [item["get"]["x-kubernetes-group-version-kind"] for item in described["paths"].values()]
    assert {f"{gvk['group']}/{gvk['version']}" for gvk in asked_for} == {version}
    assert {gvk["kind"] for gvk in asked_for} == kinds


def test_the_v2_document_of_all_groups_is_valid():
    described = document(OPENAPI, "/openapi/v2")
    assert [error.message for error in OpenAPIV2SpecValidator(described).iter_errors()] == []
    groups = {path.split("/")[2] for path in described["paths"]}
    assert groups == {"metrics.smi-spec.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"}
    operations = [item["get"]["operationId"] for item in described["paths"].values()]
    assert len(set(operations)) == len(operations)


def keys(node: Any, path: str = "") -> set[str]:
    if isinstance(node, list):
        return set().union(*(keys(each, path) for each in node))
    if not isinstance(node, dict):
        return set()
    named = {f"{path}.{key}" for key in node}
    return named.union(*(keys(value, f"{path}.{key}") for key, value in node.items() if key not in ("matchLabels", "metricLabels")))


def schema_keys(schemas: dict[str, Any], name: str, path: str = "") -> set[str]:
    found = set()
    for field, about in schemas[name]["properties"].items():
        found.add(f"{path}.{field}")
        target = (about.get("allOf") or [about.get("items", {})])[0].get("$ref", "")
        if target:
            found |= schema_keys(schemas, target.rpartition("/")[2], f"{path}.{field}")
    return found


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("custom.metrics.k8s.io/v1beta2", "deployments.apps/web/requests_per_second?metricLabelSelector=window%3D1m"),
        ("custom.metrics.k8s.io/v1beta1", "deployments.apps/web/requests_per_second?metricLabelSelector=window%3D1m"),
        ("external.metrics.k8s.io/v1beta1", "requests_per_second?labelSelector=deployment%3Dweb"),
    ],
    ids=VERSIONS,
)
async def test_the_schemas_have_exactly_the_fields_that_are_sent(version: str, path: str):
    async with client() as session, session.get(f"/apis/{version}/namespaces/shop/{path}") as response:
        sent = await response.json()
    schemas = document(OPENAPI, f"/openapi/v3/apis/{version}")["components"]["schemas"]
    (name,) = (name for name in schemas if name.endswith(sent["kind"]))
    assert keys(sent) == schema_keys(schemas, name)
    assert [about for schema in schemas.values() for about in schema["properties"].values() if len(about["description"]) < 10] == []


@pytest.mark.parametrize("make", [Discovery, lambda **more: OpenAPI("0.1.0", **more)], ids=["discovery", "OpenAPI"])
def test_each_group_is_there_only_when_it_is_served(make: Any):
    for groups in ((), (CUSTOM,), (EXTERNAL,)):
        pages = make(groups=groups)
        for group in GROUPS:
            said = any(group.name in path for path in pages.paths)
            assert said is (group in groups)


def test_what_is_said_of_our_own_group_does_not_depend_on_others():
    for path in ("/apis/metrics.smi-spec.io", "/apis/metrics.smi-spec.io/v1alpha1"):
        assert document(DISCOVERY, path) == document(Discovery(), path)
    path = "/openapi/v3/apis/metrics.smi-spec.io/v1alpha1"
    assert document(OPENAPI, path) == document(OpenAPI("0.1.0"), path)
    assert aggregated(DISCOVERY)["metrics.smi-spec.io"] == aggregated(Discovery())["metrics.smi-spec.io"]


@pytest.mark.parametrize(
    ("path", "labels"),
    [
        pytest.param(
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/pods/*/requests_per_second",
            ("GET", "custom.metrics.k8s.io", "v1beta2", "pods", "requests_per_second", "resource"),
            id="pods",
        ),
        pytest.param(
            "/apis/custom.metrics.k8s.io/v1beta1/namespaces/shop/metrics/invented",
            ("GET", "custom.metrics.k8s.io", "v1beta1", "metrics", "", "resource"),
            id="a namespace",
        ),
        pytest.param(
            "/apis/custom.metrics.k8s.io/v1beta2/namespaces/shop/deployments.apps/web/invented",
            ("GET", "custom.metrics.k8s.io", "v1beta2", "deployments.apps", "other", "resource"),
            id="an invented metric",
        ),
        pytest.param(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/failure_ratio",
            ("LIST", "external.metrics.k8s.io", "v1beta1", "failure_ratio", "", "namespace"),
            id="an external metric",
        ),
        pytest.param(
            "/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/invented", ("LIST", "", "", "", "", ""), id="an invented one"
        ),
    ],
)
def test_requests_are_counted_under_their_group_and_under_no_invented_name(path: str, labels: tuple[str, ...]):
    assert scoped(parse_request("GET", path, {}))[:-1] == labels
