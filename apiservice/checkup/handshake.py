"""Asking the server for its certificate, as kube-apiserver does: under the name of the Service, whatever address it has."""

from __future__ import annotations

import asyncio
import ssl

from apiservice.checkup.certificate import Shown
from apiservice.identity.peer import peer_chain

__all__ = ["shown_at"]

_PATIENCE = 3.0
"""Seconds for one handshake."""


async def shown_at(host: str, port: int, name: str, authorities: str) -> Shown:
    """What is shown at an address to who asks for ``name``; verified with ``authorities`` (PEM), if there are any.

    Nothing is sent but the handshakes. Nothing is raised.
    """
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        chain = await _chain(host, port, name, _context())
    except (OSError, ValueError) as error:
        return Shown(where, failure=_reason(error))
    try:
        if authorities:
            await _chain(host, port, name, _context(authorities))
    except ssl.SSLCertVerificationError as error:
        return Shown(where, chain, refusal=error.verify_message)
    except (OSError, ValueError) as error:
        return Shown(where, chain, refusal=_reason(error))
    return Shown(where, chain)


async def _chain(host: str, port: int, name: str, context: ssl.SSLContext) -> tuple[bytes, ...]:
    async with asyncio.timeout(_PATIENCE):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        return peer_chain(writer.transport)
    finally:
        writer.transport.abort()


def _context(authorities: str = "") -> ssl.SSLContext:
    """One that verifies as Go does, or, to see what is shown to others, not at all: nothing is believed then, and nothing said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not authorities:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.hostname_checks_common_name = False
    # An intermediate may be trusted as it is, and extensions that RFC 5280 asks for may be missing.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authorities)
    return context


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_PATIENCE:g}s"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake fails ({error.reason or error})"
    if isinstance(error, UnicodeError):
        return "no name of a host"
    return str(getattr(error, "strerror", "") or error)
