"""The server's side of TLS: its own certificate, and whose client certificates it lets in; both may change while it serves.

Python cannot take an authority out of an ``SSLContext``. So the context the listening socket has is only a door: every handshake is
handed on to the newest inner context, made afresh from the files and the trusted authorities whenever one of them changes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypedDict

from cryptography import x509

from apiservice.clock import Clock
from metrics_api.errors import BadConfiguration

__all__ = ["PERIOD", "SERVER_LIMITS", "ServingTLS"]

PERIOD = 10.0
"""Seconds between two looks at the files and the authorities."""

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

logger = logging.getLogger(__name__)


class _Limits(TypedDict):
    max_headers: int
    max_field_size: int
    max_line_size: int
    keepalive_timeout: float
    auto_decompress: bool


SERVER_LIMITS: Final[_Limits] = {
    "max_headers": 4096,
    "max_field_size": 65_536,
    "max_line_size": 65_536,
    "keepalive_timeout": 120.0,
    "auto_decompress": False,
}
"""Arguments for ``aiohttp.web.AppRunner``.

The aggregator sends one header for each group of a user, and some users have hundreds. Seconds an idle connection is kept: Go's
clients close theirs after 90, and must be the first to do so, or a request could meet a connection that is just being closed. Bodies
are not read, so nothing is unpacked either: what is not what ``Content-Encoding`` says would be an error nobody handles.
"""


class _Sources(NamedTuple):
    certificate: Path
    key: Path
    authorities: str
    digest: bytes
    leaf: x509.Certificate
    secret: bytes


class ServingTLS:
    """``context`` is for the listening socket.

    ``files`` tells the PEM files of certificate and key, each time they are read; ``authorities`` the PEM of every authority whose client
    certificates may be shown ("" while none is known: then nobody is asked for a certificate).

    Raises :class:`metrics_api.errors.BadConfiguration` when the first pair cannot be used.
    """

    def __init__(self, files: Callable[[], tuple[Path, Path]], authorities: Callable[[], str], clock: Clock) -> None:
        self._files = files
        self._authorities = authorities
        self._clock = clock
        try:
            sources = self._sources()
            self.context = self._inner = _context(sources)
        except (OSError, ValueError) as error:
            raise BadConfiguration([_complaint(error)]) from error
        self._made_of = sources
        self._one_at_a_time = asyncio.Lock()
        self.context.sni_callback = self._choose

    async def refresh(self) -> bool:
        """Whether a change was found and new connections now see it. A pair that cannot be used leaves the old one in place."""
        async with self._one_at_a_time:
            try:
                changed = await asyncio.to_thread(self._changed)
            except (OSError, ValueError, BadConfiguration) as error:
                logger.error("the serving certificate read before stays in use: %s", _complaint(error))  # noqa: TRY400 - no trace needed
                return False
            if changed is None:
                return False
            self._inner = changed
            # Whether a certificate is asked for is decided before the handshake is handed on.
            self.context.verify_mode = changed.verify_mode
        logger.info("new connections are served with a changed certificate or changed client authorities")
        return True

    async def keep_fresh(self) -> None:
        """Look for changes every ten seconds, for ever."""
        while True:
            await self._clock.sleep(PERIOD)
            await self.refresh()

    async def follow(self, changed: asyncio.Event) -> None:
        """Look at once whenever ``changed`` is set, and clear it, for ever: a new front proxy is not kept waiting."""
        while True:
            await changed.wait()
            changed.clear()
            await self.refresh()

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._inner

    def _changed(self) -> ssl.SSLContext | None:
        """A context made of what is there now; None when nothing has changed since the last one was made."""
        sources = self._sources()
        if sources.digest == self._made_of.digest:
            return None
        context = _context(sources)
        self._made_of = sources
        return context

    def secret(self) -> bytes:
        """A key all replicas have that serve with the same private key, and nobody else; of the pair in use now."""
        return self._made_of.secret

    def expires(self) -> float:
        """When the certificate that is served now ends, in Unix time."""
        return self._made_of.leaf.not_valid_after_utc.timestamp()

    def unusable(self) -> str | None:
        """The readiness check: why no client can accept the certificate that is served now, or None."""
        leaf, now = self._made_of.leaf, self._clock.now()
        if now > leaf.not_valid_after_utc:
            return f"the serving certificate expired at {leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
        if now < leaf.not_valid_before_utc:
            return f"the serving certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
        return None

    def _sources(self) -> _Sources:
        certificate, key = self._files()
        authorities = self._authorities()
        digest = hashlib.sha256()
        chain, private = certificate.read_bytes(), key.read_bytes()
        for part in (chain, private, authorities.encode()):
            digest.update(hashlib.sha256(part).digest())
        secret = hmac.digest(private, b"what replicas sign for each other", "sha256")
        return _Sources(certificate, key, authorities, digest.digest(), _leaf(chain), secret)


def _leaf(chain: bytes) -> x509.Certificate:
    """The first certificate, which is the one served. Raises ValueError when there is none, or one that cannot be read."""
    try:
        leaf = x509.load_pem_x509_certificate(chain)
        # These are parsed only when they are asked for, which they are as long as it is served.
        _ = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError(f"the serving certificate cannot be read: {error}") from error
    return leaf


def _context(sources: _Sources) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    # A resumed session would not carry the intermediates of the client's certificate; Go clients do not resume anyway.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    # Intermediates may be trusted as they are, as Kubernetes allows; extensions RFC 5280 asks for may be missing, as they often are.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # An empty password makes an encrypted key an error; without one, OpenSSL would ask at the terminal.
    context.load_cert_chain(sources.certificate, sources.key, password=b"")
    if sources.authorities:
        context.load_verify_locations(cadata=sources.authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _complaint(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"the serving certificate and key do not make a pair that can be used: {error.reason or error}"
    if isinstance(error, OSError):
        return f"serving certificate {error.filename}: {error.strerror}"
    return str(error)
