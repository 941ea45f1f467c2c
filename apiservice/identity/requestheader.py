"""The first way to be somebody: kube-apiserver's aggregator vouches for its user in ``X-Remote-*`` headers.

Anybody can write such headers. They are read only after the client has shown a certificate of the front proxy's own authority, and a
name that authority's configuration allows.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography.x509.oid import NameOID
from multidict import CIMultiDictProxy

from apiservice.identity.pool import Pool, Untrusted
from apiservice.identity.user import User, readable

__all__ = ["FrontProxy", "front_proxy_user"]

_BROKEN_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """Who may vouch for users, and how. Empty ``allowed_names`` allow any certificate of the pool.

    ``uid_headers`` stay empty unless the cluster lists them: older kube-apiservers pass on a UID header their client made up.
    """

    pool: Pool
    allowed_names: tuple[str, ...] = ()
    username_headers: tuple[str, ...] = ("X-Remote-User",)
    uid_headers: tuple[str, ...] = ()
    group_headers: tuple[str, ...] = ("X-Remote-Group",)
    extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)


def front_proxy_user(
    headers: CIMultiDictProxy[str], chain: Sequence[bytes], proxy: FrontProxy | None, now: dt.datetime
) -> User | None:
    """The user a front proxy names; None when no certificate is shown, no proxy is known, or it names nobody.

    Raises :class:`Untrusted` when the certificate is not a front proxy's. So it does for every other client certificate too; the
    caller goes on to ask what else that certificate may be.
    """
    if not chain or proxy is None:
        return None
    certificate = proxy.pool.verify(chain, now)
    if proxy.allowed_names:
        names = [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        if not names or names[-1] not in proxy.allowed_names:
            raise Untrusted(f"common name {names[-1] if names else ''!r} is not among those allowed for a front proxy")

    name = _first(headers, proxy.username_headers)
    if not name:
        return None
    groups = (value for header in proxy.group_headers for value in headers.getall(header, ()))
    return User(
        name=name,
        uid=_first(headers, proxy.uid_headers),
        groups=tuple(readable(group) for group in groups if group),
        extra=_extra(headers, proxy.extra_prefixes),
    )


def _first(headers: CIMultiDictProxy[str], names: Sequence[str]) -> str:
    return next((readable(value) for name in names if (value := headers.get(name))), "")


def _extra(headers: CIMultiDictProxy[str], prefixes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    extra: defaultdict[str, list[str]] = defaultdict(list)
    for prefix in map(str.lower, prefixes):
        for header, value in headers.items():
            if header.lower().startswith(prefix):
                extra[_decoded(header[len(prefix) :].lower())].append(readable(value))
    return {key: tuple(values) for key, values in extra.items()}


def _decoded(key: str) -> str:
    """Percent-decoded; a key with a broken escape is kept as it came."""
    return readable(key if _BROKEN_ESCAPE.search(key) else unquote(key, errors="surrogateescape"))
