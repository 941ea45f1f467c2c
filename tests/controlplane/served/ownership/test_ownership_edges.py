"""Who called whom: edges of every kind of object, with peers at the level of the question and at any other one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.controlplane.served.ownership.asking import Asking, compare
from tests.controlplane.served.ownership.fleet import Flow, Pod
from tests.controlplane.served.ownership.lifting import KNOWN_TO, called_service
from tests.controlplane.served.ownership.paths import OBJECTS, of
from tests.controlplane.served.ownership.truth import Key, Lift, Ref, Row, edges

pytestmark = pytest.mark.real

LEVELS = {"Namespace": ("Namespace",), "Node": ("Node", "Workload"), "Pod": ()}
"""Levels of peers, the best first, where it is not their workload that is shown: a pod is known in any case."""

ASKED = {"pods": (), "nodes": ("Node", "Workload"), "services": ("Service", "Workload"), "namespaces": ("Namespace",)}
"""The same by ``edgeKind``."""


def told(mesh: str, path: str, levels: tuple[str, ...], instant: int) -> dict[Key, Row]:
    """The edges of an object, as a mesh whose callers and callees name each other's pods tells them."""
    knowledge = KNOWN_TO[mesh]
    own, peer = knowledge.resource(OBJECTS[path][0]), knowledge.peer(*levels)
    found = edges(own, peer, instant, "to", side="client")
    if mesh == "linkerd":
        # Callers have no name in what their callees tell, but outsiders are known by that.
        found |= edges(own, peer, instant, "from", side="client") | outsiders(own, instant)
    else:
        found |= edges(own, peer, instant, "from", side="server")
    return of(path, found)


def outsiders(own: Lift, instant: int) -> dict[Key, Row]:
    """The edges from callers outside the mesh."""
    found = edges(own, KNOWN_TO["linkerd"].peer(), instant, "from", side="server")
    return {key: row for key, row in found.items() if key[1][2] == "unknown"}


@pytest.mark.parametrize("path", OBJECTS)
@pytest.mark.parametrize("mesh", ["cilium", "hubble", "linkerd"])
async def test_edges_name_peers_at_the_level_of_the_question(meshes: Mapping[str, Asking], mesh: str, path: str):
    answer = await meshes[mesh].get(f"{path}/edges")
    levels = LEVELS.get(OBJECTS[path][0], ("Workload",))
    compare(answer, told(mesh, path, levels, answer.instant))


@pytest.mark.parametrize("level", ASKED)
@pytest.mark.parametrize("mesh", ["cilium", "hubble"])
@pytest.mark.parametrize(
    "path",
    [
        "/namespaces/mall",
        "/nodes/rack-a",
        "/namespaces/mall/deployments/web",
        "/namespaces/mall/services/api",
        "/namespaces/vault/deployments/web",
    ],
)
async def test_edges_name_peers_at_any_level(meshes: Mapping[str, Asking], mesh: str, path: str, level: str):
    answer = await meshes[mesh].get(f"{path}/edges?edgeKind={level}")
    compare(answer, told(mesh, path, ASKED[level], answer.instant))


@pytest.mark.parametrize("path", ["/nodes/rack-b", "/namespaces/mall/pods/api-blue-6b4c5-4mzqv"])
async def test_edges_name_workloads_where_they_are_asked_for(meshes: Mapping[str, Asking], path: str):
    answer = await meshes["cilium"].get(f"{path}/edges?edgeKind=workloads")
    compare(answer, told("cilium", path, ("Workload",), answer.instant))


async def test_all_edges_between_workloads_are_listed_at_once(meshes: Mapping[str, Asking]):
    knowledge = KNOWN_TO["cilium"]
    answer = await meshes["cilium"].get("/trafficmetrics?fieldSelector=edge.direction=to")
    own, peer = knowledge.resource("Workload"), knowledge.peer("Workload")
    expected = edges(own, peer, answer.instant, "to", side="client")
    compare(answer, {key: row for key, row in expected.items() if key[0][0] != "Pod"})


@pytest.mark.parametrize("mesh", ["cilium", "linkerd"])
async def test_edges_are_chosen_by_what_their_peer_comes_to_be(meshes: Mapping[str, Asking], mesh: str):
    for selector, expected in {
        "edge.direction=to,edge.resource.name=canary": ["deployment.web.to.rollout.canary", "rollout.canary.to.rollout.canary"],
        "edge.direction=from,edge.resource.kind=Rollout": [
            "deployment.api-blue.from.rollout.canary",
            "rollout.canary.from.rollout.canary",
        ],
        "metadata.name=deployment.web.to.replicationcontroller.relic": ["deployment.web.to.replicationcontroller.relic"],
    }.items():
        answer = await meshes[mesh].get(f"/namespaces/mall/trafficmetrics?fieldSelector={selector}")
        assert answer.names == expected
        for name in expected:
            assert (await meshes[mesh].get(f"/namespaces/mall/trafficmetrics/{name}")).names == [name]


@pytest.mark.parametrize("path", ["/namespaces/mall/deployments/web", "/namespaces/mall/statefulsets/cart", "/nodes/rack-a"])
async def test_peers_known_by_a_bare_name_get_their_kinds(meshes: Mapping[str, Asking], path: str):
    answer = await meshes["istio"].get(f"{path}/edges")
    own = KNOWN_TO["istio"].resource(OBJECTS[path][0])
    # A pod that nobody owns is known for what it is, and then its node is, too.
    peer = node_or_bare_name if path.startswith("/nodes/") else bare_name
    found = edges(own, peer, answer.instant, "to", side="client")
    compare(answer, of(path, found | edges(own, peer, answer.instant, "from", side="server")))


@pytest.mark.parametrize("path", ["/namespaces/mall/deployments/web", "/namespaces/mall/jobs/reindex", "/nodes/rack-a"])
async def test_callees_known_as_services_are_shown_as_such(meshes: Mapping[str, Asking], path: str):
    answer = await meshes["envoy"].get(f"{path}/edges?fieldSelector=edge.direction=to")
    own = KNOWN_TO["envoy"].resource(OBJECTS[path][0])
    compare(answer, of(path, edges(own, cluster_name, answer.instant, "to", side="client")))


def bare_name(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
    """A peer of whom a mesh tells the name of its workload, which for the Job of a CronJob is that of the CronJob."""
    del flow
    kind, _, name = next((owner for owner in pod.part_of if owner.startswith("CronJob/")), pod.workload).partition("/")
    return (("" if pod.strange else kind, pod.namespace, name),)


def node_or_bare_name(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
    """The same where nodes are asked for."""
    return (("Node", "", pod.node),) if pod.workload.startswith("Pod/") else bare_name(pod, flow)


def cluster_name(pod: Pod, flow: Flow) -> tuple[Ref, ...]:
    """A callee by the name of a proxy's cluster: the Service, or the workload where it was called without one."""
    return called_service(pod, flow) or bare_name(pod, flow)
