"""Reading while the store changes: whatever the moment, an object is found as it was before the change, or as it is after it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import apiservice.inventory
from apiservice.inventory import Store
from apiservice.inventory.members import narrowing
from apiservice.inventory.ownership import above
from apiservice.inventory.records import PodRecord, Record
from tests.doubles.inventory import custom, obj, pod, ref, slice_of, synced

WEB = obj("Deployment", "web")
WEB_1 = obj("ReplicaSet", "web-bcdfg", WEB)
POD, DEPLOYMENT, SERVICE, ROLLOUT = ref("Pod", "p"), ref("Deployment", "web"), ref("Service", "web"), ref("Rollout", "cart")
HOME = apiservice.inventory.__path__[0]


def a_pod(uid: str = "first", node: str = "a") -> PodRecord:
    return pod("p", WEB_1, uid=uid, node=node)


def a_cluster() -> Store:
    service = obj("Service", "web"), slice_of("web", "p", name="one"), slice_of("web", "p", name="two")
    return synced(WEB, WEB_1, a_pod(), *service, obj("ReplicaSet", "cart-1", custom("Rollout", "cart"), uid="first"))


def found(store: Store) -> tuple[object, ...]:
    return (
        above(store, POD, ("Deployment",)),
        above(store, POD, ("Service",)),
        above(store, DEPLOYMENT, ("Service",)),
        store.kinship.customs("shop", "cart"),
        "p" in narrowing(store, ("Service",), "shop", "web"),
    )


EXPECTED = ((DEPLOYMENT,), (SERVICE,), (SERVICE,), ("Rollout",), True)


def at_every_line(change: Callable[[], None], look: Callable[[], None]) -> int:
    """Run ``change``, and ``look`` before each of its lines that is the inventory's; how many these are."""
    lines = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal lines
        if not frame.f_code.co_filename.startswith(HOME):
            return None
        if event == "line":
            lines += 1
            look()
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        change()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda store: store.remove("Pod", "shop", "p"), id="deleted"),
        pytest.param(lambda store: store.put("Pod", a_pod(node="b")), id="changed"),
        pytest.param(lambda store: store.put("Pod", a_pod(uid="second")), id="made-again"),
        pytest.param(lambda store: (store.remove("Pod", "shop", "p"), store.put("Pod", a_pod(node="b"))), id="back"),
        pytest.param(lambda store: store.replace("Pod", []), id="listed-without"),
        pytest.param(lambda store: store.replace("Pod", [a_pod(uid="second")]), id="listed-with-another"),
        pytest.param(lambda store: store.put("Deployment", obj("Deployment", "web", app="web")), id="owner-changed"),
        pytest.param(lambda store: store.put("ReplicaSet", obj("ReplicaSet", "web-bcdfg", WEB, app="web")), id="step-changed"),
        pytest.param(lambda store: store.put("EndpointSlice", slice_of("web", "p", "q", name="one")), id="slice-changed"),
        pytest.param(lambda store: store.remove("EndpointSlice", "shop", "one"), id="one-slice-deleted"),
        pytest.param(
            lambda store: store.put("ReplicaSet", obj("ReplicaSet", "cart-1", custom("Rollout", "cart"), uid="second")),
            id="child-of-a-custom-controller-made-again",
        ),
    ],
)
def test_there_is_no_moment_at_which_something_is_missing(change: Callable[[Store], object]):
    store = a_cluster()
    seen: list[tuple[object, ...]] = []
    lines = at_every_line(lambda: (change(store), None)[1], lambda: seen.append(found(store)))
    assert lines > 5
    assert set(seen) == {EXPECTED}
    assert found(store) == EXPECTED


def test_another_thread_may_read_what_grows_and_shrinks():
    pods: list[Record] = [pod(f"p{number}", WEB_1) for number in range(50)]
    store = a_cluster()
    stop, wrong = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                found(store)
                store.records("Pod")
                store.count("Pod")
        except BaseException as error:  # noqa: BLE001 told to whoever reads the outcome of the test
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(30):
            store.replace("Pod", [*pods, a_pod()])
            store.put("EndpointSlice", slice_of("web", *(record.name for record in pods), name="one"))
            store.replace("Pod", [a_pod()])
            store.put("EndpointSlice", slice_of("web", "p", name="one"))
    finally:
        stop.set()
        reader.join()
        sys.setswitchinterval(interval)
    assert wrong == []
