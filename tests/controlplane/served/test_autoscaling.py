"""Kubernetes' own HorizontalPodAutoscaler scales on what it reads here, with the rights it has by default, through kube-apiserver."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from tests.controlplane.controllers import run_controllers
from tests.controlplane.plane import ADMIN, DEPLOY, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER, STRANGER, bind, user, workload
from tests.controlplane.served.mesh import API_1, API_2, WEB, Pod, received
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import configured, run_server

pytestmark = pytest.mark.real

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
PODS = f"{CUSTOM}/namespaces/shop/pods/%2A/requests_per_second"
AUTOSCALER = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
SCALER = Person("flo")
"""May read the metrics of "shop" for autoscalers, and nothing else."""
SCALED = Pod("shop", "scaled", "none")
"""A Deployment that has the pods of another one, so that scaling it changes nothing that other tests rely on."""
IDLE = "idle-6b9c-h5v8n"
PAGE = (DEPLOY.parent / "docs" / "autoscaling.md").read_text(encoding="utf-8")
OVERLAY = DEPLOY / "autoscaling"


def documented(*kinds: str) -> list[Any]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    return [document for block in blocks for document in yaml.safe_load_all(block) if document["kind"] in kinds]


def registrations() -> list[Any]:
    files = (OVERLAY / "apiservices.yaml", OVERLAY / "external" / "apiservice.yaml")
    return [document for file in files for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
async def scaling(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """Both metrics APIs, registered as the overlay does, from a server of their own; the pods web and idle are ready."""
    plane = api.plane
    configuration = configured(plane, prometheus.url) | {"surfaces": {"customMetrics": True, "externalMetrics": True}}
    async with run_server(plane, tmp_path_factory.mktemp("scaling"), configuration) as server:
        documents = registrations()
        for document in documents:
            document["spec"]["service"]["port"] = server.port
            document["spec"]["caBundle"] = base64.b64encode(server.ca_bundle).decode()
        (role,) = yaml.safe_load_all((OVERLAY / "rbac.yaml").read_text(encoding="utf-8"))
        names = [f"apiservice/{document['metadata']['name']}" for document in documents]
        try:
            await plane.apply(*documents, role, bind("RoleBinding", "shop", role["metadata"]["name"], user(SCALER)))
            await api.prints("wait", "--for=condition=Available", "--timeout=30s", *names)
            async with in_status(api, {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}):
                yield Api(plane, server)
        finally:
            await api.prints("delete", *names)


@asynccontextmanager
async def in_status(api: Api, status: dict[str, Any]) -> AsyncIterator[None]:
    """The pods have this status, which nobody else gives them, for as long as the context lasts."""
    before = {"phase": "Pending", "conditions": None}
    for given in (status, before):
        patch = json.dumps({"status": given})
        for pod in (WEB.name, IDLE):
            await api.prints("patch", "pod", pod, "-n", "shop", "--subresource=status", "--type=merge", f"--patch={patch}")
        if given is status:
            yield


async def values(api: Api, path: str, person: Person | None = None) -> dict[str, float]:
    """Values by the name of the object, or of the metric."""
    reply = await (api.proxied(path, user=person) if person else api.proxied(path))
    assert reply.status == 200, reply.body
    return {
        item.get("describedObject", {}).get("name", item.get("metricName")): float(parse_quantity(item["value"]))
        for item in reply.document["items"]
    }


async def until_ready(api: Api) -> None:
    """The server learns of the readiness of pods by watching."""
    for _ in range(100):
        if IDLE in await values(api, PODS):
            return
        await asyncio.sleep(0.1)
    pytest.fail("the ready pod without traffic has no zero")


async def test_pods_have_their_requests_and_ready_ones_without_any_have_a_zero(scaling: Api):
    await until_ready(scaling)
    found = await values(scaling, PODS)
    truths = {pod.name: received("shop", pod=pod.name) for pod in (WEB, API_1, API_2)}
    expected = {name: truth.success + truth.failure for name, truth in truths.items()}
    assert found == pytest.approx({**expected, IDLE: 0}, rel=0.01)
    assert list(await values(scaling, f"{PODS}?labelSelector=app%3Dweb")) == [WEB.name]


async def test_the_numbers_are_those_of_our_own_api(scaling: Api):
    truth = received("shop", "web")
    base = f"{CUSTOM}/namespaces/shop/deployments.apps/web"
    total = truth.success + truth.failure
    assert await values(scaling, f"{base}/p99_response_latency_ms") == pytest.approx({"web": truth.p99 * 1000}, rel=0.01)
    assert await values(scaling, f"{base}/failure_ratio") == pytest.approx({"web": truth.failure / total}, rel=0.01)
    external = f"{EXTERNAL}/namespaces/shop/requests_per_second?labelSelector=deployment%3Dweb"
    assert await values(scaling, external) == pytest.approx({"requests_per_second": total}, rel=0.01)


async def test_who_may_scale_reads_the_metrics_of_that_namespace_and_nothing_else(scaling: Api):
    external = f"{EXTERNAL}/namespaces/shop/failure_ratio?labelSelector=deployment%3Dweb"
    other = PODS.replace("/shop/", "/data/")
    own = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop/pods"
    for person, path, status in (
        (SCALER, PODS, 200),
        (SCALER, external, 200),
        (SCALER, other, 403),
        (SCALER, f"{CUSTOM}/nodes/%2A/requests_per_second", 403),
        (SCALER, own, 403),
        (SHOP_READER, own, 200),
        (SHOP_READER, PODS, 403),
        (SHOP_READER, external, 403),
        (STRANGER, PODS, 403),
    ):
        for reply in (await scaling.proxied(path, user=person), await scaling.direct(path, user=person)):
            assert reply.status == status, (person, path, reply.body)


async def test_the_autoscaler_of_kubernetes_may_by_its_own_role(scaling: Api):
    for path in (PODS, f"{CUSTOM}/namespaces/data/metrics/failure_ratio", f"{EXTERNAL}/namespaces/data/requests_per_second"):
        assert json.loads(await scaling.prints("get", "--raw", path, f"--as={AUTOSCALER}"))["items"]


async def test_what_is_documented_and_deployed_is_taken_by_kubernetes(scaling: Api):
    documents = documented("HorizontalPodAutoscaler", "ServiceAccount", "RoleBinding", "Secret")
    assert len(documents) == 6
    applied = await scaling.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump_all(documents))
    assert (applied.code, applied.stderr) == (0, "")
    overlay = ("--server-side", "--force-conflicts", "--dry-run=server", "-k", str(OVERLAY))
    built = await scaling.kubectl("apply", *overlay)
    assert (built.code, built.stderr) == (0, "")
    assert "apiservice.apiregistration.k8s.io/v1beta2.custom.metrics.k8s.io serverside-applied" in built.stdout
    assert "external" not in built.stdout


async def test_the_controller_scales_on_what_it_reads(scaling: Api, kube_controller_manager: str):
    await until_ready(scaling)
    autoscaler = _autoscaler()
    target = workload(SCALED)
    target["spec"] |= {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}}
    target["spec"]["template"]["metadata"]["labels"] = {"app": "web"}
    flags = ("--horizontal-pod-autoscaler-sync-period=1s", "--use-service-account-credentials=true")
    try:
        await scaling.plane.apply(target, autoscaler)
        running = run_controllers(kube_controller_manager, scaling.plane, "horizontal-pod-autoscaler-controller", flags=flags)
        async with running as controllers:
            deadline = time.monotonic() + 45
            while (replicas := await _told(scaling, "deployment", "{.spec.replicas}")) != "5":
                told = await _told(scaling, "hpa", "{.status}")
                assert time.monotonic() < deadline, f"{replicas} replicas; {told}\n{controllers.tail()}"
                await asyncio.sleep(0.5)
        # The status follows what was done.
        status = json.loads(await _told(scaling, "hpa", "{.status}"))
    finally:
        await scaling.prints("delete", "deployment,hpa", SCALED.owner, "-n", "shop")
    truth = received("shop", "web")
    total = truth.success + truth.failure
    read = {metric["type"]: metric[metric["type"].lower()]["current"] for metric in status["currentMetrics"]}
    assert float(parse_quantity(read["Pods"]["averageValue"])) == pytest.approx(total, rel=0.01)
    assert float(parse_quantity(read["Object"]["value"])) == pytest.approx(truth.p99 * 1000, rel=0.01)
    assert read["External"]
    assert {condition["type"]: condition["status"] for condition in status["conditions"]}["ScalingActive"] == "True"


def _autoscaler() -> Any:
    """One with the metrics of all autoscalers of the page, whose first alone asks for more pods: 23 requests a second, 5 for each."""
    autoscalers = documented("HorizontalPodAutoscaler")
    metrics = [metric for autoscaler in autoscalers for metric in autoscaler["spec"]["metrics"]]
    assert [metric["type"] for metric in metrics] == ["Pods", "Object", "External"]
    metrics[0]["pods"]["target"]["averageValue"] = "5"
    metrics[1]["object"]["target"]["value"] = "100000"
    metrics[1]["object"]["metric"]["selector"]["matchLabels"]["window"] = "10s"
    autoscaler = autoscalers[0]
    autoscaler["metadata"]["name"] = autoscaler["spec"]["scaleTargetRef"]["name"] = SCALED.owner
    autoscaler["spec"] |= {"minReplicas": 1, "metrics": metrics}
    return autoscaler


async def _told(api: Api, kind: str, path: str) -> str:
    return await api.prints("get", kind, SCALED.owner, "-n", "shop", "-o", f"jsonpath={path}")


async def test_nothing_of_it_is_served_where_it_is_off(api: Api):
    for path in (PODS, f"{EXTERNAL}/namespaces/shop/requests_per_second", CUSTOM, "/apis/external.metrics.k8s.io"):
        assert (await api.direct(path, user=ADMIN)).status == 404
    groups = (await api.direct("/apis", user=ADMIN)).document["groups"]
    assert [group["name"] for group in groups] == ["metrics.smi-spec.io"]
