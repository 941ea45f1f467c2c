"""With cert-manager's own controllers: they issue what the server shows, kube-apiserver verifies it, and renewal does no harm."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.daemon import Daemon
from tests.controlplane.plane import API_SERVICE, NAMESPACE, SERVICE_HOST, ControlPlane
from tests.deploy.installation import DISCOVERY, installed
from tests.deploy.kubelet import Pod
from tests.deploy.pods import run_pod, send_to
from tests.deploy.rendering import combine, find, render
from tests.deploy.showing import run_shown

pytestmark = pytest.mark.real


COMPONENTS = ("prometheus-operator", "cert-manager", "network-policy", "critical-priority")


class Issued(NamedTuple):
    """The cluster, and a pod whose certificate cert-manager has issued."""

    plane: ControlPlane
    pod: Pod

    async def get(self, *what: str) -> Any:
        """The object as JSON."""
        run = await self.plane.kubectl("get", *what, "-n", NAMESPACE, "-o", "json")
        assert run.code == 0, run.stderr
        return json.loads(run.stdout)

    async def secret(self) -> dict[str, bytes]:
        data = (await self.get("secret", "trafficmetrics-serving"))["data"]
        return {name: base64.b64decode(value) for name, value in data.items()}

    async def bundle(self) -> bytes:
        return base64.b64decode((await self.get("apiservice", API_SERVICE))["spec"].get("caBundle", ""))

    async def served(self, trusted: bytes) -> int | None:
        """The serial number of the certificate that a new connection is shown; None if ``trusted`` does not verify it."""
        tls = ssl.create_default_context(cadata=trusted.decode())
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, self.pod.port, ssl=tls, server_hostname=SERVICE_HOST)
        except ssl.SSLError:
            return None
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(shown).serial_number

    async def until(self, reached: Callable[[], Any], patience: float = 30) -> None:
        """Waits until it holds, and meanwhile has the API answer every request that comes through kube-apiserver."""
        deadline = asyncio.get_running_loop().time() + patience
        while not await reached():
            run = await self.plane.kubectl("get", "--raw", DISCOVERY)
            assert run.code == 0, run.stderr
            assert asyncio.get_running_loop().time() < deadline


@pytest.fixture(scope="module")
async def issued(
    custom_resources: ControlPlane, cert_manager: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Issued]:
    """Everything at once, applied, with everybody at work."""
    folder = combine(tmp_path_factory.mktemp("all"), "high-availability", COMPONENTS)
    plane = custom_resources
    command = [cert_manager, f"--kubeconfig={plane.kubeconfig()}"]
    daemon = Daemon("cert-manager", command, tmp_path_factory.mktemp("cert-manager") / "log", os.environ)
    try:
        async with (
            installed(plane, folder) as objects,
            run_pod(plane, find(objects, "Deployment"), tmp_path_factory.mktemp("pod")) as pod,
        ):
            await send_to(plane, pod.port, API_SERVICE, namespace=NAMESPACE)
            run = await plane.kubectl("wait", "--for=condition=Available", "--timeout=20s", f"apiservice/{API_SERVICE}")
            assert run.code == 0, run.stdout + run.stderr + daemon.tail()
            yield Issued(plane, pod)
    finally:
        await daemon.stop(2)


@pytest.mark.parametrize("name", ["trafficmetrics-authority", "trafficmetrics-serving"])
async def test_the_certificates_become_ready(issued: Issued, name: str):
    conditions = (await issued.get("certificate", name))["status"]["conditions"]
    assert [each["status"] for each in conditions if each["type"] == "Ready"] == ["True"], conditions


async def test_the_authority_is_injected(issued: Issued):
    assert await issued.bundle() == (await issued.secret())["ca.crt"]


async def test_what_is_served_is_what_was_issued(issued: Issued):
    secret = await issued.secret()
    leaf = x509.load_pem_x509_certificate(secret["tls.crt"])
    assert await issued.served(await issued.bundle()) == leaf.serial_number
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == [
        "trafficmetrics",
        "trafficmetrics.trafficmetrics",
        "trafficmetrics.trafficmetrics.svc",
        "trafficmetrics.trafficmetrics.svc.cluster.local",
    ]


async def test_applied_again_it_leaves_the_authority_alone(issued: Issued):
    before = await issued.bundle()
    assert before
    registration = find(render("cert-manager"), "APIService", API_SERVICE)
    run = await issued.plane.kubectl("apply", "-f", "-", "-o", "json", stdin=json.dumps(registration))
    assert base64.b64decode(json.loads(run.stdout)["spec"]["caBundle"]) == before
    await send_to(issued.plane, issued.pod.port, API_SERVICE, namespace=NAMESPACE)


async def test_the_api_stays_available_while_the_certificate_is_renewed(issued: Issued):
    before = x509.load_pem_x509_certificate((await issued.secret())["tls.crt"]).serial_number
    await renew(issued, "trafficmetrics-serving")

    async def renewed() -> bool:
        return await issued.served(await issued.bundle()) not in (before, None)

    await issued.until(renewed)


async def test_the_api_stays_available_while_the_authority_is_renewed(issued: Issued):
    """The new authority verifies what the old one has signed: it has the same key."""
    before = await authority(issued)
    await renew(issued, "trafficmetrics-authority")

    async def renewed() -> bool:
        return await authority(issued) != before

    await issued.until(renewed)
    assert await issued.served(await authority(issued)) is not None


async def test_an_authority_that_is_no_longer_wanted_is_taken_out(issued: Issued):
    """The cainjector puts the authority behind those that are there, and has nothing against there being fewer of them."""
    wanted, other = (await issued.secret())["ca.crt"], issued.plane.cluster_ca.certificate
    patch = json.dumps({"spec": {"caBundle": base64.b64encode(other).decode()}})
    run = await issued.plane.kubectl("patch", "apiservice", API_SERVICE, "--type=merge", "--patch", patch)
    assert run.code == 0, run.stderr
    async with asyncio.timeout(20):
        while True:
            if x509.load_pem_x509_certificates(await issued.bundle()) == x509.load_pem_x509_certificates(other + wanted):
                break
            await asyncio.sleep(0.1)
    assert await run_shown(issued.plane, "certificates.md", "test_an_authority_that_is_no_longer_wanted_is_taken_out") == 0
    for _ in range(10):
        assert await issued.bundle() == wanted
        await asyncio.sleep(0.1)
    await send_to(issued.plane, issued.pod.port, API_SERVICE, namespace=NAMESPACE)


async def authority(issued: Issued) -> bytes:
    return base64.b64decode((await issued.get("secret", "trafficmetrics-authority"))["data"]["tls.crt"])


async def renew(issued: Issued, name: str) -> None:
    """As ``cmctl renew`` does it (cert-manager/cmctl, pkg/renew/renew.go)."""
    condition = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "renewal was asked for"}
    conditions = (await issued.get("certificate", name))["status"]["conditions"]
    patch = json.dumps({"status": {"conditions": [*conditions, condition]}})
    command = ("patch", "certificate", name, "-n", NAMESPACE, "--subresource=status", "--type=merge", "--patch", patch)
    run = await issued.plane.kubectl(*command)
    assert run.code == 0, run.stderr
