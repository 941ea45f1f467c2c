"""What every kind of object received, counted from pods alone and from whatever else a mesh names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from tests.controlplane.served.ownership.asking import Asking, compare
from tests.controlplane.served.ownership.lifting import KNOWN_TO, called_service
from tests.controlplane.served.ownership.paths import OBJECTS, of
from tests.controlplane.served.ownership.truth import ALL, totals

pytestmark = pytest.mark.real

KINDS = {
    "namespaces": "Namespace",
    "nodes": "Node",
    "pods": "Pod",
    "replicationcontrollers": "ReplicationController",
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
    "jobs": "Job",
    "cronjobs": "CronJob",
}


@pytest.mark.parametrize("resource", KINDS)
@pytest.mark.parametrize("mesh", KNOWN_TO)
async def test_every_kind_received_what_its_pods_did(meshes: Mapping[str, Asking], mesh: str, resource: str):
    answer = await meshes[mesh].get(f"/{resource}")
    compare(answer, totals(KNOWN_TO[mesh].resource(KINDS[resource]), answer.instant))


@pytest.mark.parametrize("mesh", KNOWN_TO)
async def test_workloads_of_every_kind_received_what_their_pods_did(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/trafficmetrics")
    expected = totals(KNOWN_TO[mesh].resource("Workload"), answer.instant)
    bare = [key for key in expected if key[0][0] == "Pod"]
    if mesh == "istio":
        # It calls the Jobs of a CronJob by the name of that.
        del expected[("Job", "mall", "nightly-29012345"), ALL, "from"]
        expected |= totals(KNOWN_TO[mesh].resource("CronJob"), answer.instant)
    compare(answer, {key: row for key, row in expected.items() if key not in bare})


@pytest.mark.parametrize("mesh", ["cilium", "envoy"])
async def test_one_object_received_what_it_did_in_the_list(meshes: Mapping[str, Asking], mesh: str):
    # A proxy that is named by its cluster knows Services by that name alone.
    paths = [path for path in OBJECTS if mesh == "cilium" or "/services/" not in path]
    for path, answer in zip(paths, await asyncio.gather(*map(meshes[mesh].get, paths)), strict=True):
        compare(answer, of(path, totals(KNOWN_TO[mesh].resource(OBJECTS[path][0]), answer.instant)))


@pytest.mark.parametrize("mesh", ["cilium", "linkerd"])
async def test_workloads_of_a_custom_kind_are_chosen_by_it(meshes: Mapping[str, Asking], mesh: str):
    answer = await meshes[mesh].get("/trafficmetrics?fieldSelector=resource.kind=Rollout")
    compare(answer, totals(KNOWN_TO[mesh].resource("Rollout"), answer.instant))


async def test_services_received_what_the_pods_behind_them_did(meshes: Mapping[str, Asking]):
    answer = await meshes["cilium"].get("/services")
    compare(answer, totals(KNOWN_TO["cilium"].resource("Service"), answer.instant))


@pytest.mark.parametrize(
    ("mesh", "side"),
    [
        pytest.param("istio", "server", id="both ends tell"),
        pytest.param("linkerd", "client", id="callers tell"),
        pytest.param("envoy", "client", id="clusters tell"),
    ],
)
async def test_services_received_what_was_sent_to_them_where_the_mesh_tells(meshes: Mapping[str, Asking], mesh: str, side: str):
    answer = await meshes[mesh].get("/services")
    compare(answer, totals(called_service, answer.instant, side=side))
