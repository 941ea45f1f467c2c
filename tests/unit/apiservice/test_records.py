"""What is kept of an object, read from the JSON that kube-apiserver sends."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import msgspec
import pytest

from apiservice.inventory.records import Owner, PodRecord, Pool, Reader, Record, RouteRecord, SliceRecord

REPLICA_SET = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4f", "uid": "u-rs", "controller": True}
POD: dict[str, Any] = {
    "metadata": {
        "name": "web-5d4f-abcde",
        "namespace": "shop",
        "uid": "u-1",
        "resourceVersion": "7",
        "labels": {"app": "web"},
        "ownerReferences": [{**REPLICA_SET, "kind": "Other", "controller": False}, REPLICA_SET],
        "annotations": {"a": "b"},
        "managedFields": [{"manager": "kubelet"}],
    },
    "spec": {"nodeName": "node-a", "hostNetwork": True, "containers": [{"name": "main"}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1"},
}


def listed(kind: str, *items: Any, pool: Pool | None = None, **metadata: str) -> list[Record]:
    document = msgspec.json.encode({"metadata": metadata, "items": list(items)})
    return Reader(kind, pool or Pool()).page(document).records


def test_of_a_pod_is_kept_where_it_runs_and_who_owns_it():
    owner = Owner("ReplicaSet", "web-5d4f", "u-rs", "apps/v1")
    assert listed("Pod", POD) == [
        PodRecord("Pod", "shop", "web-5d4f-abcde", "u-1", {"app": "web"}, owner, "node-a", True, "Running")
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Pod", PodRecord("Pod", "", "bare", "", {}, None, "", False, "")),
        ("Node", Record("Node", "", "bare", "", {}, None)),
        ("EndpointSlice", SliceRecord("EndpointSlice", "", "bare", "", {}, None, "", ())),
        ("TrafficSplit", RouteRecord("TrafficSplit", "", "bare", "", {}, None, None)),
    ],
)
@pytest.mark.parametrize("nulls", [{}, {"labels": None, "ownerReferences": None}], ids=["left-out", "null"])
def test_what_an_object_does_not_say_is_empty(kind: str, expected: Record, nulls: dict[str, Any]):
    assert listed(kind, {"metadata": {"name": "bare", **nulls}}) == [expected]


def test_an_owner_that_is_not_the_controller_is_none():
    job = {"metadata": {"name": "run", "ownerReferences": [{**REPLICA_SET, "controller": False}, {"kind": "X", "name": "y"}]}}
    assert listed("Job", job)[0].controller is None


def test_of_a_slice_are_kept_its_service_and_its_pods_in_whatever_state():
    endpoints = [
        {"targetRef": {"kind": "Pod", "name": "web-1"}, "conditions": {"ready": True}},
        {"targetRef": {"kind": "Pod", "name": "web-2"}, "conditions": {"ready": False, "terminating": True}},
        {"targetRef": {"kind": "Pod", "name": "web-1"}, "conditions": {"ready": True}},
        {"targetRef": {"kind": "Node", "name": "node-a"}},
        {"addresses": ["192.0.2.1"]},
    ]
    metadata = {"name": "web-x1", "namespace": "shop", "uid": "u", "labels": {"kubernetes.io/service-name": "web", "other": "x"}}
    found = listed(
        "EndpointSlice", {"metadata": metadata, "endpoints": endpoints}, {"metadata": {"name": "none"}, "endpoints": None}
    )
    assert found[0] == SliceRecord("EndpointSlice", "shop", "web-x1", "u", {}, None, "web", ("web-1", "web-2"))
    assert found[1].pods == ()  # type: ignore[attr-defined]


def test_of_a_route_is_kept_what_it_divides():
    spec = {"service": "web", "backends": [{"service": "web-v1", "weight": 90}, {"service": "web-v2", "weight": 10}]}
    (record,) = listed("TrafficSplit", {"metadata": {"name": "canary", "namespace": "shop"}, "spec": spec})
    assert isinstance(record, RouteRecord)
    assert record.split is not None
    assert record.split.apex == "web"
    assert [(backend.name, backend.weight) for backend in record.split.backends] == [("web-v1", 90), ("web-v2", 10)]


def test_a_page_says_what_to_watch_from_and_what_comes_next():
    reader = Reader("Pod", Pool())
    page = reader.page(b'{"kind": "PodList", "metadata": {"resourceVersion": "77", "continue": "more"}, "items": null}')
    assert (page.records, page.version, page.token) == ([], "77", "more")


def test_an_event_has_its_object_and_a_bookmark_has_none():
    reader = Reader("Pod", Pool())
    change = reader.change("MODIFIED", msgspec.Raw(msgspec.json.encode(POD)))
    assert (change.type, change.record, change.version) == ("MODIFIED", listed("Pod", POD)[0], "7")
    bookmark = reader.change(
        "BOOKMARK", msgspec.Raw(b'{"kind":"Pod","metadata":{"resourceVersion":"99","creationTimestamp":null}}')
    )
    assert (bookmark.record, bookmark.version) == (None, "99")


@pytest.mark.parametrize("text", [b"<html>", b"[]", b'{"items": 7}', b'{"metadata": {}, "items": [{"metadata": 1}]}', b""])
def test_what_is_no_list_is_an_error(text: bytes):
    with pytest.raises(msgspec.MsgspecError):
        Reader("Pod", Pool()).page(text)


# What repeats is kept once


def test_the_pods_of_one_owner_share_its_name_and_their_labels():
    other = {**POD, "metadata": {**POD["metadata"], "name": "web-5d4f-fghij"}}
    pool = Pool()
    (one,), (two,) = listed("Pod", POD, pool=pool), listed("Pod", other, pool=pool)
    assert isinstance(one, PodRecord)
    assert isinstance(two, PodRecord)
    assert one.labels is two.labels
    assert one.controller is two.controller
    assert one.node is two.node
    assert one.namespace is two.namespace


def test_different_label_sets_stay_apart_when_the_pool_is_full():
    pool = Pool(most=2)
    pods = [
        {"metadata": {"name": f"p{n}", "labels": {"n": str(n)}, "ownerReferences": [{**REPLICA_SET, "name": f"o{n}"}]}}
        for n in range(9)
    ]
    for number, record in enumerate(listed("Pod", *pods, *pods, pool=pool)):
        assert record.labels == {"n": str(number % 9)}
        assert record.controller is not None
        assert record.controller.name == f"o{number % 9}"
    held = (pool._texts, pool._labels, pool._owners)
    assert all(len(each) <= 2 for each in held)


def test_a_pod_takes_less_than_a_kilobyte_however_large_it_is():
    environment = [{"name": f"E{number}", "value": "x" * 100} for number in range(100)]
    owners = [{**REPLICA_SET, "name": f"web-{number}", "uid": f"{number:036}"} for number in range(100)]
    pods = [
        {
            "metadata": {
                "name": f"{owner['name']}-{number:05}",
                "namespace": "shop",
                "uid": f"{number:036}",
                "labels": {
                    "app.kubernetes.io/name": "web",
                    "app.kubernetes.io/part-of": "shop",
                    "pod-template-hash": owner["name"],
                },
                "ownerReferences": [owner],
            },
            "spec": {"nodeName": f"node-{number % 50}", "containers": [{"name": "main", "env": environment}]},
        }
        for owner in owners
        for number in range(5)
    ]
    document = msgspec.json.encode({"metadata": {}, "items": pods})
    reader = Reader("Pod", Pool())
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        records = reader.page(document).records
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(document) / len(records) > 8192
    assert (after - before) / len(records) < 1024
