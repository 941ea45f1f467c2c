"""Objects looked up in Kubernetes, against a double on a real TLS socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apiservice.inventory import ClusterObjects
from apiservice.kube import KubeClient
from metrics_api import ANY_WORKLOAD, JOINED_SERVICE, WORKLOAD_KINDS, ResourceRef
from tests.doubles.clock import ManualClock
from tests.doubles.kube import Failure, KubeDouble, running_kube

WEB = ResourceRef("Deployment", "shop", "web")
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
PATHS = {
    "Deployment": "apps/v1/namespaces/shop/deployments",
    "StatefulSet": "apps/v1/namespaces/shop/statefulsets",
    "DaemonSet": "apps/v1/namespaces/shop/daemonsets",
    "ReplicaSet": "apps/v1/namespaces/shop/replicasets",
    "Job": "batch/v1/namespaces/shop/jobs",
}


def listing(*items: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"kind": "PartialObjectMetadataList", "metadata": {"continue": token}, "items": list(items)}


def item(name: str, labels: dict[str, str] | None = None, *, owned: bool = False) -> dict[str, Any]:
    owners = [{"kind": "Deployment", "name": "x", "controller": True}] if owned else []
    return {"metadata": {"namespace": "shop", "name": name, "labels": labels or {}, "ownerReferences": owners}}


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        for path in PATHS.values():
            double.objects[f"/apis/{path}"] = listing()
        double.objects["/api/v1/namespaces/shop/replicationcontrollers"] = listing()
        double.objects[DEPLOYMENTS] = listing(item("web", {"app": "web"}))
        yield double


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def objects(kube: KubeDouble, clock: ManualClock) -> AsyncIterator[ClusterObjects]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield ClusterObjects(client, clock.monotonic)


async def test_labels_and_existence_come_from_the_object(objects: ClusterObjects, kube: KubeDouble):
    view = await objects.view(["Deployment"], "shop", "")
    assert view.exists(WEB) is True
    assert view.exists(WEB._replace(name="gone")) is False
    assert view.labels(WEB) == {"app": "web"}
    assert list(view.refs()) == [WEB]
    assert all("as=PartialObjectMetadataList" in accept for accept in kube.accepted)


async def test_a_list_is_asked_for_once_in_ten_seconds(objects: ClusterObjects, kube: KubeDouble, clock: ManualClock):
    for _ in range(3):
        await objects.view(["Deployment"], "shop", "")
    assert kube.calls[DEPLOYMENTS] == 1
    clock.advance(11)
    await objects.view(["Deployment"], "shop", "")
    assert kube.calls[DEPLOYMENTS] == 2


async def test_every_page_is_read(objects: ClusterObjects, kube: KubeDouble):
    class Paged(dict[str, Any]):
        """Documents by path; one path has two pages, of which the second is served from the second request on."""

        def __getitem__(self, path: str) -> Any:
            if path == DEPLOYMENTS:
                return listing(item("api")) if kube.calls[path] > 1 else listing(item("web"), token="more")
            return super().__getitem__(path)

    kube.objects = Paged(kube.objects)
    view = await objects.view(["Deployment"], "shop", "")
    assert {ref.name for ref in view.refs()} == {"web", "api"}
    assert [query.get("continue") for query in kube.queries] == [None, "more"]


async def test_a_kind_that_may_not_be_listed_degrades_alone(objects: ClusterObjects, kube: KubeDouble):
    kube.fail(DEPLOYMENTS, Failure(403, "deployments.apps is forbidden"))
    view = await objects.view(["Deployment", "StatefulSet"], "shop", "")
    assert view.exists(WEB) is None
    assert view.labels(WEB) is None
    assert view.exists(WEB._replace(kind="StatefulSet")) is False
    (warning,) = view.warnings
    assert "deployments in namespace shop cannot be listed" in warning
    assert "forbidden" in warning


async def test_a_workload_known_by_name_gets_the_kind_of_the_object(objects: ClusterObjects, kube: KubeDouble):
    kube.objects["/apis/apps/v1/namespaces/shop/statefulsets"] = listing(item("db"))
    bare = [ResourceRef(ANY_WORKLOAD, "shop", name) for name in ("web", "db", "gone")]
    view = await objects.view_of(bare)
    assert [view.named(ref).kind for ref in bare] == ["Deployment", "StatefulSet", ""]
    assert view.warnings == ()


async def test_a_name_that_two_workloads_share_is_said(objects: ClusterObjects, kube: KubeDouble):
    kube.objects["/apis/apps/v1/namespaces/shop/statefulsets"] = listing(item("web"))
    bare = ResourceRef(ANY_WORKLOAD, "shop", "web")
    view = await objects.view_of([bare])
    assert view.named(bare).kind == "Deployment"
    assert "shop has a Deployment and a StatefulSet called web" in view.warnings[0]


async def test_a_replicaset_of_a_deployment_is_no_workload_of_its_own(objects: ClusterObjects, kube: KubeDouble):
    kube.objects["/apis/apps/v1/namespaces/shop/replicasets"] = listing(item("web-1", owned=True), item("bare"))
    everything = await objects.view(WORKLOAD_KINDS, "shop", "")
    assert {ref.name for ref in everything.refs() if ref.kind == "ReplicaSet"} == {"bare"}
    alone = await objects.view(["ReplicaSet"], "shop", "")
    assert {ref.name for ref in alone.refs()} == {"web-1", "bare"}


@pytest.mark.parametrize("namespace", ["..", "a/b", "A", "x" * 64, "shop?limit=1", "%2e%2e"])
async def test_a_hostile_namespace_never_becomes_a_path(objects: ClusterObjects, kube: KubeDouble, namespace: str):
    view = await objects.view(["Deployment"], namespace, "")
    assert list(view.refs()) == []
    assert sum(kube.calls.values()) == 0


def service(namespace: str, name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name}}


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
async def test_a_service_joined_to_its_namespace_is_the_one_that_exists(
    objects: ClusterObjects, kube: KubeDouble, services: list[tuple[str, str]], meant: ResourceRef
):
    kube.objects["/api/v1/services"] = listing(*(service(*names) for names in services))
    joined = ResourceRef(JOINED_SERVICE, "", "shop-eu-api")
    view = await objects.view_of([joined])
    assert view.named(joined) == meant
    assert bool(view.warnings) is (len(services) == 2 and not meant.kind)
