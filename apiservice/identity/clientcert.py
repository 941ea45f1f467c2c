"""The second way to be somebody: a client certificate of the cluster's own authority, as administrators have in their kubeconfig."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiservice.identity.pool import Pool
from apiservice.identity.user import User

__all__ = ["client_certificate_user"]

_CREDENTIAL = "authentication.kubernetes.io/credential-id"


def client_certificate_user(chain: Sequence[bytes], pool: Pool | None, now: dt.datetime) -> User | None:
    """The common name as the user, the organizations as the groups; None without a certificate, an authority or a common name.

    Raises :class:`apiservice.identity.pool.Untrusted` when the certificate does not come from ``pool``.
    """
    if not chain or pool is None:
        return None
    subject = pool.verify(chain, now).subject
    names = _values(subject, NameOID.COMMON_NAME)
    if not names or not names[-1]:
        return None
    return User(
        name=names[-1],
        groups=tuple(_values(subject, NameOID.ORGANIZATION_NAME)),
        extra={_CREDENTIAL: (f"X509SHA256={hashlib.sha256(chain[0]).hexdigest()}",)},
    )


def _values(subject: x509.Name, attribute: x509.ObjectIdentifier) -> list[str]:
    return [value.value for value in subject.get_attributes_for_oid(attribute) if isinstance(value.value, str)]
