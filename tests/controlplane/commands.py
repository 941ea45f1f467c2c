"""The command lines of a control plane, and the keys they name."""

from __future__ import annotations

import asyncio
import random
import socket
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from tests.controlplane.audit import POLICY
from tests.controlplane.pki import Authority, Pair, private_key_pem, public_key_pem

__all__ = ["LOOPBACK", "etcd_command", "free_ports", "kube_apiserver_command", "write_front_proxy_keys", "write_keys"]

LOOPBACK = "127.0.0.1"


def etcd_command(etcd: str, data: Path, port: int, peer_port: int) -> list[str]:
    """A cluster of one, without TLS."""
    client, peer = f"http://{LOOPBACK}:{port}", f"http://{LOOPBACK}:{peer_port}"
    return [
        etcd,
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def write_keys(keys: Path, cluster_ca: Authority, front_proxy_ca: Authority) -> None:
    """Makes the folder ``keys`` with every key and certificate the command below names."""
    keys.mkdir()
    (keys / "cluster-ca.crt").write_bytes(cluster_ca.certificate)
    write_front_proxy_keys(keys, front_proxy_ca)
    _write(keys, "serving", cluster_ca.server("kubernetes.default.svc", "localhost", LOOPBACK))
    tokens = ec.generate_private_key(ec.SECP256R1())
    (keys / "tokens.pub").write_bytes(public_key_pem(tokens))
    (keys / "tokens.key").write_bytes(private_key_pem(tokens))


def write_front_proxy_keys(keys: Path, front_proxy_ca: Authority) -> None:
    """Those of the aggregator, in place of others perhaps."""
    (keys / "front-proxy-ca.crt").write_bytes(front_proxy_ca.certificate)
    _write(keys, "front-proxy-client", front_proxy_ca.client("front-proxy-client"))


async def kube_apiserver_command(kube_apiserver: str, keys: Path, audit_log: Path, etcd_port: int, secure_port: int) -> list[str]:
    """RBAC, the aggregation layer as kubeadm sets it up, and nothing that needs nodes or a controller manager.

    Writes the audit policy it names into ``keys`` too.
    """
    policy = keys / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(POLICY))
    command = [
        kube_apiserver,
        f"--etcd-servers=http://{LOOPBACK}:{etcd_port}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={secure_port}",
        f"--tls-cert-file={keys}/serving.crt",
        f"--tls-private-key-file={keys}/serving.key",
        f"--cert-dir={keys}",
        "--authorization-mode=RBAC",
        f"--client-ca-file={keys}/cluster-ca.crt",
        f"--requestheader-client-ca-file={keys}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={keys}/front-proxy-client.crt",
        f"--proxy-client-key-file={keys}/front-proxy-client.key",
        f"--service-account-key-file={keys}/tokens.pub",
        f"--service-account-signing-key-file={keys}/tokens.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        # Without a controller manager no namespace gets its default account, and every pod would be refused.
        "--disable-admission-plugins=ServiceAccount",
        # It would publish the loopback address as the endpoint of "kubernetes", which validation refuses.
        "--endpoint-reconciler-type=none",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={audit_log}",
        "--audit-log-format=json",
    ]
    if await _knows(kube_apiserver, "--requestheader-uid-headers"):
        command.append("--requestheader-uid-headers=X-Remote-Uid")
    return command


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below the range Linux gives to outgoing connections: none of those can take one meanwhile."""
    free: list[int] = []
    while len(free) < count:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        if port not in free:
            free.append(port)
    return free


async def _knows(command: str, flag: str) -> bool:
    """Whether this release of the command has the flag; kube-apiserver got some of its later than others."""
    process = await asyncio.create_subprocess_exec(
        command, "--help", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    text, _ = await process.communicate()
    return flag.encode() in text


def _write(folder: Path, name: str, pair: Pair) -> None:
    (folder / f"{name}.crt").write_bytes(pair.certificate)
    (folder / f"{name}.key").write_bytes(pair.key)
