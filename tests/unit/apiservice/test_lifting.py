"""What a source names by members is added up to what was asked for, by what the cluster knows of who owns whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, BadQuery, Direction, NotFound, ResourceRef, Sample, Side
from tests.unit.apiservice.test_traffic import Cluster, Source, answer, total

WEB, CANARY = ResourceRef("Deployment", "shop", "web"), ResourceRef("Rollout", "shop", "canary")
WEB_1, WEB_2, CANARY_1, BARE = (ResourceRef("Pod", "shop", name) for name in ("web-1", "web-2", "canary-1", "bare"))
STRAY = ResourceRef("Pod", "shop", "stray")
NODE = ResourceRef("Node", "", "n1")
OWNERS = {WEB_1: WEB, WEB_2: WEB, CANARY_1: CANARY}


@dataclass
class Owned(Cluster):
    """A cluster in which pods belong to workloads, and all of them run on one node."""

    objects: Mapping[ResourceRef, Mapping[str, str]] = field(
        default_factory=lambda: {ref: {} for ref in (WEB, CANARY, WEB_1, WEB_2, CANARY_1, BARE, NODE)}
    )
    custom_kinds: frozenset[str] = frozenset({"Rollout"})

    async def view(self, kinds: Collection[str], namespace: str, name: str) -> Owned:
        del kinds, namespace, name
        return self

    def named(self, resource: ResourceRef) -> ResourceRef:
        return CANARY if resource == CANARY._replace(kind="Deployment") else resource

    def above(self, resource: ResourceRef, kinds: Collection[str]) -> tuple[ResourceRef, ...]:
        if "stray" in resource.name:
            return ()
        if resource.kind == "Pod" and "Node" in kinds:
            return (NODE,) if resource != BARE else ()
        owner = OWNERS.get(resource, resource)
        if owner.kind in kinds or (ANY_WORKLOAD in kinds and (owner.kind != "Pod" or len(kinds) == 1)):
            return (owner,)
        return (resource,) if resource.kind in kinds else ()

    def members(self, kinds: Collection[str]) -> tuple[str, ...]:
        return () if "Pod" in kinds else ("Pod",)

    def narrowing(self, kinds: Collection[str], namespace: str, name: str) -> tuple[str, ...]:
        del kinds, namespace
        return (f"{name}-",)


def edge(resource: ResourceRef, peer: ResourceRef, success: float) -> Sample:
    return Sample(resource, peer, Direction.TO, Side.CLIENT, success, 0.0, None, 0, "mesh")


async def counts(path: str, *samples: Sample, query: str = "") -> dict[str, int | None]:
    result = await answer([Source(samples)], Owned(), path, query)
    return {row.name: row.success for row in result.rows}


async def test_pods_are_added_up_to_their_workloads():
    pods = [total(WEB_1), total(WEB_2), total(CANARY_1), total(BARE)]
    one = (await counts("namespaces/shop/pods", total(WEB_1)))["web-1"]
    assert one is not None
    assert await counts("namespaces/shop/deployments", *pods) == {"web": 2 * one}
    assert await counts("namespaces/shop/trafficmetrics", *pods) == {"deployment.web": 2 * one, "rollout.canary": one}
    assert await counts("nodes", *pods) == {"n1": 3 * one}


async def test_the_source_is_told_of_which_members_the_answer_can_be_made():
    source = Source((total(WEB_1),))
    await answer([source], Owned(), "namespaces/shop/deployments/web")
    (query,) = source.asked
    assert (query.members, query.narrowing, query.peer_members) == (("Pod",), ("web-",), ())


async def test_a_custom_controllers_workload_is_got_by_its_row_name_and_by_its_kind():
    assert list(await counts("namespaces/shop/trafficmetrics/rollout.canary", total(CANARY_1), total(WEB_1))) == ["rollout.canary"]
    selected = "fieldSelector=resource.kind=Rollout"
    assert list(await counts("namespaces/shop/trafficmetrics", total(CANARY_1), total(WEB_1), query=selected)) == ["rollout.canary"]
    with pytest.raises(NotFound):
        await counts("namespaces/shop/trafficmetrics/rollout.web", total(CANARY_1), total(WEB_1))


@pytest.mark.parametrize("field", ["resource.kind", "edge.resource.kind"])
async def test_a_kind_that_no_controller_here_has_is_a_mistake_and_no_empty_list(field: str):
    with pytest.raises(BadQuery, match=f"{field}: .*Deploymnt.* is not a kind; known are .*Rollout"):
        await counts("namespaces/shop/trafficmetrics", total(WEB_1), query=f"fieldSelector={field}=Deploymnt")


async def test_peers_are_workloads_and_a_bare_pod_is_one_itself():
    samples = [edge(WEB, CANARY_1, 2.0), edge(WEB, BARE, 3.0), edge(WEB, WEB_1, 4.0), edge(WEB, WEB_2, 5.0)]
    result = await answer([Source(samples)], Owned(), "namespaces/shop/deployments/web/edges")
    assert {f"{row.edge.peer.kind} {row.edge.peer.name}": row.success for row in result.rows} == {
        "Rollout canary": 2000,
        "Pod bare": 3000,
        "Deployment web": 9000,
    }


async def test_peers_are_lifted_to_the_level_that_is_asked_for():
    samples = [edge(WEB_1, CANARY_1, 2.0), edge(WEB_2, WEB_1, 3.0)]
    result = await answer([Source(samples)], Owned(), "namespaces/shop/deployments/web/edges", "edgeKind=nodes")
    assert [(row.edge.peer, row.success) for row in result.rows] == [(NODE, 5000)]


async def test_an_edge_is_selected_by_the_peer_it_is_lifted_to():
    samples = [edge(WEB, CANARY_1, 2.0), edge(WEB, BARE, 3.0)]
    selected = "fieldSelector=edge.resource.kind=Rollout,edge.resource.name=canary"
    result = await answer([Source(samples)], Owned(), "namespaces/shop/deployments/web/edges", selected)
    assert [(row.edge.peer, row.success) for row in result.rows] == [(CANARY, 2000)]


async def test_the_default_kinds_are_all_workloads_whatever_controls_them():
    source = Source(())
    await answer([source], Owned(), "namespaces/shop/trafficmetrics")
    assert source.asked[0].kinds == (*WORKLOAD_KINDS, ANY_WORKLOAD)


async def test_what_the_labels_call_a_deployment_is_the_custom_workload_that_exists():
    """Scrape configurations strip the hash from the name of a ReplicaSet, and call whatever is left a Deployment."""
    mistaken = ResourceRef("Deployment", "shop", "canary")
    assert list(await counts("namespaces/shop/trafficmetrics", total(mistaken))) == ["rollout.canary"]
    with pytest.raises(NotFound):
        await counts("namespaces/shop/deployments/canary", total(mistaken))


@pytest.mark.parametrize(
    ("path", "lost"),
    [
        pytest.param("namespaces/shop/deployments", "shop/stray", id="its workload is not known"),
        pytest.param("nodes", "shop/bare, shop/stray", id="its node is not known"),
    ],
)
async def test_pods_of_which_nobody_knows_what_they_belong_to_are_named(path: str, lost: str):
    samples = [total(WEB_1), total(CANARY_1), total(BARE), total(STRAY)]
    (warning,) = (await answer([Source(samples)], Owned(), path)).warnings
    assert warning == f"left out are pods, because nobody knows what they belong to: they are gone, or of another cluster: {lost}"


async def test_nobody_is_missing_from_pods():
    assert (await answer([Source([total(STRAY)])], Owned(), "namespaces/shop/pods")).warnings == ()


async def test_a_cronjob_that_a_mesh_names_instead_of_its_jobs_is_a_workload():
    nightly = ResourceRef("CronJob", "shop", "nightly")
    result = await answer([Source([total(nightly)])], Owned({nightly: {}}), "namespaces/shop/trafficmetrics")
    assert [row.name for row in result.rows] == ["cronjob.nightly"]


async def test_of_lost_pods_only_those_are_told_that_may_belong_to_what_was_asked_for():
    near = ResourceRef("Pod", "shop", "web-stray")
    samples = [total(WEB_1), total(near), total(STRAY)]
    (warning,) = (await answer([Source(samples)], Owned(), "namespaces/shop/deployments/web")).warnings
    assert warning.endswith(": shop/web-stray")
