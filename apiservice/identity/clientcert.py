"""The second way to be somebody: a client certificate of the cluster's own authority, as administrators have in their kubeconfig."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiservice.identity.pool import Pool, Untrusted
from apiservice.identity.user import User

__all__ = ["client_certificate_user"]

_CREDENTIAL = "authentication.kubernetes.io/credential-id"
_UID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
"""The attribute of a subject that holds a user's UID (``k8s.io/apimachinery/pkg/apis/asn1/oid.go``, since Kubernetes 1.33)."""


def client_certificate_user(
    chain: Sequence[bytes], pool: Pool | None, now: dt.datetime, lifetime: Callable[[float], None] | None = None
) -> User | None:
    """The common name as the user, the organizations as the groups; None without a certificate, an authority or a common name.

    ``lifetime`` is told for how many more seconds a certificate of ``pool`` is valid.

    Raises :class:`apiservice.identity.pool.Untrusted` when the certificate does not come from ``pool``, or its name cannot be read
    as that of one user: it has several UIDs or an empty one, or parts that are no text.
    """
    if not chain or pool is None:
        return None
    certificate = pool.verify(chain, now)
    if lifetime is not None:
        lifetime((certificate.not_valid_after_utc - now).total_seconds())
    subject = certificate.subject
    if not all(isinstance(attribute.value, str) for attribute in subject):
        raise Untrusted(f"certificate {subject.rfc4514_string()!r}: not everything in its name is text")
    names = _values(subject, NameOID.COMMON_NAME)
    if not names or not names[-1]:
        return None
    return User(
        name=names[-1],
        uid=_uid(subject),
        groups=tuple(_values(subject, NameOID.ORGANIZATION_NAME)),
        extra={_CREDENTIAL: (f"X509SHA256={hashlib.sha256(chain[0]).hexdigest()}",)},
    )


def _uid(subject: x509.Name) -> str:
    found = _values(subject, _UID)
    if found and (len(found) > 1 or not found[0]):
        raise Untrusted(f"certificate {subject.rfc4514_string()!r} has {len(found)} UIDs; a user has one, and it is not empty")
    return found[0] if found else ""


def _values(subject: x509.Name, attribute: x509.ObjectIdentifier) -> list[str]:
    return [str(value.value) for value in subject.get_attributes_for_oid(attribute)]
