"""What exists is what kube-apiserver has: idle is not absent, and what telemetry still tells of is nothing that exists."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.controlplane.served.api import measured
from tests.controlplane.served.ownership.asking import Asking

pytestmark = pytest.mark.real

everywhere = pytest.mark.parametrize("mesh", ["cilium", "linkerd"])

UNREAD = "labelSelector takes objects of custom controllers for objects without labels, as theirs are not read: Rollout"


@pytest.mark.parametrize(
    "path",
    [
        "/nodes/rack-c",
        "/namespaces/mall/deployments/idle",
        "/namespaces/mall/replicasets/idle-6b9c4",
        "/namespaces/mall/pods/idle-6b9c4-h5v8n",
        "/namespaces/mall/services/front",
        "/namespaces/mall/trafficmetrics/deployment.idle",
    ],
)
@everywhere
async def test_what_is_idle_has_unknown_numbers(meshes: Mapping[str, Asking], mesh: str, path: str):
    (item,) = (await meshes[mesh].get(path)).items
    assert set(measured(item).values()) == {None}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/nodes", "rack-d", id="a node"),
        pytest.param("/namespaces/mall/pods", "web-5d4f7c9b8d-x2k4z", id="a pod of the old ones"),
        pytest.param("/namespaces/mall/pods", "ghost-7d5c9-9jw2x", id="a pod that lingers in telemetry"),
        pytest.param("/namespaces/mall/deployments", "ghost", id="its Deployment"),
        pytest.param("/namespaces/mall/deployments", "widow", id="the Deployment a ReplicaSet still refers to"),
        pytest.param("/namespaces/mall/deployments", "canary", id="a Deployment that is a Rollout"),
        pytest.param("/namespaces/mall/replicasets", "api-green-6c8f9", id="a deleted ReplicaSet"),
        pytest.param("/namespaces/mall/jobs", "nightly-29012340", id="a deleted Job"),
        pytest.param("/namespaces/mall/cronjobs", "weekly", id="a CronJob"),
        pytest.param("/namespaces/mall/trafficmetrics", "deployment.ghost", id="traffic"),
        pytest.param("/namespaces/mall/trafficmetrics", "rollout.weekly", id="traffic of a custom controller"),
        pytest.param("/namespaces/mall/httproutes", "back", id="a route"),
        pytest.param("/namespaces/mall/trafficsplits", "back", id="a split"),
    ],
)
@everywhere
async def test_what_is_not_there_is_not_found(meshes: Mapping[str, Asking], mesh: str, path: str, name: str):
    reply = await meshes[mesh].reply(f"{path}/{name}")
    assert (reply.status, reply.document["reason"], reply.document["details"]["name"]) == (404, "NotFound", name), reply.body


@pytest.mark.parametrize(
    ("mesh", "path", "names"),
    [
        pytest.param("cilium", "/deployments", "mall/ghost-7d5c9-9jw2x", id="deleted long ago"),
        pytest.param("envoy", "/namespaces/mall/trafficmetrics", "mall/ghost-7d5c9-9jw2x", id="before the server began"),
    ],
)
async def test_pods_of_which_nobody_knows_what_they_belonged_to_are_told(
    meshes: Mapping[str, Asking], mesh: str, path: str, names: str
):
    assert (await meshes[mesh].get(path)).lost == [names]


@everywhere
async def test_edges_of_what_is_not_there_are_not_found(meshes: Mapping[str, Asking], mesh: str):
    reply = await meshes[mesh].reply("/namespaces/mall/deployments/ghost/edges")
    assert (reply.status, reply.document["reason"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        pytest.param(
            "/namespaces/mall/deployments", ["api-blue", "api-green", "front-v1", "front-v2", "idle", "web"], id="deployments"
        ),
        pytest.param("/nodes", ["rack-a", "rack-b", "rack-c"], id="nodes"),
        pytest.param("/namespaces/mall/cronjobs", ["nightly"], id="cronjobs"),
        pytest.param(
            "/namespaces/mall/services",
            ["api", "canary", "cart", "front", "front-v1", "front-v2", "idle", "logs", "web"],
            id="services",
        ),
    ],
)
async def test_a_list_can_include_what_is_idle(meshes: Mapping[str, Asking], path: str, names: list[str]):
    answer = await meshes["cilium"].get(f"{path}?includeIdle=true")
    assert answer.names == names


@pytest.mark.parametrize(
    ("path", "selector", "names"),
    [
        pytest.param("/namespaces/mall/deployments", "tier=back", ["api-blue", "api-green"], id="deployments"),
        pytest.param("/deployments", "app=web,tier!=back", ["web", "web"], id="of all namespaces"),
        pytest.param(
            "/namespaces/mall/pods",
            "app in (web, cart)",
            ["cart-0", "cart-1", "web-7c9b8d5d4f-9jw2x", "web-7c9b8d5d4f-h5v8n"],
            id="pods",
        ),
        pytest.param("/nodes", "zone=b", ["rack-b"], id="nodes"),
        pytest.param("/namespaces", "team in (mall,vault),team!=vault", ["mall"], id="namespaces"),
        pytest.param("/namespaces/mall/cronjobs", "app=nightly", ["nightly"], id="cronjobs"),
        pytest.param("/namespaces/mall/trafficmetrics", "app=logs", ["daemonset.logs"], id="traffic"),
    ],
)
async def test_a_selector_is_over_the_labels_of_the_objects(
    meshes: Mapping[str, Asking], path: str, selector: str, names: list[str]
):
    answer = await meshes["cilium"].told(f"{path}?labelSelector={selector.replace(' ', '%20')}")
    # Of workloads some are of custom controllers, and a reader has to know that nobody reads their labels.
    assert answer.warnings == ([UNREAD] if path.endswith("/trafficmetrics") else [])
    assert answer.names == names
    assert all(item["metadata"]["labels"] for item in answer.items)
