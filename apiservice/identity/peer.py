"""The certificates a client showed in the TLS handshake.

The handshake has verified them against all authorities the server knows, in one store. That is not yet an identity: which authority
vouches decides what the certificate may say (see :mod:`apiservice.identity.pool`), so the chain is verified again, pool by pool.
"""

from __future__ import annotations

import _ssl
import asyncio
import ssl
from typing import Any

__all__ = ["asked_for_certificate", "peer_chain"]


def peer_chain(transport: asyncio.BaseTransport | None) -> tuple[bytes, ...]:
    """The client's certificate and the intermediates it sent, DER, its own first; empty without TLS or without a certificate.

    ``transport`` is that of the request (``request.transport``): None once the client is gone.
    """
    tls: Any = None if transport is None else transport.get_extra_info("ssl_object")
    leaf: bytes | None = None if tls is None else tls.getpeercert(binary_form=True)
    if not leaf:
        return ()
    if hasattr(tls, "get_unverified_chain"):  # public from Python 3.13 on
        sent = tuple(tls.get_unverified_chain())
    else:
        sent = tuple(certificate.public_bytes(_ssl.ENCODING_DER) for certificate in tls._sslobj.get_unverified_chain())  # noqa: SLF001
    return (leaf, *(certificate for certificate in sent if certificate != leaf))


def asked_for_certificate(transport: asyncio.BaseTransport | None) -> bool:
    """Whether the client could show one: the handshake asks for none while no authority is known. True without TLS."""
    tls: Any = None if transport is None else transport.get_extra_info("ssl_object")
    return tls is None or tls.context.verify_mode is not ssl.CERT_NONE
