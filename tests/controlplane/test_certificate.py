"""``deploy/issue-certificate``: afterwards the Secret and the APIService fit together, and renewal breaks nothing."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

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


async def run_script(plane: ControlPlane, *arguments: str) -> tuple[int | None, str]:
    """``deploy/issue-certificate``: its exit code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        DEPLOY / "issue-certificate",
        *arguments,
        env=plane.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def issue(plane: ControlPlane, *arguments: str) -> None:
    code, output = await run_script(plane, *arguments, "7")
    assert code == 0, output


async def trust(plane: ControlPlane, *certificates: bytes) -> None:
    """Makes them the ``caBundle``, in this order."""
    patch = {"spec": {"caBundle": base64.b64encode(b"".join(certificates)).decode()}}
    run = await plane.kubectl("patch", "apiservice", API_SERVICE, "--type=merge", "--patch", json.dumps(patch))
    assert run.code == 0, run.stderr


async def bundle(plane: ControlPlane, name: str = API_SERVICE) -> str:
    run = await plane.kubectl("get", "apiservice", name, "-o", "jsonpath={.spec.caBundle}")
    return base64.b64decode(run.stdout).decode()


async def mounted(plane: ControlPlane, folder: Path, name: str = "trafficmetrics-serving") -> Path:
    """The Secret's entries as files, the way the kubelet shows them to the server; ``folder`` must exist."""
    run = await plane.kubectl("get", "secret", name, "-n", NAMESPACE, "-o", "json")
    assert run.code == 0, run.stderr
    for entry, value in json.loads(run.stdout)["data"].items():
        (folder / entry).write_bytes(base64.b64decode(value))
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


async def test_others_find_the_authority_beside_the_certificate(unfilled: ControlPlane, tmp_path: Path):
    for _ in range(2):
        await issue(unfilled)
    folder = await mounted(unfilled, tmp_path)
    assert (folder / "ca.crt").read_text() == await bundle(unfilled)


async def test_every_authority_that_is_still_valid_stays_trusted(unfilled: ControlPlane):
    """cert-manager puts new ones behind old ones, so the one in use may be anywhere (its internal/cainjector/bundle)."""
    now = dt.datetime.now(dt.UTC)
    old, current, over = (authority(name, now + dt.timedelta(days=days)) for name, days in (("a", 9), ("b", 9), ("c", -1)))
    await trust(unfilled, old, over, current, old)
    for _ in range(2):
        await issue(unfilled)
        trusted = (await bundle(unfilled)).encode()
        assert (old in trusted, current in trusted, over in trusted) == (True, True, False)
    assert trusted.count(b"BEGIN CERTIFICATE") == 4


def authority(name: str, end: dt.datetime) -> bytes:
    """One of somebody else, valid until then, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(end - dt.timedelta(days=30)).not_valid_after(end)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def test_a_server_of_another_name_gets_its_own(unfilled: ControlPlane, tmp_path: Path):
    """As a release of the chart may have it; names of Services may be 63 characters long."""
    name = "x" * 63
    registration = manifest("apiservice.yaml")
    registration["spec"]["service"]["name"] = name
    await unfilled.apply(registration)
    await issue(unfilled, "--namespace", NAMESPACE, "--name", name, "--secret", "of-another-name")
    folder = await mounted(unfilled, tmp_path, "of-another-name")
    shake_hands(folder, await bundle(unfilled), f"{name}.{NAMESPACE}.svc")


@pytest.mark.parametrize("option", ["--name", "--namespace"])
async def test_a_server_that_is_not_there_is_told_of(unfilled: ControlPlane, option: str):
    code, said = await run_script(unfilled, option, "other")
    assert (code, "No APIService leads to the Service" in said) == (1, True), said
    assert await bundle(unfilled) == ""


@pytest.mark.parametrize("arguments", [("--name",), ("0",), ("7", "8"), ("--help",)], ids=" ".join)
async def test_arguments_that_mean_nothing_are_refused(control_plane: ControlPlane, arguments: tuple[str, ...]):
    code, said = await run_script(control_plane, *arguments)
    assert (code, said.partition(":")[0]) == (2, "usage")


async def test_a_server_that_makes_its_own_is_left_alone(unfilled: ControlPlane):
    await unfilled.apply(manifest("deployment.yaml"))
    try:
        code, said = await run_script(unfilled)
        assert (code, "deploy/components/own-certificate" in said) == (1, True), said
        assert await bundle(unfilled) == ""
    finally:
        await unfilled.kubectl("delete", "deployment", "trafficmetrics", "-n", NAMESPACE)


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
