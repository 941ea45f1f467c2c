"""A real etcd and kube-apiserver for the objects of a benchmark, in a directory of their own.

There are no nodes and no controllers: objects are as their writer leaves them. Whoever has the token may do everything.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import authority, kubeconfig
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from processes import LOOPBACK, Process, free_port, running

__all__ = ["HEADERS", "ControlPlane", "control_plane"]

HEADERS = {"Authorization": "Bearer bench"}
"""What every request to it carries: the token of the kubeconfig."""

_FINDER = Path(__file__).parent.parent / "scripts" / "control-plane-part"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A running kube-apiserver, and a ``kubeconfig`` for it."""

    server: Process
    kubeconfig: Path


@contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """Both servers, empty, from the moment the second is ready."""
    etcd, kube_apiserver = _part("etcd"), _part("kube-apiserver")
    with tempfile.TemporaryDirectory(prefix="trafficmetrics-bench-") as place:
        directory, client, peer, secure = Path(place), free_port(), free_port(), free_port()
        with (
            running(_etcd(etcd, directory, client, peer), client, "/health", directory / "etcd.log"),
            running(
                _kube_apiserver(kube_apiserver, directory, client, secure),
                secure,
                "/readyz",
                directory / "kube-apiserver.log",
                scheme="https",
            ) as server,
        ):
            access = directory / "kubeconfig"
            access.write_text(json.dumps(kubeconfig(server.url)), encoding="utf-8")
            yield ControlPlane(server, access)


def _part(name: str) -> str:
    """The path of a command, found as the tests find it; nothing is built."""
    found = subprocess.run([_FINDER, "--no-build", name], capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"{found.stderr.strip()}, or leave this benchmark out")
    return found.stdout.strip()


def _etcd(etcd: str, directory: Path, client: int, peer: int) -> list[str]:
    clients, peers = f"http://{LOOPBACK}:{client}", f"http://{LOOPBACK}:{peer}"
    return [
        etcd,
        f"--data-dir={directory / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
    ]


def _kube_apiserver(kube_apiserver: str, directory: Path, etcd: int, port: int) -> list[str]:
    key = ec.generate_private_key(ec.SECP256R1())
    private, public, people, clients = (directory / name for name in ("tokens.key", "tokens.pub", "people.csv", "clients.crt"))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    people.write_text("bench,bench,1,system:masters\n", encoding="utf-8")
    clients.write_bytes(authority())
    people.chmod(0o600)
    return [
        kube_apiserver,
        f"--etcd-servers=http://{LOOPBACK}:{etcd}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--cert-dir={directory / 'certificates'}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={people}",
        # The server under measurement asks whose client certificates to let in, and there must be somebody.
        f"--client-ca-file={clients}",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={private}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/16",
        # Without a controller manager no namespace gets its default account, and every pod would be refused.
        "--disable-admission-plugins=ServiceAccount",
        "--endpoint-reconciler-type=none",
    ]
