"""What the Secret holds: an authority, a leaf of it, and everybody whom clients have to trust; read with every doubt, written whole.

The Secret is of type ``kubernetes.io/tls`` with two keys more: ``ca.key`` is the authority's, and ``ca.crt`` holds the authority first
and behind it those whose leaves a replica may still serve. Whoever verifies the server trusts all of ``ca.crt``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from apiservice.certificates import Signed, certificate_pem, is_readable, key_pem, matching

__all__ = ["LABELS", "Contents", "Found", "bundled", "certificates_of", "is_foreign", "pem_of", "read_contents", "written"]

LABELS = {"app.kubernetes.io/name": "trafficmetrics"}
"""What every Secret carries that was written here."""

_AUTHORITIES, _AUTHORITY_KEY, _LEAF, _LEAF_KEY = "ca.crt", "ca.key", "tls.crt", "tls.key"
_BEGIN = b"-----BEGIN "
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-:]*-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Contents:
    """A whole Secret: ``leaf`` is signed by ``authority``, which is the first of ``trusted``."""

    authority: Signed
    leaf: Signed
    trusted: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What of a Secret can be read; None for a pair that is absent, broken, or does not belong together."""

    authority: Signed | None = None
    leaf: Signed | None = None
    trusted: tuple[x509.Certificate, ...] = ()

    @property
    def contents(self) -> Contents | None:
        """The same, when nothing is missing."""
        if self.authority is None or self.leaf is None:
            return None
        return Contents(self.authority, self.leaf, self.trusted)


def read_contents(data: Mapping[str, object]) -> Found:
    """What the ``data`` of a Secret says; nothing in it is taken on trust."""
    trusted = certificates_of(_decoded(data, _AUTHORITIES))
    return Found(
        matching(trusted, _decoded(data, _AUTHORITY_KEY)),
        # The first is the one that is served; there is no chain between it and its authority.
        matching(certificates_of(_decoded(data, _LEAF))[:1], _decoded(data, _LEAF_KEY)),
        trusted,
    )


def is_foreign(secret: Mapping[str, Any]) -> bool:
    """Whether a Secret holds a certificate that somebody else has made: one beside which there never was an authority's key."""
    data = secret.get("data") or {}
    labels = (secret.get("metadata") or {}).get("labels") or {}
    held = any(data.get(key) for key in (_AUTHORITIES, _LEAF, _LEAF_KEY))
    return held and not data.get(_AUTHORITY_KEY) and not LABELS.items() <= labels.items()


def written(contents: Contents) -> dict[str, str]:
    """The ``data`` of a Secret with these contents."""
    texts = {
        _AUTHORITIES: pem_of(contents.trusted),
        _AUTHORITY_KEY: key_pem(contents.authority),
        _LEAF: certificate_pem(contents.leaf[0]),
        _LEAF_KEY: key_pem(contents.leaf),
    }
    return {key: base64.b64encode(text).decode() for key, text in texts.items()}


def certificates_of(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM text, each once; none when a part of it is broken."""
    try:
        certificates = tuple(dict.fromkeys(x509.load_pem_x509_certificates(pem)))
    except (ValueError, x509.InvalidVersion):
        return ()
    return certificates if all(map(is_readable, certificates)) else ()


def bundled(pem: bytes) -> tuple[tuple[x509.Certificate, ...], bool]:
    """The certificates of a ``caBundle``, each once, and whether there is anything else in it.

    What cannot be read is passed over, as kube-apiserver does (Go's ``crypto/x509``, CertPool.AppendCertsFromPEM): the others are
    trusted all the same.
    """
    found = [certificates_of(block) for block in _BLOCK.findall(pem)]
    certificates = tuple(dict.fromkeys(each for certificate in found for each in certificate))
    return certificates, pem.count(_BEGIN) > sum(map(len, found))


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Certificates as one PEM text."""
    return b"".join(map(certificate_pem, certificates))


def _decoded(data: Mapping[str, object], key: str) -> bytes:
    try:
        return base64.b64decode(str(data.get(key) or ""), validate=True)
    except (binascii.Error, ValueError):
        return b""
