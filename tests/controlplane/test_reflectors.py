"""Reflectors against a real kube-apiserver: what exists there is known here, with just the rights they have."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from apiservice.clock import SYSTEM_CLOCK
from apiservice.inventory.kinds import WATCHED, Watched
from apiservice.inventory.records import Owner, PodRecord, RouteRecord, SliceRecord
from apiservice.inventory.reflector import Reflector
from apiservice.kube import KubeClient
from tests.apiservice.inventory.conftest import Told, running
from tests.controlplane.people import ADMIN, SERVER, Person
from tests.controlplane.plane import ControlPlane, manifests
from tests.doubles.collection import until

pytestmark = pytest.mark.real

SPACE = "inventory"
PROMPT = 2.0
"""Seconds after which everybody knows what has changed."""


class ImpatientClock:
    """The time of day, but nobody waits longer than a moment."""

    monotonic = staticmethod(SYSTEM_CLOCK.monotonic)
    now = staticmethod(SYSTEM_CLOCK.now)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.1))


def document(api_version: str, kind: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": SPACE, **more.pop("metadata", {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **more}


POD_SPEC = {"containers": [{"name": "main", "image": "example.com/main"}], "nodeName": "nowhere", "hostNetwork": True}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": POD_SPEC["containers"]}}
OBJECTS = (
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE, "labels": {"team": "blue"}}},
    document("v1", "Service", "web", spec={"ports": [{"port": 80}]}),
    document("apps/v1", "Deployment", "web", spec={"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}),
    document(
        "batch/v1",
        "CronJob",
        "nightly",
        spec={
            "schedule": "0 0 * * *",
            "jobTemplate": {"spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}}},
        },
    ),
    document("v1", "Pod", "web-1", metadata={"labels": {"app": "web"}}, spec=POD_SPEC),
    document(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "web-x",
        metadata={"labels": {"kubernetes.io/service-name": "web"}},
        addressType="IPv4",
        endpoints=[{"addresses": ["192.0.2.1"], "targetRef": {"kind": "Pod", "name": "web-1", "namespace": SPACE}}],
    ),
)


@asynccontextmanager
async def following(plane: ControlPlane, person: Person, *kinds: Watched) -> AsyncIterator[dict[str, Told]]:
    """What reflectors with this person's rights tell of these kinds."""
    told = {watched.kind: Told(SYSTEM_CLOCK) for watched in kinds}
    async with KubeClient.connect(str(plane.kubeconfig(person))) as client, AsyncExitStack() as stack:
        for watched in kinds:
            reflector = Reflector(client, watched, told[watched.kind], ImpatientClock())
            await stack.enter_async_context(running(reflector))
        yield told


async def promptly(happened: Callable[[], object]) -> None:
    start = time.monotonic()
    await until(happened, 15)
    assert time.monotonic() - start < PROMPT


@pytest.fixture(scope="module")
async def plane(control_plane: ControlPlane) -> ControlPlane:
    """The control plane, with the rights that the manifests give to the server."""
    await control_plane.apply(
        *[document for name in ("namespace.yaml", "serviceaccount.yaml", "rbac.yaml") for document in manifests(name)]
    )
    return control_plane


async def test_what_is_made_changed_and_deleted_is_known_within_two_seconds(plane: ControlPlane):
    async with following(plane, SERVER, *WATCHED) as told:
        await until(lambda: all(each.replaced or each.states for each in told.values()))
        await plane.apply(*OBJECTS)
        await promptly(lambda: "web-x" in told["EndpointSlice"].records and "web-1" in told["Pod"].records)
        await promptly(lambda: all("web" in told[kind].records for kind in ("Service", "Deployment")))
        await promptly(lambda: "nightly" in told["CronJob"].records)
        assert told["Namespace"].records[SPACE].labels == {"team": "blue", "kubernetes.io/metadata.name": SPACE}
        pod, endpoints = told["Pod"].records["web-1"], told["EndpointSlice"].records["web-x"]
        assert isinstance(pod, PodRecord)
        assert isinstance(endpoints, SliceRecord)
        assert (pod.node, pod.host_network, pod.phase, pod.labels) == ("nowhere", True, "Pending", {"app": "web"})
        assert (endpoints.service, endpoints.pods) == ("web", ("web-1",))

        uid = told["Deployment"].records["web"].uid
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": uid, "controller": True}
        patch = json.dumps({"metadata": {"ownerReferences": [owner], "labels": {"app": "api"}}})
        await plane.kubectl("patch", "pod", "web-1", "-n", SPACE, f"--patch={patch}")
        await promptly(lambda: told["Pod"].records["web-1"].controller == Owner("Deployment", "web", uid, "apps/v1"))
        assert told["Pod"].records["web-1"].labels == {"app": "api"}

        await plane.kubectl("delete", "pod/web-1", "cronjob/nightly", "-n", SPACE, "--force", "--grace-period=0")
        await promptly(lambda: "web-1" not in told["Pod"].records and "nightly" not in told["CronJob"].records)
        assert not [
            each.states for kind, each in told.items() if each.states and kind not in ("TrafficSplit", "HTTPRoute", "GRPCRoute")
        ]
        assert {each.replaced for kind, each in told.items() if not each.states} == {1}


async def test_a_kind_that_may_not_be_listed_says_which_and_the_others_go_on(plane: ControlPlane):
    person = Person("half-blind")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": person.name}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": person.name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": person.name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person.name}],
    }
    services = {"apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"]}
    await plane.apply({**role, "rules": [services]}, binding)
    chosen = [watched for watched in WATCHED if watched.kind in ("Pod", "Service")]
    async with following(plane, person, *chosen) as told:
        await until(lambda: told["Service"].replaced and told["Pod"].states)
        state, reason = told["Pod"].states[0]
        assert (state, told["Service"].states) == ("fail", [])
        assert 'pods is forbidden: User "half-blind" cannot list resource "pods"' in reason
        assert "grant list and watch on pods" in reason
        await plane.apply({**role, "rules": [{**services, "resources": ["services", "pods"]}]})
        await until(lambda: told["Pod"].replaced)


def defined(group: str) -> tuple[dict[str, Any], Watched]:
    """The definition of a kind of splits, and how it is watched."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"kind": "Split", "plural": "splits"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"splits.{group}"},
        "spec": spec,
    }
    paths = tuple(f"/apis/{group}/{version}/splits" for version in ("v2", "v1"))
    return definition, Watched("TrafficSplit", f"splits.{group}", paths, whole=True)


def split(group: str, name: str) -> dict[str, Any]:
    return document(f"{group}/v1", "Split", name, spec={"service": "web", "backends": [{"service": "web-v2", "weight": 10}]})


async def test_a_definition_installed_later_is_found(plane: ControlPlane):
    definition, watched = defined("later.example.com")
    async with following(plane, ADMIN, watched) as told_of:
        told = told_of["TrafficSplit"]
        await until(lambda: told.states)
        assert told.states[0] == ("absent", "splits.later.example.com are not installed in this cluster")
        await plane.apply(definition)
        await until(lambda: told.replaced, 30)
        await plane.kubectl("wait", "--for=condition=Established", "crd/splits.later.example.com")
        await plane.apply(OBJECTS[0], split("later.example.com", "canary"))
        await promptly(lambda: "canary" in told.records)
        record = told.records["canary"]
        assert isinstance(record, RouteRecord)
        assert record.split is not None
        assert record.split.apex == "web"

        before = len(told.states)
        await plane.kubectl("delete", "crd", "splits.later.example.com", "--wait=false")
        await until(lambda: len(told.states) > before, 30)
        assert told.states[-1] == told.states[0]


async def test_what_kube_apiserver_does_not_remember_is_listed_again(plane: ControlPlane):
    definition, watched = defined("forgotten.example.com")
    await plane.apply(OBJECTS[0], definition)
    await plane.kubectl("wait", "--for=condition=Established", "crd/splits.forgotten.example.com")
    told = Told(SYSTEM_CLOCK)
    async with KubeClient.connect(str(plane.kubeconfig())) as client:
        reflector = Reflector(client, watched, told, ImpatientClock())
        async with running(reflector):
            await until(lambda: told.replaced)
        # As after a long time without contact: what it remembers of these begins when they were defined.
        reflector._version = "1"
        async with running(reflector):
            await until(lambda: told.replaced == 2)
            await plane.apply(split("forgotten.example.com", "canary"))
            await promptly(lambda: "canary" in told.records)
    assert told.states == []
    await plane.kubectl("delete", "crd", "splits.forgotten.example.com", "--wait=false")
