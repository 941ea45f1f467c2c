"""APIServices: whose ``caBundle`` is to be kept, what it has to hold, and which are somebody else's.

Whom clients have to trust is added at once. What is trusted beside it is taken out after some minutes: another replica may serve with it
and not have said so yet, as all those do that are being replaced while a server changes from one way of having a certificate to another.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from apiservice.issuance.contents import bundled, pem_of

__all__ = ["GIVEN", "LINGERING", "Bystanders", "Registration", "read_registration"]

GIVEN = "metrics.smi-spec.io/ca-bundle"
"""The annotation of an APIService whose ``caBundle`` is given: with the value "given" this server leaves it alone."""

LINGERING = 600.0
"""Seconds that an authority nobody here knows stays in a ``caBundle``."""

_INJECTED = tuple(f"cert-manager.io/inject-{source}" for source in ("ca-from", "ca-from-secret", "apiserver-ca"))
"""Annotations by which cert-manager fills in a ``caBundle`` (cert-manager/cert-manager, pkg/apis/certmanager/v1/types.go)."""


@dataclass(frozen=True, slots=True)
class Registration:
    """What an APIService says. ``bundle`` is PEM; ``version`` its ``resourceVersion``.

    ``left`` is why its ``caBundle`` is left alone, "" when it is this server's to keep. ``here`` says that requests are sent to this
    server.
    """

    name: str
    version: str
    bundle: bytes
    left: str = ""
    here: bool = True

    @property
    def trusts(self) -> tuple[x509.Certificate, ...]:
        """The authorities in its bundle."""
        return bundled(self.bundle)[0]

    @property
    def damaged(self) -> bool:
        """Whether a part of its bundle cannot be read."""
        return bundled(self.bundle)[1]


def read_registration(document: Mapping[str, Any], service: str, namespace: str) -> Registration:
    """An APIService, as the server behind that Service has to see it."""
    metadata, spec = document.get("metadata") or {}, document.get("spec") or {}
    name = str(metadata.get("name") or "")
    elsewhere = _elsewhere(spec.get("service"), (namespace, service))
    left = elsewhere or _left(name, metadata.get("annotations") or {}, spec)
    version = str(metadata.get("resourceVersion") or "")
    return Registration(name, version, _decoded(spec.get("caBundle")), left, here=not elsewhere)


def _elsewhere(target: Mapping[str, Any] | None, ours: tuple[str, str]) -> str:
    """Why requests do not come to this server, or ""."""
    if not target:
        return "it is served by kube-apiserver itself"
    to = (target.get("namespace"), target.get("name"))
    if to == ours:
        return ""
    return f"it leads to Service {to[0]}/{to[1]}, not to {ours[0]}/{ours[1]}: somebody else serves this group"


def _left(name: str, annotations: Mapping[str, str], spec: Mapping[str, Any]) -> str:
    """Why the bundle is not this server's to keep, or ""."""
    injected = next((annotation for annotation in _INJECTED if annotation in annotations), "")
    if injected:
        return f"cert-manager fills it in ({injected})"
    if annotations.get(GIVEN) == "given":
        return f"{GIVEN}: given says that somebody else fills it in"
    if spec.get("insecureSkipTLSVerify"):
        # In YAML, because logs escape the quotation marks of JSON.
        remedy = f"kubectl patch apiservice {name} --type=merge -p 'spec: {{insecureSkipTLSVerify: false}}'"
        return f"with insecureSkipTLSVerify: true Kubernetes verifies no certificate and takes no caBundle; to have it verified: {remedy}"
    return ""


def _decoded(bundle: object) -> bytes:
    try:
        return base64.b64decode(str(bundle or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""


class Bystanders:
    """What ``caBundle``s hold beside what they have to, and since when this replica has seen it."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, x509.Certificate], float] = {}

    def bundle(
        self, registration: Registration, trusted: Sequence[x509.Certificate], now: dt.datetime, elapsed: float
    ) -> bytes | None:
        """The bundle an APIService has to have; None when it has it. ``elapsed`` is seconds of a clock that never goes back."""
        present = registration.trusts
        strange = [each for each in present if each not in trusted and now <= each.not_valid_after_utc]
        known = {key: since for key, since in self._since.items() if key[0] != registration.name}
        known |= {(registration.name, each): self._since.get((registration.name, each), elapsed) for each in strange}
        self._since = known
        wanted = (*trusted, *(each for each in strange if elapsed - known[registration.name, each] < LINGERING))
        return None if set(wanted) == set(present) and not registration.damaged else pem_of(wanted)

    def forget(self, name: str) -> None:
        """An APIService is not there any more."""
        self._since = {key: since for key, since in self._since.items() if key[0] != name}
