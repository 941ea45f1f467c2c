"""What kube-apiserver and kubectl learn about the API: its resources, their verbs and schemas, without a word of complaint."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator

from apiservice.catalog import SERVED
from tests.controlplane.plane import API_SERVICE, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import EDGE_READER, SHOP_READER, STRANGER
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

GROUP_VERSION = "metrics.smi-spec.io/v1alpha1"
READ = ["get", "list", "watch"]
MEASURED = {
    "namespaces": (False, "Namespace"),
    "nodes": (False, "Node"),
    "pods": (True, "Pod"),
    "replicationcontrollers": (True, "ReplicationController"),
    "services": (True, "Service"),
    "daemonsets": (True, "DaemonSet"),
    "deployments": (True, "Deployment"),
    "replicasets": (True, "ReplicaSet"),
    "statefulsets": (True, "StatefulSet"),
    "jobs": (True, "Job"),
    "trafficsplits": (True, "TrafficSplit"),
    "cronjobs": (True, "CronJob"),
    "httproutes": (True, "HTTPRoute"),
    "grpcroutes": (True, "GRPCRoute"),
}
"""The resources of the specification, and those beyond it: whether they are in namespaces, and their kinds."""
SPLITS = ("trafficsplits", "httproutes", "grpcroutes")
MEASURED_KINDS = [f"{kind}TrafficMetrics" for _, kind in MEASURED.values()]
DOCUMENT = f"/openapi/v3{GV}"
V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
V2BETA1 = V2.replace("v=v2", "v=v2beta1")


async def until_merged(api: Api, path: str, text: str) -> Any:
    """The document of kube-apiserver at a path, once it has taken ours in: it polls."""
    for _ in range(300):
        reply = await api.proxied(path)
        if text.encode() in reply.body:
            return reply.document
        await asyncio.sleep(0.1)
    pytest.fail(f"kube-apiserver does not show {text} at {path}")


@pytest.fixture(scope="module")
async def address(api: Api) -> str:
    """The address kube-apiserver gives for our OpenAPI document; it is how kubectl explain begins."""
    root = await until_merged(api, "/openapi/v3", GV.strip("/"))
    return str(root["paths"][GV.strip("/")]["serverRelativeURL"])


async def test_the_api_is_available(api: Api):
    path = '{.status.conditions[?(@.type=="Available")]}'
    condition = json.loads(await api.prints("get", "apiservice", API_SERVICE, "-o", f"jsonpath={path}"))
    assert (condition["status"], condition["reason"]) == ("True", "Passed")


async def test_kubectl_lists_the_resources_quietly(api: Api):
    text = await api.prints("api-resources", "--api-group=metrics.smi-spec.io", "--no-headers", "-o", "name")
    assert sorted(text.split()) == sorted(f"{row.plural}.metrics.smi-spec.io" for row in SERVED)


async def test_kubectl_lists_all_resources_quietly(api: Api):
    text = await api.prints("api-resources", "-o", "wide", "--no-headers")
    row = next(line.split() for line in text.splitlines() if "deployments" in line and "smi-spec" in line)
    assert row == ["deployments", "metrics.smi-spec.io/v1alpha1", "true", "DeploymentTrafficMetrics", "get,list,watch"]


async def test_the_group_is_fresh_in_aggregated_discovery(api: Api):
    groups = (await api.proxied("/apis", headers={"Accept": V2})).document["items"]
    (group,) = [group for group in groups if group["metadata"]["name"] == "metrics.smi-spec.io"]
    (version,) = group["versions"]
    assert version["freshness"] == "Current"
    assert {row["resource"] for row in version["resources"]} == {row.plural for row in SERVED}


async def test_the_legacy_list_names_every_resource_and_verb(api: Api):
    document = await api.raw("")
    assert (document["kind"], document["groupVersion"]) == ("APIResourceList", GROUP_VERSION)
    found = {row["name"]: (row["namespaced"], row["kind"], row["verbs"]) for row in document["resources"]}
    kinds = {
        plural: (scoped, f"{kind}TrafficMetrics", [verb for verb in READ if verb != "watch" or plural not in SPLITS])
        for plural, (scoped, kind) in MEASURED.items()
    }
    edges = {f"{plural}/edges": (scoped, "TrafficMetricsList", ["get"]) for plural, (scoped, _) in MEASURED.items()}
    others = {"edges": (True, "EdgeTrafficMetrics", ["list"]), "trafficmetrics": (True, "TrafficMetrics", READ)}
    assert found == kinds | edges | others


async def test_the_group_has_a_preferred_version(api: Api):
    path = "/apis/metrics.smi-spec.io"
    replies = [await api.proxied(path), await api.direct(path, user=SHOP_READER), await api.direct(f"{path}/", user=SHOP_READER)]
    version = {"groupVersion": GROUP_VERSION, "version": "v1alpha1"}
    for reply in replies:
        assert (reply.status, reply.document["kind"], reply.document["name"]) == (200, "APIGroup", "metrics.smi-spec.io")
        assert (reply.document["versions"], reply.document["preferredVersion"]) == ([version], version)


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        pytest.param(V2, V2, id="v2"),
        pytest.param(V2BETA1, V2BETA1, id="v2beta1"),
        pytest.param(f"{V2},{V2BETA1}", V2, id="as the aggregator asks"),
        pytest.param(f"{V2BETA1},application/json", V2BETA1, id="as an old aggregator asks"),
        pytest.param("application/json", "application/json", id="legacy"),
    ],
)
async def test_discovery_is_sent_once(api: Api, accept: str, sent: str):
    first = await api.direct("/apis", user=SHOP_READER, headers={"Accept": accept})
    assert (first.status, first.headers["Content-Type"]) == (200, sent)
    assert first.document["kind"] == ("APIGroupList" if sent == "application/json" else "APIGroupDiscoveryList")
    assert first.document["apiVersion"] == {V2: "apidiscovery.k8s.io/v2", V2BETA1: "apidiscovery.k8s.io/v2beta1"}.get(sent, "v1")
    assert re.fullmatch('"[^"]+"', first.headers["ETag"])
    assert "Accept" in first.headers["Vary"]
    again = await api.direct("/apis", user=SHOP_READER, headers={"Accept": accept, "If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])


async def test_the_cluster_gives_an_address_with_a_hash_for_the_openapi_document(address: str):
    assert re.fullmatch(rf"{re.escape(DOCUMENT)}\?hash=\w+", address)


@pytest.mark.parametrize("proxied", [True, False], ids=["proxied", "direct"])
async def test_the_openapi_document_is_sent_whatever_the_hash(api: Api, address: str, *, proxied: bool):
    paths = (address, f"{DOCUMENT}?hash=0123", DOCUMENT)
    good, stale, bare = [await (api.proxied(path) if proxied else api.direct(path, user=SHOP_READER)) for path in paths]
    for reply in (good, stale, bare):
        assert (reply.status, "Location" in reply.headers) == (200, False)
        assert "io.smi-spec.metrics.v1alpha1.TrafficMetrics" in reply.document["components"]["schemas"]
        assert reply.headers["ETag"] == f'"{address.partition("=")[2]}"'
    # kube-apiserver adds its own header to ours.
    assert "public, immutable" in good.headers.getall("Cache-Control")
    assert "Expires" in good.headers
    for reply in (stale, bare):
        assert not any("immutable" in value or "public" in value for value in reply.headers.getall("Cache-Control"))
        assert "Expires" not in reply.headers


async def test_the_openapi_document_sent_is_valid(api: Api):
    assert [error.message for error in OpenAPIV30SpecValidator((await api.proxied(DOCUMENT)).document).iter_errors()] == []


async def test_the_swagger_document_is_merged_into_that_of_the_cluster(api: Api):
    merged = await until_merged(api, "/openapi/v2", f"{GV}/namespaces/{{namespace}}/deployments/{{name}}")
    kinds = [
        (name, row["kind"])
        for name, definition in merged["definitions"].items()
        for row in definition.get("x-kubernetes-group-version-kind", ())
        if row["group"] == "metrics.smi-spec.io"
    ]
    name = "io.smi-spec.metrics.v1alpha1.TrafficMetrics"
    own = {*MEASURED_KINDS, "EdgeTrafficMetrics", "TrafficMetrics"}
    assert sorted(kinds) == sorted([*((name, kind) for kind in own), (f"{name}List", "TrafficMetricsList")])
    ours = part_of(merged)
    assert len(ours["paths"]) > len(SERVED)
    assert [error.message for error in OpenAPIV2SpecValidator(ours).iter_errors()] == []


def part_of(merged: dict[str, Any]) -> dict[str, Any]:
    """The cluster's document without the paths of other groups, and without the definitions that only they need."""
    paths = {path: item for path, item in merged["paths"].items() if path.startswith(f"{GV}/")}
    needed: set[str] = set()
    found = set(re.findall(r"#/definitions/([\w.-]+)", json.dumps(paths)))
    while found - needed:
        needed |= found
        found = set(re.findall(r"#/definitions/([\w.-]+)", json.dumps([merged["definitions"][name] for name in needed])))
    head = {key: value for key, value in merged.items() if key not in ("paths", "definitions")}
    return {**head, "paths": paths, "definitions": {name: merged["definitions"][name] for name in needed}}


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize("plural", [*(row.plural for row in SERVED), "tm"])
async def test_kubectl_explains_every_resource(api: Api, plural: str):
    asked = [[plural, f"--api-version={GROUP_VERSION}"]]
    # Of "pods.metrics.smi-spec.io" kubectl explain takes "pods" to be the core resource and the rest a field, for any API group.
    if plural not in ("namespaces", "nodes", "pods", "replicationcontrollers", "services", "tm"):
        asked.append([f"{plural}.metrics.smi-spec.io"])
    for text in [await api.prints("explain", *words) for words in asked]:
        assert text.splitlines()[:3] == ["GROUP:      metrics.smi-spec.io", "KIND:       TrafficMetrics", "VERSION:    v1alpha1"]
        assert "with whom the requests were exchanged" in " ".join(text.lower().split())


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize(
    "asked",
    [["deployments.metrics.smi-spec.io"], ["pods", "--api-version=metrics.smi-spec.io/v1alpha1"], ["tm"]],
    ids=" ".join,
)
async def test_kubectl_explains_all_fields(api: Api, asked: list[str]):
    text = await api.prints("explain", *asked, "--recursive")
    fields = [line.split()[0] for line in text.partition("FIELDS:")[2].splitlines() if line.strip()]
    assert [field for field in fields if field in ("edge", "direction", "side", "metrics", "value", "window")] == [
        *("edge", "direction", "side", "metrics", "value", "window")
    ]
    assert len(fields) > 20


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize("part", ["", ".metadata", ".resource", ".edge", ".edge.resource", ".metrics"])
async def test_kubectl_finds_a_description_of_every_field(api: Api, part: str):
    text = await api.prints("explain", f"trafficmetrics{part}")
    assert "FIELDS:" in text
    assert "<no description>" not in text


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize(
    ("field", "said"), [("metrics.value", "quantity"), ("edge.side", "observed"), ("window", "stretch of time")]
)
async def test_kubectl_explains_a_field(api: Api, field: str, said: str):
    assert said in await api.prints("explain", f"trafficmetrics.{field}")


@pytest.mark.parametrize(
    ("asked", "user", "answer"),
    [
        pytest.param(["list", "deployments.metrics.smi-spec.io", "-n", "shop"], SHOP_READER, "yes", id="a reader, at home"),
        pytest.param(["list", "deployments.metrics.smi-spec.io", "-n", "data"], SHOP_READER, "no", id="a reader, elsewhere"),
        pytest.param(["list", "deployments.metrics.smi-spec.io", "-A"], SHOP_READER, "no", id="a reader, everywhere"),
        pytest.param(
            ["get", "deployments.metrics.smi-spec.io/web", "--subresource=edges", "-n", "shop"], SHOP_READER, "yes", id="edges"
        ),
        pytest.param(["delete", "deployments.metrics.smi-spec.io", "-n", "shop"], SHOP_READER, "no", id="to delete"),
        pytest.param(["list", "edges.metrics.smi-spec.io", "-n", "shop"], EDGE_READER, "yes", id="edges alone"),
        pytest.param(["list", "trafficmetrics", "-n", "shop"], STRANGER, "no", id="a stranger"),
    ],
)
async def test_kubectl_tells_who_may(api: Api, asked: list[str], user: Person, answer: str):
    run = await api.kubectl("auth", "can-i", *asked, user=user)
    assert (run.stdout.strip(), run.stderr) == (answer, "")


async def test_roles_that_name_the_resources_draw_no_warning(api: Api):
    for resource in ("pods.metrics.smi-spec.io", "edges.metrics.smi-spec.io", "trafficmetrics.metrics.smi-spec.io"):
        await api.prints("create", "role", "probe", "--verb=list", f"--resource={resource}", "-n", "shop", "--dry-run=server")
