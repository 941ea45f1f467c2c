"""Who talks to the control plane: client certificates and the kubeconfig files that carry them."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.pki import Authority

__all__ = ["ADMIN", "NAMESPACE", "SERVER", "Person", "move_in"]

NAMESPACE = "trafficmetrics"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose client certificate says exactly this; ``system:authenticated`` is added by kube-apiserver."""

    name: str
    groups: tuple[str, ...] = ()


ADMIN = Person("admin", ("system:masters",))
SERVER = Person(
    f"system:serviceaccount:{NAMESPACE}:trafficmetrics",
    ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"),
)
"""The extension server's own identity: with it, a test has just the rights ``deploy/base/rbac.yaml`` gives."""


def move_in(person: Person, home: Path, url: str, authority: Authority) -> None:
    """Fills a home folder: ``client.crt``, ``client.key``, and a ``kubeconfig`` for the kube-apiserver at ``url``.

    ``authority`` is the cluster's: it signs the person's certificate, and the kubeconfig trusts it.
    """
    home.mkdir(parents=True)
    pair = authority.client(person.name, person.groups)
    (home / "client.crt").write_bytes(pair.certificate)
    (home / "client.key").write_bytes(pair.key)
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(authority.certificate).decode()}
    user = {"client-certificate": str(home / "client.crt"), "client-key": str(home / "client.key")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    (home / "kubeconfig").write_text(json.dumps(config))
