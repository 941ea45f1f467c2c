"""The whole inventory on a socket: a cluster is listed and watched, and a view tells what is there and what belongs to what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from apiservice.inventory import WATCHED, ClusterObjects, Reflector, Store
from apiservice.inventory.kinds import Watched
from apiservice.kube import KubeClient
from metrics_api import ResourceRef
from tests.apiservice.inventory.conftest import running
from tests.doubles.clock import ManualClock
from tests.doubles.collection import Collection, until
from tests.doubles.inventory import ref
from tests.doubles.kube import KubeDouble

_CRDS = ("TrafficSplit", "HTTPRoute", "GRPCRoute")


def owned_by(kind: str, name: str, api_version: str) -> dict[str, Any]:
    owner = {"kind": kind, "name": name, "uid": f"uid-{name}", "apiVersion": api_version, "controller": True}
    return {"ownerReferences": [owner]}


@pytest.fixture
def collections(kube: KubeDouble) -> dict[str, Collection]:
    """Every kind of Kubernetes itself, with a Deployment behind a Service, and a bare Rollout; no custom resources are installed."""
    found = {watched.kind: Collection(kube, watched.paths[0]) for watched in WATCHED if watched.kind not in _CRDS}
    found["Deployment"].put("web", metadata={"labels": {"app": "web"}})
    found["ReplicaSet"].put("web-bcdfg", metadata=owned_by("Deployment", "web", "apps/v1"))
    found["ReplicaSet"].put("cart-bcdfg", metadata=owned_by("Rollout", "cart", "argoproj.io/v1alpha1"))
    found["Pod"].put("web-bcdfg-22222", metadata=owned_by("ReplicaSet", "web-bcdfg", "apps/v1"), spec={"nodeName": "n"})
    found["Service"].put("web")
    endpoints = [{"targetRef": {"kind": "Pod", "name": "web-bcdfg-22222"}}]
    found["EndpointSlice"].put("web-1", metadata={"labels": {"kubernetes.io/service-name": "web"}}, endpoints=endpoints)
    return found


@pytest.fixture
async def store(collections: dict[str, Collection], client: KubeClient, clock: ManualClock) -> AsyncIterator[Store]:
    collections["StatefulSet"].refusal = 403
    store = Store(clock.monotonic)
    async with AsyncExitStack() as stack:
        for watched in WATCHED:
            await stack.enter_async_context(running(_reflector(client, watched, store, clock)))
        await store.settled({watched.kind for watched in WATCHED}, 5.0)
        yield store


def _reflector(client: KubeClient, watched: Watched, store: Store, clock: ManualClock) -> Reflector:
    return Reflector(client, watched, store, _Patient(clock))


class _Patient:
    """The clock of a test, of which no pause ever ends: what is refused once is not asked again."""

    def __init__(self, clock: ManualClock) -> None:
        self.monotonic, self.now = clock.monotonic, clock.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        await asyncio.Event().wait()


async def test_a_cluster_is_known_once_it_is_listed_and_followed_from_then_on(store: Store, collections: dict[str, Collection]):
    pods, deployments = [ResourceRef("Pod", "shop", name) for name in ("web-bcdfg-22222", "web-bcdfg-vwxzz")], ("Deployment",)
    view = await ClusterObjects(store).view(["Deployment", "StatefulSet", "Workload"], "shop", "")
    assert view.refs() == {ref("Deployment", "web"), ref("Rollout", "cart")}
    assert view.labels(ref("Deployment", "web")) == {"app": "web"}
    assert (view.exists(ref("StatefulSet", "db")), view.exists(ref("Job", "db"))) == (None, False)
    (warning,) = view.warnings
    assert warning.startswith("labels and existence of statefulsets are not known: statefulsets")
    assert view.above(pods[0], deployments) == (ref("Deployment", "web"),)
    assert view.above(pods[0], ("Node",)) == (ref("Node", "n"),)
    assert view.above(pods[0], ("Service",)) == (ref("Service", "web"),)

    collections["Pod"].delete("web-bcdfg-22222")
    collections["Pod"].put("web-bcdfg-vwxzz", metadata=owned_by("ReplicaSet", "web-bcdfg", "apps/v1"))
    await until(lambda: (view.exists(pods[0]), view.exists(pods[1])) == (False, True))
    assert [view.above(pod, deployments) for pod in pods] == [(ref("Deployment", "web"),)] * 2

    await until(lambda: store.unsynced() is None)
    assert {kind for kind in _CRDS if store.knows(kind)} == set(_CRDS)
    assert [kind for kind in (watched.kind for watched in WATCHED) if not store.knows(kind)] == ["StatefulSet"]
