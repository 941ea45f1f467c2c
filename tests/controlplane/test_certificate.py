"""``deploy/issue-certificate``: afterwards the Secret and the APIService fit together, and renewal breaks nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.controlplane.plane import API_SERVICE, DEPLOY, NAMESPACE, SERVICE_HOST, ControlPlane, manifest

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="deploy/issue-certificate needs openssl"),
]


@pytest.fixture
async def unfilled(control_plane: ControlPlane) -> AsyncIterator[ControlPlane]:
    """An APIService as ``deploy/base`` makes it."""
    await control_plane.unregister()
    await control_plane.apply(manifest("namespace.yaml"))
    await apply_api_service(control_plane)
    yield control_plane
    await control_plane.unregister()


async def apply_api_service(plane: ControlPlane) -> None:
    run = await plane.kubectl("apply", "-f", str(DEPLOY / "base" / "apiservice.yaml"))
    assert run.code == 0, run.stderr


async def issue(plane: ControlPlane) -> None:
    process = await asyncio.create_subprocess_exec(
        DEPLOY / "issue-certificate",
        "7",
        env=plane.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


async def bundle(plane: ControlPlane, name: str = API_SERVICE) -> str:
    run = await plane.kubectl("get", "apiservice", name, "-o", "jsonpath={.spec.caBundle}")
    return base64.b64decode(run.stdout).decode()


async def mounted(plane: ControlPlane, folder: Path) -> Path:
    """The Secret's entries as files, the way the kubelet shows them to the server; ``folder`` must exist."""
    run = await plane.kubectl("get", "secret", "trafficmetrics-serving", "-n", NAMESPACE, "-o", "json")
    assert run.code == 0, run.stderr
    for name, value in json.loads(run.stdout)["data"].items():
        (folder / name).write_bytes(base64.b64decode(value))
    return folder


def shake_hands(folder: Path, trusted: str, host: str) -> None:
    """One TLS handshake in memory, the client trusting ``trusted`` and expecting ``host``; raises as OpenSSL does."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    client = ssl.create_default_context(cadata=trusted)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)


async def test_the_certificate_verifies_for_the_service(unfilled: ControlPlane, tmp_path: Path):
    await issue(unfilled)
    folder, trusted = await mounted(unfilled, tmp_path), await bundle(unfilled)
    for host in ("trafficmetrics", "trafficmetrics.trafficmetrics", SERVICE_HOST, f"{SERVICE_HOST}.cluster.local"):
        shake_hands(folder, trusted, host)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(folder, trusted, "other.trafficmetrics.svc")


async def test_during_a_renewal_both_certificates_verify(unfilled: ControlPlane, tmp_path: Path):
    folders = [Path(tempfile.mkdtemp(dir=tmp_path)) for _ in range(3)]
    for folder in folders:
        await issue(unfilled)
        await mounted(unfilled, folder)
    trusted = await bundle(unfilled)
    assert trusted.count("BEGIN CERTIFICATE") == 2
    shake_hands(folders[2], trusted, SERVICE_HOST)
    shake_hands(folders[1], trusted, SERVICE_HOST)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(folders[0], trusted, SERVICE_HOST)


async def test_applying_the_manifests_again_keeps_the_bundle(unfilled: ControlPlane):
    await issue(unfilled)
    before = await bundle(unfilled)
    await apply_api_service(unfilled)
    assert await bundle(unfilled) == before


async def test_every_api_of_the_service_trusts_the_certificate_and_no_other_api_does(unfilled: ControlPlane):
    path = DEPLOY / "autoscaling" / "apiservices.yaml"
    ours = [document["metadata"]["name"] for document in yaml.safe_load_all(path.read_text())]
    foreign = manifest("apiservice.yaml")
    foreign["metadata"]["name"] = "v1.foreign.example.com"
    foreign["spec"] |= {"group": "foreign.example.com", "version": "v1"}
    foreign["spec"]["service"]["namespace"] = "foreign"
    try:
        assert (await unfilled.kubectl("apply", "-f", str(path))).code == 0
        await unfilled.apply(foreign)
        await issue(unfilled)
        trusted = await bundle(unfilled)
        assert "BEGIN CERTIFICATE" in trusted
        assert [await bundle(unfilled, name) for name in ours] == [trusted, trusted]
        assert await bundle(unfilled, "v1.foreign.example.com") == ""
    finally:
        await unfilled.kubectl("delete", "apiservice", "v1.foreign.example.com", *ours, "--ignore-not-found")
