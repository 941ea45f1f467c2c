"""Views: existence, labels, names, lists and warnings, out of memory."""

from __future__ import annotations

import asyncio

import pytest

from apiservice.inventory import ClusterObjects, Store
from apiservice.inventory.records import Record
from apiservice.objects import BackendService, ObjectView, Split
from metrics_api import ANY_WORKLOAD, JOINED_SERVICE, WORKLOAD_KINDS, BackendUnavailable, Naming, ResourceRef, Unsupported
from tests.doubles.inventory import custom, fill, obj, pod, ref, route, synced

DEFAULT = (*WORKLOAD_KINDS, "Workload")
WEB = obj("Deployment", "web", app="web")
WEB_1 = obj("ReplicaSet", "web-bcdfg", WEB)
CART_1 = obj("ReplicaSet", "cart-bcdfg", custom("Rollout", "cart"))
JOINED = ResourceRef(JOINED_SERVICE, "", "shop-eu-api")


async def view(store: Store, *kinds: str, namespace: str = "shop", name: str = "") -> ObjectView:
    return await ClusterObjects(store, patience=0.01).view(kinds, namespace, name)


async def naming(store: Store, *resources: ResourceRef) -> ObjectView:
    return await ClusterObjects(store, patience=0.01).view_of(resources)


def bare(name: str) -> ResourceRef:
    return ResourceRef(ANY_WORKLOAD, "shop", name)


async def test_labels_and_existence_come_from_the_object():
    seen = await view(synced(WEB, CART_1), "Deployment")
    assert seen.exists(ref("Deployment", "web")) is True
    assert seen.exists(ref("Deployment", "gone")) is False
    assert seen.exists(ref("Deployment", "web", "other")) is False
    assert seen.labels(ref("Deployment", "web")) == {"app": "web"}
    assert seen.labels(ref("Deployment", "gone")) == {}
    assert list(seen.refs()) == [ref("Deployment", "web")]
    assert seen.warnings == ()


async def test_a_custom_workload_exists_while_something_names_it_its_controller():
    store = synced(CART_1)
    seen = await view(store, "Rollout")
    assert seen.exists(ref("Rollout", "cart")) is True
    assert seen.labels(ref("Rollout", "cart")) is None
    assert list(seen.refs()) == [ref("Rollout", "cart")]
    assert seen.custom_kinds == {"Rollout"}
    store.remove("ReplicaSet", "shop", "cart-bcdfg")
    assert seen.exists(ref("Rollout", "cart")) is False
    assert seen.custom_kinds == set()
    store.fail("ReplicaSet", "forbidden")
    assert seen.exists(ref("Rollout", "cart")) is None


@pytest.mark.parametrize("name", [bare("web"), JOINED, ResourceRef("", "", "example.com"), ResourceRef("", "shop", "web")], ids=str)
async def test_whether_a_mere_name_exists_is_not_known(name: ResourceRef):
    assert (await view(synced(WEB), "Deployment")).exists(name) is None


async def test_what_is_deleted_does_not_exist_though_it_is_remembered():
    store = synced(WEB, WEB_1, pod("p", WEB_1))
    store.remove("Pod", "shop", "p")
    seen = await view(store, "Pod")
    assert seen.exists(ref("Pod", "p")) is False
    assert list(seen.refs()) == []
    assert seen.above(ref("Pod", "p"), ("Deployment",)) == (ref("Deployment", "web"),)


async def test_a_kind_that_may_not_be_read_degrades_alone():
    store = synced(WEB)
    store.fail("Deployment", "deployments.apps cannot be listed: forbidden")
    seen = await view(store, "Deployment", "StatefulSet")
    assert seen.exists(ref("Deployment", "web")) is None
    assert seen.labels(ref("Deployment", "web")) is None
    assert seen.exists(ref("StatefulSet", "web")) is False
    assert seen.warnings == ("labels and existence of deployments are not known: deployments.apps cannot be listed: forbidden",)
    assert (await view(store, "StatefulSet")).warnings == ()


async def test_of_what_is_stale_presence_is_believed_and_absence_is_not():
    store = synced(WEB)
    store.stale("Deployment", "no connection")
    seen = await view(store, "Deployment")
    assert (seen.exists(ref("Deployment", "web")), seen.exists(ref("Deployment", "new"))) == (True, None)
    assert (seen.labels(ref("Deployment", "web")), seen.labels(ref("Deployment", "new"))) == ({"app": "web"}, None)
    assert seen.warnings == ("labels and existence of deployments are those of some time ago: no connection",)


async def test_soon_after_the_start_a_view_waits_for_what_it_needs():
    store = fill(Store(), [WEB, WEB_1], without=["ReplicaSet", "Job"])
    waiting = asyncio.ensure_future(ClusterObjects(store, patience=10).view(["Deployment"], "", ""))
    await asyncio.sleep(0)
    assert not waiting.done()
    store.replace("ReplicaSet", [WEB_1])
    assert (await waiting).warnings == ()


async def test_what_is_not_listed_in_time_is_not_known():
    seen = await view(fill(Store(), [WEB], without=["Deployment"]), "Deployment", "Job")
    assert seen.exists(ref("Deployment", "web")) is None
    assert seen.warnings == ("labels and existence of deployments are not known: deployments are still being listed",)


async def test_who_cannot_be_added_up_is_said_only_when_it_was_asked():
    store = synced(WEB)
    store.fail("Pod", "pods cannot be listed: forbidden")
    seen = await view(store, "Deployment")
    assert seen.warnings == ()
    assert seen.members(("Deployment",)) == ("Workload",)
    assert seen.warnings == ("numbers may be missing, because pods are needed to add them up: pods cannot be listed: forbidden",)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            DEFAULT,
            {("Deployment", "web"), ("ReplicaSet", "lone"), ("ReplicaSet", "dangling"), ("Job", "tick-1"), ("Rollout", "cart")},
        ),
        (("ReplicaSet",), {("ReplicaSet", name) for name in ("web-bcdfg", "cart-bcdfg", "lone", "dangling")}),
        (("CronJob", "Pod"), {("CronJob", "tick"), ("Pod", "p")}),
        (("Workload",), {("Rollout", "cart")}),
    ],
    ids=["default", "replicasets", "others", "custom"],
)
async def test_the_objects_of_a_namespace(kinds: tuple[str, ...], expected: set[tuple[str, str]]):
    tick = obj("CronJob", "tick")
    dangling = obj("ReplicaSet", "dangling", obj("Deployment", "never-seen"))
    elsewhere = [obj("Deployment", "web", namespace="other"), obj("ReplicaSet", "r", custom("Rollout", "r"), namespace="other")]
    store = synced(WEB, WEB_1, CART_1, obj("ReplicaSet", "lone"), dangling, tick, obj("Job", "tick-1", tick), pod("p"), *elsewhere)
    assert {(found.kind, found.name) for found in (await view(store, *kinds)).refs()} == expected
    named = {found for found in expected if found[1] == "cart"}
    assert {(found.kind, found.name) for found in (await view(store, *kinds, name="cart")).refs()} == named


async def test_nodes_are_in_no_namespace():
    assert list((await view(synced(obj("Node", "n")), "Node")).refs()) == [ref("Node", "n")]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("web", "Deployment"), ("db", "StatefulSet"), ("tick", "CronJob"), ("cart", "Rollout"), ("clone", "CloneSet"), ("gone", "")],
)
async def test_a_workload_known_by_name_gets_the_kind_of_the_object(name: str, kind: str):
    store = synced(WEB, obj("StatefulSet", "db"), obj("CronJob", "tick"), CART_1, pod("p", custom("CloneSet", "clone")))
    seen = await naming(store, bare(name))
    assert seen.named(bare(name)) == ResourceRef(kind, "shop", name)
    assert seen.warnings == ()


async def test_a_pod_that_nobody_owns_is_named_like_a_workload():
    store = synced(WEB, WEB_1, pod("probe"), pod("web-1-a", WEB_1))
    seen = await naming(store, bare("probe"), bare("web-1-a"))
    assert seen.named(bare("probe")) == ref("Pod", "probe")
    assert seen.named(bare("web-1-a")) == ResourceRef("", "shop", "web-1-a")


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (obj("StatefulSet", "web"), "a Deployment and a StatefulSet"),
        (pod("p", custom("CloneSet", "web")), "a Deployment and a CloneSet"),
    ],
    ids=["own-kinds", "custom"],
)
async def test_a_name_that_two_workloads_share_is_said(other: Record, said: str):
    seen = await naming(synced(WEB, other), bare("web"))
    assert seen.named(bare("web")) == ref("Deployment", "web")
    (warning,) = seen.warnings
    assert warning.startswith(f"shop has {said} called web, and the mesh tells only the name")
    assert isinstance(warning, Naming)
    assert warning.about == {bare("web")}


async def test_only_kinds_that_names_need_are_warned_of():
    store = synced(WEB)
    store.fail("Service", "services cannot be listed")
    store.fail("Job", "jobs cannot be listed")
    assert (await naming(store, bare("web"))).warnings == ("labels and existence of jobs are not known: jobs cannot be listed",)
    assert (await naming(store, JOINED)).warnings == ("labels and existence of services are not known: services cannot be listed",)


@pytest.mark.parametrize(
    ("mistaken", "meant"),
    [
        (ref("Deployment", "cart"), ref("Rollout", "cart")),
        (ref("StatefulSet", "cart"), ref("Rollout", "cart")),
        (ref("Deployment", "web"), ref("Deployment", "web")),
        (ref("Deployment", "gone"), ref("Deployment", "gone")),
        (ref("Service", "cart"), ref("Service", "cart")),
        (ref("Pod", "cart"), ref("Pod", "cart")),
    ],
    ids=str,
)
async def test_what_a_scrape_configuration_takes_for_a_deployment_is_what_there_is(mistaken: ResourceRef, meant: ResourceRef):
    store = synced(WEB, CART_1, obj("ReplicaSet", "web-1", custom("Rollout", "web")))
    assert (await view(store, *DEFAULT)).named(mistaken) == meant


async def test_nothing_is_taken_for_another_where_it_is_not_known_to_be_missing():
    store = synced(CART_1)
    store.fail("Deployment", "forbidden")
    assert (await view(store, *DEFAULT)).named(ref("Deployment", "cart")) == ref("Deployment", "cart")


@pytest.mark.parametrize(
    ("services", "meant"),
    [
        ([("shop", "eu-api")], ResourceRef("Service", "shop", "eu-api")),
        ([("shop-eu", "api"), ("shop", "eu")], ResourceRef("Service", "shop-eu", "api")),
        ([("shop", "eu-api"), ("shop-eu", "api")], ResourceRef("", "", "shop-eu-api")),
        ([("shop", "other")], ResourceRef("", "", "shop-eu-api")),
    ],
    ids=["short-namespace", "long-namespace", "both", "neither"],
)
async def test_a_service_joined_to_its_namespace_is_the_one_that_exists(services: list[tuple[str, str]], meant: ResourceRef):
    seen = await naming(synced(*(obj("Service", name, namespace=namespace) for namespace, name in services)), JOINED)
    assert seen.named(JOINED) == meant
    assert [isinstance(warning, Naming) for warning in seen.warnings] == [True] * (len(services) == 2 and not meant.kind)


class TestSplits:
    SPLIT = Split(ref("TrafficSplit", "s"), "web", (BackendService("shop", "web-1", 90), BackendService("shop", "web-2", 10)))

    async def test_are_those_of_a_namespace_that_make_sense(self):
        elsewhere = Split(ref("TrafficSplit", "s", "other"), "web", ())
        records = [
            route("TrafficSplit", "s", self.SPLIT),
            route("TrafficSplit", "nonsense", None),
            route("TrafficSplit", "s", elsewhere, "other"),
        ]
        seen = await view(synced(*records), "TrafficSplit")
        assert seen.splits("TrafficSplit", "shop", "") == seen.splits("TrafficSplit", "shop", "s") == (self.SPLIT,)
        assert seen.splits("TrafficSplit", "", "") == (self.SPLIT, elsewhere)
        assert seen.splits("TrafficSplit", "shop", "gone") == seen.splits("HTTPRoute", "", "") == ()
        assert ref("TrafficSplit", "nonsense") in seen.refs()

    async def test_of_a_kind_that_the_cluster_does_not_have_are_none_with_a_reason(self):
        store = synced()
        store.absent("TrafficSplit", "trafficsplits.split.smi-spec.io are not installed in this cluster")
        seen = await view(store, "TrafficSplit")
        with pytest.raises(Unsupported, match="not installed in this cluster"):
            seen.splits("TrafficSplit", "shop", "")
        assert seen.warnings == ()

    async def test_of_a_kind_that_may_not_be_read_are_not_known(self):
        store = fill(Store(), without=["HTTPRoute"])
        seen = await view(store, "HTTPRoute")
        with pytest.raises(BackendUnavailable, match="httproutes are still being listed"):
            seen.splits("HTTPRoute", "shop", "")
        store.fail("HTTPRoute", "httproutes cannot be listed: forbidden")
        with pytest.raises(BackendUnavailable, match="forbidden"):
            seen.splits("HTTPRoute", "shop", "")

    async def test_that_may_have_changed_are_told_as_they_were(self):
        store = synced(route("TrafficSplit", "s", self.SPLIT))
        store.stale("TrafficSplit", "no connection")
        assert (await view(store, "TrafficSplit")).splits("TrafficSplit", "", "s") == (self.SPLIT,)
