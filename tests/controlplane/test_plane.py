"""The control plane the other tests stand on: that it is real and knows its users."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.controlplane.parts import Parts
from tests.controlplane.pki import Authority
from tests.controlplane.plane import ControlPlane, Person

pytestmark = pytest.mark.real


async def test_the_admin_lists_namespaces(control_plane: ControlPlane):
    run = await control_plane.kubectl("get", "namespaces", "-o", "name")
    assert run.code == 0, run.stderr
    assert "namespace/kube-system" in run.stdout.split()


async def test_a_user_without_rights_is_forbidden(control_plane: ControlPlane):
    run = await control_plane.kubectl("get", "namespaces", user=Person("stranger"))
    assert run.code == 1
    assert run.stdout == ""
    assert '(Forbidden): namespaces is forbidden: User "stranger" cannot list resource "namespaces"' in run.stderr


async def test_groups_come_from_the_certificate(control_plane: ControlPlane):
    run = await control_plane.kubectl("auth", "whoami", "-o", "json", user=Person("ann", ("sre", "on-call")))
    assert run.code == 0, run.stderr
    who = json.loads(run.stdout)["status"]["userInfo"]
    assert who["username"] == "ann"
    assert who["groups"] == ["sre", "on-call", "system:authenticated"]


async def test_a_service_account_token_is_recognised(control_plane: ControlPlane):
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reporter", "namespace": "default"}}
    await control_plane.apply(account)
    token = await control_plane.kubectl("create", "token", "reporter", "-n", "default")
    assert token.code == 0, token.stderr
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token.stdout.strip()}}
    run = await control_plane.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    status = json.loads(run.stdout)["status"]
    assert status["authenticated"] is True
    assert status["user"]["username"] == "system:serviceaccount:default:reporter"


async def test_the_front_proxy_settings_are_published(control_plane: ControlPlane):
    run = await control_plane.kubectl("get", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "-o", "json")
    settings = json.loads(run.stdout)["data"]
    assert settings["client-ca-file"] == control_plane.cluster_ca.certificate.decode()
    assert settings["requestheader-client-ca-file"] == control_plane.front_proxy_ca.certificate.decode()
    assert json.loads(settings["requestheader-allowed-names"]) == ["front-proxy-client"]
    assert json.loads(settings["requestheader-username-headers"]) == ["X-Remote-User"]


async def test_a_client_of_another_authority_is_unauthorized(control_plane: ControlPlane, tmp_path: Path):
    forged = Authority("cluster-ca").client("admin", ("system:masters",))
    (tmp_path / "client.crt").write_bytes(forged.certificate)
    (tmp_path / "client.key").write_bytes(forged.key)
    tls = ssl.create_default_context(cadata=control_plane.cluster_ca.certificate.decode())
    tls.load_cert_chain(tmp_path / "client.crt", tmp_path / "client.key")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{control_plane.url}/api/v1/namespaces", ssl=tls) as response:
            assert response.status == 401
        async with session.get(f"{control_plane.url}/api/v1/namespaces", ssl=control_plane.tls()) as response:
            assert response.status == 200


async def test_a_restarted_kube_apiserver_has_its_data_and_the_new_keys(parts: Parts, tmp_path: Path):
    async with ControlPlane(parts, tmp_path) as plane:
        await plane.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        url, before, replaced = plane.url, plane.daemons[-1], plane.front_proxy_ca.certificate.decode()
        mark = plane.log_mark()
        await plane.restart(front_proxy_ca=Authority("front-proxy-ca"))
        assert (plane.url, before.exit_code() is None, len(plane.daemons)) == (url, False, 2)
        assert (await plane.kubectl("get", "namespace", "shop", "-o", "name")).stdout == "namespace/shop\n"
        added = plane.front_proxy_ca.certificate.decode()
        assert await front_proxy_authorities(plane, until=added) == replaced + added
        assert "Starting" in plane.log_since(mark, lines=1000)
    assert [daemon.exit_code() is None for daemon in plane.daemons] == [False, False]


async def front_proxy_authorities(plane: ControlPlane, until: str) -> str:
    """The certificates the plane publishes, once this one is among them: a controller of kube-apiserver's adds it."""
    path = "jsonpath={.data.requestheader-client-ca-file}"
    for _ in range(100):
        run = await plane.kubectl("get", "configmap", "extension-apiserver-authentication", "-n", "kube-system", "-o", path)
        if until in run.stdout:
            return run.stdout
        await asyncio.sleep(0.1)
    pytest.fail("the new authority is never published")


async def test_a_control_plane_that_cannot_start_says_why_and_leaves_nothing(parts: Parts, tmp_path: Path):
    plane = ControlPlane(parts._replace(kube_apiserver="/bin/false"), tmp_path)
    with pytest.raises(RuntimeError, match="kube-apiserver did not get ready and ended with code 1"):
        await plane.__aenter__()
    assert [(daemon.name, daemon.exit_code() is None) for daemon in plane.daemons] == [("etcd", False), ("kube-apiserver", False)]
