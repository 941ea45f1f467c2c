"""What objects are made of, and by which names a source finds it."""

from __future__ import annotations

import pytest

from apiservice.inventory.members import members, narrowing, needed
from apiservice.inventory.records import Record
from apiservice.inventory.store import Store
from metrics_api import WORKLOAD_KINDS
from tests.doubles.clock import ManualClock
from tests.doubles.inventory import custom, fill, obj, pod, slice_of, synced

WEB = obj("Deployment", "web")
WEB_1, WEB_2 = obj("ReplicaSet", "web-bcdfg", WEB), obj("ReplicaSet", "web-vwxzz", WEB)
TICK = obj("CronJob", "tick")
TICK_1 = obj("Job", "tick-1", TICK)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (("Pod",), ()),
        (("Node",), ("Pod",)),
        (("Namespace",), ("Service", "Pod")),
        (("Service",), ("Pod", "Workload")),
        (("Deployment",), ("Pod", "Workload")),
        (("ReplicaSet",), ("Pod", "Workload")),
        (("Job",), ("Pod", "Workload")),
        (("CronJob",), ("Pod", "Workload")),
        (("Rollout",), ("Pod", "Workload")),
        ((*WORKLOAD_KINDS, "Workload"), ("Pod",)),
        (("Workload",), ("Pod",)),
        (("TrafficSplit",), ()),
    ],
    ids="+".join,
)
def test_the_kinds_that_objects_can_be_added_up_from(kinds: tuple[str, ...], expected: tuple[str, ...]):
    assert members(synced(), kinds) == (expected, ())


@pytest.mark.parametrize(
    ("failed", "kind", "expected", "wanting"),
    [
        ("Pod", "Deployment", ("Workload",), ("Pod",)),
        ("Pod", "Node", (), ("Pod",)),
        ("Pod", "Service", ("Pod",), ("Pod",)),
        ("Pod", "Namespace", ("Service", "Pod"), ()),
        ("EndpointSlice", "Service", (), ("EndpointSlice",)),
        ("Job", "CronJob", (), ("Job",)),
        ("ReplicaSet", "Deployment", ("Pod", "Workload"), ()),
    ],
)
def test_members_that_cannot_be_added_up_are_left_out(failed: str, kind: str, expected: tuple[str, ...], wanting: tuple[str, ...]):
    store = synced()
    store.fail(failed, "forbidden")
    assert members(store, (kind,)) == (expected, wanting)


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [
        ("Namespace", {"Namespace"}),
        ("Deployment", {"Deployment", "ReplicaSet", "Pod"}),
        ("StatefulSet", {"StatefulSet", "Pod"}),
        ("CronJob", {"CronJob", "Job", "Pod"}),
        ("Service", {"Service", "EndpointSlice", "Pod"}),
        ("Rollout", {"Rollout", "ReplicaSet", "ReplicationController", "Pod"}),
        ("TrafficSplit", {"TrafficSplit"}),
    ],
)
def test_what_has_to_be_known_first(kind: str, kinds: set[str]):
    assert needed([kind]) == kinds


@pytest.mark.parametrize(
    ("kind", "name", "records", "expected"),
    [
        pytest.param(
            "Deployment",
            "web",
            [WEB, WEB_1, WEB_2, pod("web-bcdfg-2", WEB_1)],
            ("web", "web-"),
            id="deployment",
        ),
        pytest.param(
            "ReplicaSet",
            "web-bcdfg",
            [WEB, WEB_1, WEB_2, pod("adopted", WEB_1)],
            ("adopted", "web-bcdfg", "web-bcdfg-"),
            id="replicaset",
        ),
        pytest.param("CronJob", "tick", [TICK, TICK_1, pod("tick-1-bcdfg", TICK_1)], ("tick", "tick-"), id="cronjob"),
        pytest.param("StatefulSet", "db", [obj("StatefulSet", "db")], ("db", "db-"), id="statefulset-without-pods"),
        pytest.param("CloneSet", "cart", [pod("x", custom("CloneSet", "cart"))], ("cart", "cart-", "x"), id="cloneset"),
        pytest.param("Rollout", "cart", [obj("ReplicaSet", "cart-1", custom("Rollout", "cart"))], ("cart", "cart-"), id="rollout"),
        pytest.param(
            "Workload",
            "cart",
            [obj("ReplicaSet", "cart-1", custom("Rollout", "cart"))],
            ("cart", "cart-"),
            id="any-custom",
        ),
        pytest.param(
            "Node", "n", [pod("a", node="n"), pod("b", node="m"), pod("c", node="n", namespace="other")], ("a", "c"), id="node"
        ),
        pytest.param(
            "Service",
            "s",
            [WEB, WEB_1, pod("web-bcdfg-2", WEB_1), pod("x"), slice_of("s", "web-bcdfg-2", "x")],
            ("web", "web-", "x"),
            id="service",
        ),
        pytest.param(
            "DaemonSet", "checkout-" * 7 + "x", [obj("DaemonSet", "checkout-" * 7 + "x")], ("checkout-" * 6,), id="cut-at-a-hyphen"
        ),
        pytest.param(
            "DaemonSet", "d" * 60, [obj("DaemonSet", "d" * 60), pod("p", obj("DaemonSet", "d" * 60))], (), id="cut-anywhere"
        ),
        pytest.param("Deployment", "nobody", [WEB, WEB_1], (), id="unknown"),
        pytest.param("Deployment", "", [WEB, WEB_1], (), id="no-name"),
        pytest.param("Namespace", "shop", [WEB, WEB_1], (), id="namespace"),
        pytest.param("Node", "n", [pod(f"p{number}", node="n") for number in range(201)], (), id="too-many"),
        pytest.param(
            "Deployment",
            "web",
            [WEB, WEB_1, *(pod(f"web-bcdfg-{number}", WEB_1) for number in range(201))],
            ("web", "web-"),
            id="not-too-many",
        ),
    ],
)
def test_the_names_that_matter(kind: str, name: str, records: list[Record], expected: tuple[str, ...]):
    namespace = "" if kind in ("Node", "Namespace") else "shop"
    assert narrowing(synced(*records), (kind,), namespace, name) == expected


@pytest.mark.parametrize("unknown", ["Pod", "ReplicaSet", "Deployment"])
@pytest.mark.parametrize("how", ["fail", "stale"])
def test_names_are_not_told_where_not_all_are_known(unknown: str, how: str):
    store = synced(WEB, WEB_1)
    getattr(store, how)(unknown, "forbidden")
    assert narrowing(store, ("Deployment",), "shop", "web") == ()


def test_names_are_those_of_any_of_the_kinds():
    store = synced(WEB, WEB_1, obj("StatefulSet", "web"))
    assert narrowing(store, ("Deployment", "StatefulSet"), "shop", "web") == ("web", "web-")


def test_pods_that_are_gone_still_matter():
    clock = ManualClock()
    store = synced(WEB, WEB_1, pod("adopted", WEB_1, node="n"), slice_of("s", "adopted"), clock=clock.monotonic)
    store.remove("Pod", "shop", "adopted")
    store.remove("ReplicaSet", "shop", "web-bcdfg")
    store.put("EndpointSlice", slice_of("s"))
    asked = [("Deployment", "shop", "web"), ("Node", "", "n"), ("Service", "shop", "s")]
    assert ["adopted" in narrowing(store, (kind,), *place) for kind, *place in asked] == [True, True, True]
    assert "web-" in narrowing(store, ("Deployment",), "shop", "web")


def test_what_is_still_being_listed_is_no_reason_to_narrow():
    store = fill(Store(), [WEB, WEB_1], without=["Pod"])
    assert narrowing(store, ("Deployment",), "shop", "web") == ()
