"""The fleet as kubectl shows it, through kube-apiserver."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping

import pytest

from tests.controlplane.plane import API_SERVICE
from tests.controlplane.served.api import Api
from tests.controlplane.served.ownership.asking import LOST, Asking

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
async def api(meshes: Mapping[str, Asking]) -> AsyncIterator[Api]:
    """The API registered from the server that knows pods alone; afterwards it is served by whoever served it before."""
    api = meshes["cilium"].api
    before = await api.plane.kubectl("get", "apiservice", API_SERVICE, "-o", "json", "--ignore-not-found")
    await api.register()
    yield api
    if before.stdout:
        spec = json.loads(before.stdout)["spec"]
        await api.plane.register(spec["service"]["port"], base64.b64decode(spec["caBundle"]))
    else:
        await api.plane.unregister()


async def rows_of(api: Api, *args: str) -> list[list[str]]:
    """The cells kubectl prints, when it warns of nothing but the pod that is nobody's."""
    run = await api.kubectl("get", *args, "--no-headers")
    assert run.code == 0, run
    assert run.stderr in ("", f"Warning: {LOST}mall/ghost-7d5c9-9jw2x\n")
    return [line.split() for line in run.stdout.splitlines()]


async def test_workloads_of_every_kind_are_listed(api: Api):
    rows = {row[0]: row[1] for row in await rows_of(api, "trafficmetrics", "-n", "mall")}
    assert list(rows) == [
        "daemonset.logs",
        "deployment.api-blue",
        "deployment.api-green",
        "deployment.front-v1",
        "deployment.front-v2",
        "deployment.web",
        "job.nightly-29012345",
        "job.reindex",
        "replicaset.stray",
        "replicaset.widow-5f6d8",
        "replicationcontroller.relic",
        "rollout.canary",
        "rollout.solo",
        "statefulset.cart",
    ]
    assert (rows["job.reindex"], rows["rollout.solo"], rows["daemonset.logs"]) == ("66.67%", "75.00%", "100.00%")


async def test_the_workload_of_a_custom_controller_is_got_by_its_name(api: Api):
    ((name, success, *_),) = await rows_of(api, "tm", "-n", "mall", "rollout.solo")
    assert (name, success) == ("rollout.solo", "75.00%")


async def test_a_peer_of_a_custom_kind_is_shown_with_it(api: Api):
    rows = await rows_of(api, "deployments.metrics.smi-spec.io", "-n", "vault", "web", "--subresource=edges")
    assert ["web", "from", "rollout/solo.mall", "100.00%", "2.0rps"] in [row[:5] for row in rows]


async def test_nodes_are_shown(api: Api):
    rows = await rows_of(api, "nodes.metrics.smi-spec.io")
    assert [row[0] for row in rows] == ["rack-a", "rack-b"]
    assert all(row[1].endswith("%") and row[2].endswith("rps") for row in rows)


@pytest.mark.parametrize("resource", ["httproutes", "trafficsplits"])
async def test_a_split_is_shown_with_its_backends(api: Api, resource: str):
    run = await api.kubectl("get", f"{resource}.metrics.smi-spec.io", "-n", "mall")
    header, *rows = [line.split() for line in run.stdout.splitlines()]
    assert header[:4] == ["NAME", "BACKEND", "WEIGHT", "SUCCESS"]
    assert [row[:3] for row in rows] == [["front", "front-v1", "90"], ["front", "front-v2", "10"]]
    assert rows[1][3] == "66.67%"
