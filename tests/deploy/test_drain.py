"""Nodes are drained with kubectl, by the budget of the manifests and Kubernetes' own controllers: the API answers all the time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import NamedTuple

import aiohttp
import pytest

from tests.controlplane.controllers import run_controllers
from tests.controlplane.plane import API_SERVICE, NAMESPACE, ControlPlane
from tests.controlplane.served.balancer import Balancer
from tests.deploy.installation import DISCOVERY, answered, installed
from tests.deploy.pods import send_to
from tests.deploy.replicas import Nodes

pytestmark = pytest.mark.real

CONTROLLERS = ("deployment-controller", "replicaset-controller", "disruption-controller")
NODES = ("n1", "n2", "n3")


class Drained(NamedTuple):
    """What was seen meanwhile: answers through kube-apiserver, what the registration said of itself, what kubectl said in the end."""

    statuses: list[int]
    available: list[str]
    output: str
    nodes: Nodes


@pytest.fixture(scope="module")
async def drained(
    control_plane: ControlPlane, kube_controller_manager: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Drained]:
    """Both nodes that have a replica were drained at once; a third was free."""
    plane, balancer = control_plane, Balancer()
    nodes = Nodes(plane, NODES, balancer, tmp_path_factory.mktemp("nodes"))
    async with balancer.running(), installed(plane, "base"):
        # The time for a Service to hear of it, which is a tenth of a second here.
        await patched(plane, "deployment", "/spec/template/spec/containers/0/args/3", "--shutdown-delay-duration=1s")
        async with run_controllers(kube_controller_manager, plane, *CONTROLLERS), nodes.working():
            await balancer.until_ready(2)
            await send_to(plane, balancer.port, API_SERVICE, namespace=NAMESPACE)
            await answered(plane)
            await counted(plane)
            statuses: list[int] = []
            available: list[str] = []
            watching = asyncio.create_task(watch(plane, statuses, available))
            run = await plane.kubectl("drain", "n1", "n2", "--delete-emptydir-data", "--timeout=50s")
            watching.cancel()
            yield Drained(statuses, available, f"{run.code}\n{run.stdout}{run.stderr}", nodes)
            # Nobody here takes away what belongs to something that is gone.
            await plane.kubectl("delete", "deployments,replicasets", "--all", "-n", NAMESPACE)
    await plane.kubectl("delete", "pods", "--all", "--force", "--grace-period=0", "-n", NAMESPACE)
    await plane.kubectl("delete", "nodes", *NODES)


async def patched(plane: ControlPlane, kind: str, path: str, value: str) -> None:
    patch = json.dumps([{"op": "replace", "path": path, "value": value}])
    run = await plane.kubectl("patch", kind, "trafficmetrics", "-n", NAMESPACE, "--type=json", "--patch", patch)
    assert run.code == 0, run.stderr


async def counted(plane: ControlPlane) -> None:
    """Waits until the budget has seen both replicas."""
    wait = ("wait", "--for=jsonpath={.status.currentHealthy}=2", "--timeout=20s", "-n", NAMESPACE)
    run = await plane.kubectl(*wait, "poddisruptionbudget/trafficmetrics")
    assert run.code == 0, run.stderr


async def watch(plane: ControlPlane, statuses: list[int], available: list[str]) -> None:
    registration = f"{plane.url}/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=plane.tls())) as session:
        while True:
            async with session.get(plane.url + DISCOVERY) as response:
                statuses.append(response.status)
            async with session.get(registration) as response:
                conditions = (await response.json())["status"]["conditions"]
            available += [each["status"] for each in conditions if each["type"] == "Available"]
            await asyncio.sleep(0.05)


async def test_the_drain_comes_to_its_end(drained: Drained):
    assert drained.output.startswith("0\n"), drained.output
    assert {"n1", "n2"}.isdisjoint(drained.nodes.where.values())


async def test_the_budget_keeps_one_replica(drained: Drained):
    assert "would violate the pod's disruption budget" in drained.output


async def test_the_api_answers_all_the_time(drained: Drained):
    assert len(drained.statuses) > 20
    assert set(drained.statuses) == {200}
    assert set(drained.available) == {"True"}
