"""The numbers are what really happened: counts and percentiles of every kind, against a mesh whose traffic is known."""

from __future__ import annotations

import pytest

from tests.controlplane.served.api import Api, measured, truthful
from tests.controlplane.served.mesh import API_1, API_2, DB, Truth, exchanged, received

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "truth"),
    [
        pytest.param("deployments", "shop", "web", received("shop", "web"), id="a deployment"),
        pytest.param("deployments", "shop", "api", received("shop", "api"), id="a deployment of two pods"),
        pytest.param("deployments", "data", "api", received("data", "api"), id="its namesake in another namespace"),
        pytest.param("statefulsets", "data", "db", received("data", "db"), id="a statefulset"),
        pytest.param("replicasets", "shop", f"api-{API_1.hash}", received("shop", "api"), id="a replicaset"),
        pytest.param("pods", "shop", API_1.name, received("shop", pod=API_1.name), id="a pod"),
        pytest.param("pods", "shop", API_2.name, received("shop", pod=API_2.name), id="its sibling"),
        pytest.param("pods", "data", DB.name, received("data", "db"), id="the pod of a statefulset"),
        pytest.param("services", "shop", "api", received("shop", "api"), id="a service"),
        pytest.param("services", "shop", "web", received("shop", "web", meshed=True), id="a service, as its callers saw it"),
        pytest.param("trafficmetrics", "shop", "deployment.web", received("shop", "web"), id="traffic"),
    ],
)
async def test_one_object_tells_the_truth(api: Api, resource: str, namespace: str, name: str, truth: Truth):
    truthful(await api.document(f"{resource}.metrics.smi-spec.io", "-n", namespace, name), truth)


@pytest.mark.parametrize("namespace", ["shop", "data"])
async def test_a_namespace_tells_the_truth(api: Api, namespace: str):
    truthful(await api.document("namespaces.metrics.smi-spec.io", namespace), received(namespace))


async def test_a_list_tells_the_truth(api: Api):
    items = (await api.document("tm", "-A"))["items"]
    assert len(items) == 4
    for item in items:
        truthful(item, received(item["metadata"]["namespace"], item["resource"]["name"]))


@pytest.mark.parametrize(("window", "seconds"), [("5s", 5), ("8s", 8)])
async def test_counts_cover_the_window(api: Api, window: str, seconds: int):
    (item,) = (await api.document("tm", "-n", "data", "--field-selector", f"window={window},resource.name=db"))["items"]
    assert item["window"] == window
    truthful(item, received("data", "db"), seconds)


@pytest.mark.parametrize("parameter", ["window", "t"])
async def test_a_parameter_chooses_the_window(api: Api, parameter: str):
    item = await api.raw(f"/namespaces/shop/deployments/web?{parameter}=5s")
    assert item["window"] == "5s"
    truthful(item, received("shop", "web"), 5)


@pytest.mark.parametrize(
    ("owner", "direction", "peer", "truth"),
    [
        pytest.param("web", "to", "api", exchanged("shop/web", "shop/api"), id="there"),
        pytest.param("web", "from", "api", exchanged("shop/api", "shop/web"), id="and back"),
        pytest.param("web", "from", "unknown", exchanged("", "shop/web"), id="from outside"),
        pytest.param("api", "to", "db", exchanged("shop/api", "data/db"), id="to another namespace and kind"),
    ],
)
async def test_an_edge_tells_the_truth(api: Api, owner: str, direction: str, peer: str, truth: Truth):
    items = (await api.raw(f"/namespaces/shop/deployments/{owner}/edges"))["items"]
    (item,) = [item for item in items if (item["edge"]["direction"], item["edge"]["resource"]["name"]) == (direction, peer)]
    truthful(item, truth)


async def test_every_number_of_an_answer_is_of_one_instant(api: Api):
    items = (await api.raw("/trafficmetrics"))["items"]
    assert len({item["timestamp"] for item in items}) == 1
    assert len({item["metadata"]["resourceVersion"] for item in items}) == 1


async def test_no_failure_is_a_measured_zero(api: Api):
    assert measured(await api.document("statefulsets.metrics.smi-spec.io", "-n", "data", "db"))["failure_count"] == 0


async def test_a_window_too_short_is_answered_with_a_warning(api: Api):
    run = await api.kubectl("get", "tm", "-n", "shop", "--field-selector", "window=1s")
    assert run.code == 0
    assert run.stderr.startswith('Warning: source "mesh" has a sample every 1s: a window of 1s is too short for it')
