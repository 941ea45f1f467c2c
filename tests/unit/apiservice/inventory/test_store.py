"""The store: what it is told, what it finds, and what it remembers of what is gone."""

from __future__ import annotations

import asyncio

import pytest

from apiservice.inventory.ownership import above
from apiservice.inventory.records import Record
from apiservice.inventory.store import State, Store
from tests.doubles.clock import ManualClock
from tests.doubles.inventory import custom, fill, obj, pod, ref, slice_of, synced

WEB = obj("Deployment", "web", app="web")
WEB_1 = obj("ReplicaSet", "web-bcdfg", WEB)


def names(records: list[Record]) -> set[str]:
    return {record.name for record in records}


def test_objects_are_found_by_name_and_by_namespace():
    elsewhere = obj("Deployment", "web", namespace="other")
    store = synced(WEB, elsewhere, obj("Node", "node-1"))
    assert store.get("Deployment", "shop", "web") == WEB
    assert store.records("Deployment", "other") == [elsewhere]
    assert store.records("Deployment") == [WEB, elsewhere]
    assert names(store.records("Node")) == {"node-1"}
    assert (store.count("Deployment"), store.count("Pod")) == (2, 0)
    assert store.get("Rollout", "shop", "web") is None
    assert store.records("Rollout") == []


def test_a_change_of_an_object_is_taken():
    store = synced(WEB)
    store.put("Deployment", obj("Deployment", "web", app="other"))
    assert store.records("Deployment") == [obj("Deployment", "web", app="other")]


def test_an_object_that_has_moved_is_where_it_is_now():
    store = synced(pod("p", WEB_1, node="a"))
    other = obj("ReplicaSet", "other")
    store.put("Pod", pod("p", other, node="b"))
    assert (store.kinship.on_node("a"), store.kinship.children(ref("ReplicaSet", "web-bcdfg"))) == ([], [])
    assert store.kinship.on_node("b") == store.kinship.children(ref("ReplicaSet", "other")) == [pod("p", other, node="b")]


def test_a_list_that_lacks_an_object_says_that_it_is_gone():
    store = synced(WEB, WEB_1, pod("p", WEB_1), pod("q", WEB_1))
    store.replace("Pod", [pod("q", WEB_1)])
    assert names(store.records("Pod")) == {"q"}
    assert store.held(ref("Pod", "p")) == pod("p", WEB_1)
    assert above(store, ref("Pod", "p"), ("Deployment",)) == (ref("Deployment", "web"),)


def test_a_list_that_has_another_object_of_a_name_says_that_the_first_is_gone():
    store = synced(pod("p", uid="first", node="a"))
    store.replace("Pod", [pod("p", uid="second", node="b")])
    assert store.find(ref("Pod", "p"), "first") == pod("p", uid="first", node="a")
    assert store.find(ref("Pod", "p"), "second") == store.held(ref("Pod", "p")) == pod("p", uid="second", node="b")
    assert store.find(ref("Pod", "p"), "third") is None


def test_an_object_that_comes_back_was_never_gone():
    clock = ManualClock()
    store = synced(pod("p", WEB_1, node="a"), clock=clock.monotonic)
    store.remove("Pod", "shop", "p")
    store.put("Pod", pod("p", WEB_1, node="b"))
    clock.advance(601)
    store.put("Pod", pod("other"))
    assert store.kinship.on_node("a") == []
    assert store.kinship.on_node("b") == store.kinship.children(ref("ReplicaSet", "web-bcdfg")) == [pod("p", WEB_1, node="b")]


def test_the_last_of_those_that_are_gone_is_the_one_a_name_means():
    store = synced()
    for uid in ("first", "second"):
        store.put("Pod", pod("p", uid=uid))
        store.remove("Pod", "shop", "p")
    held = store.held(ref("Pod", "p"))
    assert held is not None
    assert held.uid == "second"


def test_only_so_many_are_remembered_and_the_latest():
    store = synced(*(pod(f"p{number}", node="a") for number in range(5)), most=3)
    for number in range(5):
        store.remove("Pod", "shop", f"p{number}")
    store.put("Pod", pod("q", node="b"))
    assert [store.held(ref("Pod", f"p{number}")) is not None for number in range(5)] == [False, False, True, True, True]
    assert names(store.kinship.on_node("a")) == {"p2", "p3", "p4"}


def test_what_is_too_old_leaves_nothing_behind():
    clock = ManualClock()
    store = synced(clock=clock.monotonic)
    empty = sizes(store)
    owned = pod("a" * 50, WEB_1), obj("ReplicaSet", "r" * 50, custom("Rollout", "r")), obj("TrafficSplit", "s", WEB)
    for record in (*owned, slice_of("web", "a" * 50)):
        store.put(record.kind, record)
        store.remove(record.kind, "shop", record.name)
    assert sizes(store) != empty
    clock.advance(601)
    store.put("EndpointSlice", slice_of("web"))
    store.remove("EndpointSlice", "shop", "web-slice")
    assert sizes(store) == empty


def sizes(store: Store) -> list[int]:
    """How much is held by everything that holds something."""
    parts = [store, store.kinship, store.membership]
    return [len(value) for part in parts for value in vars(part).values() if hasattr(value, "__len__")]


def test_what_is_deleted_and_was_never_there_is_nothing():
    store = synced()
    store.remove("Pod", "shop", "p")
    assert store.held(ref("Pod", "p")) is None


class TestCustomControllers:
    def test_are_there_as_long_as_a_live_object_names_them(self):
        one, two = obj("ReplicaSet", "r-1", custom("Rollout", "r")), obj("ReplicaSet", "r-2", custom("Rollout", "r"))
        store = synced(one, two)
        for gone, found in ((one, ("Rollout",)), (two, ())):
            store.remove("ReplicaSet", "shop", gone.name)
            assert store.kinship.customs("shop", "r") == found
            assert store.kinship.custom_kinds == frozenset(found)

    def test_are_counted_once_however_often_an_object_is_told_of(self):
        store = synced(pod("p", custom("CloneSet", "c")))
        store.put("Pod", pod("p", custom("CloneSet", "c"), node="other"))
        store.replace("Pod", [pod("p", custom("CloneSet", "c"), node="third")])
        store.remove("Pod", "shop", "p")
        assert store.kinship.all_customs("") == []

    def test_of_several_kinds_may_share_a_name(self):
        store = synced(pod("p", custom("CloneSet", "c")), obj("ReplicaSet", "r", custom("Rollout", "c")))
        assert store.kinship.customs("shop", "c") == ("CloneSet", "Rollout")
        assert store.kinship.customs("shop", "c", frozenset({"Pod"})) == ("CloneSet",)
        assert store.kinship.all_customs("other") == []
        assert set(store.kinship.all_customs("shop")) == {ref("CloneSet", "c"), ref("Rollout", "c")}

    @pytest.mark.parametrize(
        "owned",
        [
            pod("p", custom("Node", "n", "v1")),
            obj("Deployment", "d", custom("App", "a")),
            obj("ReplicaSet", "r", WEB),
            pod("q", WEB_1),
        ],
        ids=["mirror-pod", "deployment-of-an-operator", "replicaset", "pod"],
    )
    def test_are_no_others(self, owned: Record):
        assert synced(owned).kinship.custom_kinds == frozenset()


class TestMembership:
    def test_a_pod_in_two_slices_of_a_service_stays_until_it_has_left_both(self):
        store = synced(slice_of("web", "p", name="one"), slice_of("web", "p", name="two"))
        store.remove("EndpointSlice", "shop", "one")
        assert store.membership.services("shop", "p") == store.membership.services_left("shop", "p") == {"web"}
        store.put("EndpointSlice", slice_of("web", name="two"))
        assert (store.membership.services("shop", "p"), store.membership.services_left("shop", "p")) == (set(), {"web"})
        assert (store.membership.pods("shop", "web"), store.membership.pods_left("shop", "web")) == (set(), {"p"})

    def test_who_stays_in_a_slice_has_not_left(self):
        store = synced(slice_of("web", "p", "q"))
        store.put("EndpointSlice", slice_of("web", "p", "r"))
        assert store.membership.pods("shop", "web") == {"p", "r"}
        assert (store.membership.services("shop", "p"), store.membership.pods_left("shop", "web")) == ({"web"}, {"q"})

    def test_a_slice_may_change_its_service(self):
        store = synced(slice_of("web", "p", name="one"))
        store.put("EndpointSlice", slice_of("api", "p", name="one"))
        assert store.membership.services("shop", "p") == {"api"}
        assert (store.membership.pods("shop", "web"), store.membership.pods("shop", "api")) == (set(), {"p"})

    def test_slices_that_may_not_be_read_any_more_are_not_gone(self):
        store = synced(slice_of("web", "p"))
        store.fail("EndpointSlice", "forbidden")
        assert store.membership.services("shop", "p") == store.membership.services_left("shop", "p") == set()


class TestKnowledge:
    def test_begins_with_nothing(self):
        store = Store()
        assert store.knowledge("Pod").state is State.PENDING
        assert (store.knows("Pod"), store.tells("Pod"), store.watches("Pod")) == (False, False, True)
        assert store.watches("Rollout") is False

    def test_of_what_fails_is_nothing_and_nobody_is_gone(self):
        store = synced(pod("p"))
        store.fail("Pod", "pods are forbidden")
        assert (store.knowledge("Pod").state, store.knowledge("Pod").reason) == (State.FAILED, "pods are forbidden")
        assert (store.knows("Pod"), store.tells("Pod")) == (False, False)
        assert store.records("Pod") == []
        assert store.held(ref("Pod", "p")) is None

    def test_of_what_is_stale_is_what_was_there(self):
        store = synced(pod("p"))
        store.stale("Pod", "no connection")
        assert (store.knows("Pod"), store.tells("Pod")) == (False, True)
        assert names(store.records("Pod")) == {"p"}
        store.fresh("Pod")
        assert store.knows("Pod")

    def test_of_what_the_cluster_does_not_have_is_that_there_is_none(self):
        store = synced()
        store.absent("TrafficSplit", "the cluster has no trafficsplits")
        assert (store.knowledge("TrafficSplit").state, store.knows("TrafficSplit")) == (State.ABSENT, True)

    def test_is_waited_for(self):
        async def told_while_somebody_waits() -> bool:
            store = Store()
            waiting = asyncio.ensure_future(store.settled(["Pod", "Job", "Rollout"], 10))
            await asyncio.sleep(0)
            store.replace("Pod", [])
            await asyncio.sleep(0)
            assert not waiting.done()
            store.fail("Job", "forbidden")
            await waiting
            return True

        assert asyncio.run(told_while_somebody_waits())

    def test_is_waited_for_so_long_and_no_longer(self):
        asyncio.run(asyncio.wait_for(Store().settled(["Pod"], 0.01), 5))

    def test_is_ready_when_every_kind_was_told_of(self):
        store = Store()
        assert (store.unsynced() or "").startswith("not listed yet: Namespace, Node, Pod and ")
        fill(store, without=["Pod"])
        assert store.unsynced() == "not listed yet: Pod"
        store.fail("Pod", "forbidden")
        assert store.unsynced() is None
