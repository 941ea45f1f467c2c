"""How kube-apiserver reaches an extension server: the trust it asks for, and the identity it passes on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.extension import Extension, serve_extension
from tests.controlplane.pki import Authority
from tests.controlplane.plane import API_SERVICE, SERVICE_HOST, ControlPlane, Person

pytestmark = pytest.mark.real

GROUP_VERSION = "/apis/metrics.smi-spec.io/v1alpha1"


@pytest.fixture
def serving() -> Authority:
    return Authority("serving-ca")


@pytest.fixture
async def extension(control_plane: ControlPlane, serving: Authority, tmp_path: Path) -> AsyncIterator[Extension]:
    clients = control_plane.front_proxy_ca.certificate
    async with serve_extension(serving, SERVICE_HOST, clients, tmp_path) as running:
        yield running
        await control_plane.unregister()


async def test_a_registered_server_is_found_by_kubectl(control_plane: ControlPlane, extension: Extension, serving: Authority):
    await control_plane.register(extension.port, serving.certificate)
    run = await control_plane.kubectl("api-resources", "--api-group=metrics.smi-spec.io", "--no-headers")
    assert run.code == 0, run.stderr
    assert run.stdout.split() == ["pods", "metrics.smi-spec.io/v1alpha1", "true", "PodTrafficMetrics"]


async def test_a_request_arrives_with_its_author_and_the_front_proxy_certificate(
    control_plane: ControlPlane, extension: Extension, serving: Authority
):
    await control_plane.register(extension.port, serving.certificate)
    extension.seen.clear()
    run = await control_plane.kubectl("get", "--raw", GROUP_VERSION, user=Person("ann", ("sre", "on-call")))
    assert run.code == 0, run.stderr
    (asked,) = [request for request in extension.seen if request.user == "ann"]
    assert asked.path == GROUP_VERSION
    assert asked.groups == ("sre", "on-call", "system:authenticated")
    assert asked.certificate == "front-proxy-client"


async def test_a_server_of_another_authority_is_not_served(control_plane: ControlPlane, extension: Extension):
    with pytest.raises(RuntimeError, match="x509: certificate signed by unknown authority"):
        await control_plane.register(extension.port, Authority("serving-ca").certificate, patience=3)
    assert extension.seen == []


async def test_an_unregistered_group_is_gone(control_plane: ControlPlane, extension: Extension, serving: Authority):
    await control_plane.register(extension.port, serving.certificate)
    await control_plane.unregister()
    listed = await control_plane.kubectl("get", "apiservice", API_SERVICE)
    assert "NotFound" in listed.stderr
    run = await control_plane.kubectl("api-resources", "--api-group=metrics.smi-spec.io", "-o", "name")
    assert run.stdout == ""
