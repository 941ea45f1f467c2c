"""Handshakes that fail, counted: a connection is nobody's business before it, and its protocol is made only after it.

Neither asyncio nor uvloop tells of a failed handshake. Both call their protocol when it has succeeded, and forget it when the connection
is lost before: uvloop at once, asyncio when garbage is collected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

__all__ = ["Doorstep"]


class Doorstep(asyncio.Protocol):
    """Stands in for the protocol of a connection until its TLS handshake is complete; then ``make`` makes the one that serves it.

    ``failed`` is called when the connection is lost before. A client that scans the port costs no more than this object.
    """

    __slots__ = ("_failed", "_make")

    def __init__(self, make: Callable[[], asyncio.Protocol], failed: Callable[[], None]) -> None:
        self._make = make
        self._failed: Callable[[], None] | None = failed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is complete."""
        self._failed = None
        protocol = self._make()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def __del__(self) -> None:
        if self._failed is not None:
            self._failed()
