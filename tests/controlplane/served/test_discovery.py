"""What kube-apiserver and kubectl learn about the API: its resources, their verbs and schemas, without a word of complaint."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from apiservice.catalog import SERVED
from tests.controlplane.plane import API_SERVICE, Person
from tests.controlplane.served.api import Api, Reply
from tests.controlplane.served.cluster import EDGE_READER, SHOP_READER, STRANGER
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

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
    assert row == ["deployments", "metrics.smi-spec.io/v1alpha1", "true", "DeploymentTrafficMetrics", "get,list"]


async def test_the_group_is_fresh_in_aggregated_discovery(api: Api):
    groups = (await api.proxied("/apis", headers={"Accept": V2})).document["items"]
    (group,) = [group for group in groups if group["metadata"]["name"] == "metrics.smi-spec.io"]
    (version,) = group["versions"]
    assert version["freshness"] == "Current"
    assert {row["resource"] for row in version["resources"]} == {row.plural for row in SERVED}


async def test_the_legacy_list_names_every_resource_and_verb(api: Api):
    resources = {row["name"]: row["verbs"] for row in (await api.raw(""))["resources"]}
    assert resources["deployments"] == ["get", "list"]
    assert resources["deployments/edges"] == ["get"]
    assert resources["edges"] == ["list"]
    assert {verb for verbs in resources.values() for verb in verbs} == {"get", "list"}


@pytest.mark.parametrize("accept", [V2, V2BETA1, "application/json"], ids=["v2", "v2beta1", "legacy"])
async def test_discovery_is_sent_once(api: Api, accept: str):
    first = await api.direct("/apis", user=SHOP_READER, headers={"Accept": accept})
    assert (first.status, first.headers["Content-Type"]) == (200, accept)
    again = await api.direct("/apis", user=SHOP_READER, headers={"Accept": accept, "If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_the_openapi_document_is_served_through_kube_apiserver(api: Api, address: str):
    assert "?hash=" in address
    good, stale, bare = [await api.proxied(path) for path in (address, f"{DOCUMENT}?hash=0123", DOCUMENT)]
    for reply in (good, stale, bare):
        assert reply.status == 200
        assert "TrafficMetrics" in " ".join(reply.document["components"]["schemas"])
    assert lasting(good)
    assert not lasting(stale)
    assert not lasting(bare)


def lasting(reply: Reply) -> bool:
    # kube-apiserver adds its own header to ours.
    return "public, immutable" in reply.headers.getall("Cache-Control")


async def test_the_swagger_document_is_merged_into_that_of_the_cluster(api: Api):
    document = await until_merged(api, "/openapi/v2", f"{GV}/namespaces/{{namespace}}/deployments/{{name}}")
    kinds = [
        row["kind"]
        for definition in document["definitions"].values()
        for row in definition.get("x-kubernetes-group-version-kind", ())
        if row["group"] == "metrics.smi-spec.io"
    ]
    assert {"TrafficMetrics", "DeploymentTrafficMetrics"} <= set(kinds)


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize(
    "asked",
    [
        ["deployments.metrics.smi-spec.io"],
        ["deployments", "--api-version=metrics.smi-spec.io/v1alpha1"],
        ["tm"],
        ["pods", "--api-version=metrics.smi-spec.io/v1alpha1"],
    ],
    ids=" ".join,
)
async def test_kubectl_explains_objects(api: Api, asked: list[str]):
    text = await api.prints("explain", *asked)
    assert text.splitlines()[:3] == ["GROUP:      metrics.smi-spec.io", "KIND:       TrafficMetrics", "VERSION:    v1alpha1"]
    assert "with whom the requests were exchanged" in " ".join(text.lower().split())


@pytest.mark.usefixtures("address")
async def test_kubectl_explains_all_fields(api: Api):
    text = await api.prints("explain", "deployments.metrics.smi-spec.io", "--recursive")
    fields = [line.split()[0] for line in text.partition("FIELDS:")[2].splitlines() if line.strip()]
    assert [field for field in fields if field in ("edge", "direction", "side", "metrics", "value", "window")] == [
        *("edge", "direction", "side", "metrics", "value", "window")
    ]


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
