"""``kubectl apply -k deploy/base`` is all it takes: the server starts as the Deployment says, and kube-apiserver verifies it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.plane import API_SERVICE, DEPLOY, NAMESPACE, ControlPlane
from tests.deploy.installation import answered, installed
from tests.deploy.kubelet import Pod
from tests.deploy.pods import run_pod, send_to
from tests.deploy.rendering import find

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
async def pod(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pod]:
    """A pod of ``deploy/base``, which is applied, and taken away again."""
    async with (
        installed(control_plane, "base") as objects,
        run_pod(control_plane, find(objects, "Deployment"), tmp_path_factory.mktemp("pod")) as pod,
    ):
        await send_to(control_plane, pod.port, API_SERVICE, namespace=NAMESPACE)
        yield pod


async def bundle(plane: ControlPlane) -> str:
    run = await plane.kubectl("get", "apiservice", API_SERVICE, "-o", "jsonpath={.spec.caBundle}")
    return run.stdout


@pytest.mark.usefixtures("pod")
async def test_the_api_is_served_and_verified(control_plane: ControlPlane):
    assert "APIResourceList" in await answered(control_plane)
    run = await control_plane.kubectl("wait", "--for=condition=Available", "--timeout=20s", f"apiservice/{API_SERVICE}")
    assert run.code == 0, run.stdout + run.stderr
    spec = json.loads((await control_plane.kubectl("get", "apiservice", API_SERVICE, "-o", "json")).stdout)["spec"]
    assert "insecureSkipTLSVerify" not in spec


@pytest.mark.usefixtures("pod")
async def test_the_certificate_is_kept_in_the_secret_that_the_deployment_names(control_plane: ControlPlane):
    await answered(control_plane)
    run = await control_plane.kubectl("get", "secret", "trafficmetrics-issued", "-n", NAMESPACE, "-o", "json")
    data = json.loads(run.stdout)["data"]
    assert {"ca.crt", "ca.key", "tls.crt", "tls.key"} <= data.keys()
    assert base64.b64decode(data["ca.crt"]).strip() == base64.b64decode(await bundle(control_plane)).strip()


@pytest.mark.parametrize("how", [(), ("--server-side", "--force-conflicts")], ids=["by the client", "by the server"])
async def test_applied_again_it_leaves_the_authority_alone(control_plane: ControlPlane, pod: Pod, how: tuple[str, ...]):
    await answered(control_plane)
    before = await bundle(control_plane)
    assert before
    run = await control_plane.kubectl(
        "apply", *how, "-f", str(DEPLOY / "base" / "apiservice.yaml"), "--dry-run=server", "-o", "json"
    )
    assert json.loads(run.stdout)["spec"]["caBundle"] == before, run.stderr
    # For real, and back to where the pod is.
    run = await control_plane.kubectl("apply", *how, "-f", str(DEPLOY / "base" / "apiservice.yaml"))
    assert run.code == 0, run.stderr
    assert await bundle(control_plane) == before
    await send_to(control_plane, pod.port, API_SERVICE, namespace=NAMESPACE)


async def test_the_server_has_the_rights_it_needs(control_plane: ControlPlane, pod: Pod):
    await answered(control_plane)
    log = "\n".join(pod.daemon.lines())
    assert "forbidden" not in log.lower()
    assert "Traceback" not in log
