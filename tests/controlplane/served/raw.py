"""HTTP as no client would write it: bytes over TLS, and whatever comes back."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple

from tests.controlplane.commands import LOOPBACK

__all__ = ["Answers", "exchange", "request"]

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})", re.MULTILINE)


class Answers(NamedTuple):
    """All bytes a server answered on one connection; ``closed`` when the server ended it."""

    data: bytes
    closed: bool

    @property
    def refused(self) -> bool:
        """Whether it was closed without a word of HTTP: so end handshakes, which with TLS 1.3 a client learns after its own part."""
        return self.closed and not self.data

    @property
    def statuses(self) -> list[int]:
        """Those of the responses, in their order."""
        return [int(status) for status in _STATUS.findall(self.data)]


def request(path: str, *lines: bytes, method: str = "GET", body: bytes = b"") -> bytes:
    """One request that closes its connection; ``lines`` are header lines, or whatever stands in their place."""
    head = [f"{method} {path} HTTP/1.1".encode(), b"Host: localhost", b"Accept: application/json", b"Connection: close", *lines]
    return b"\r\n".join([*head, b"", body])


async def exchange(port: int, tls: ssl.SSLContext, data: bytes, patience: float = 10) -> Answers:
    """Sends these bytes to a server on loopback, and reads until it closes the connection, or is silent for so many seconds."""
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls, server_hostname=LOOPBACK)
    except OSError:
        return Answers(b"", closed=True)
    received, closed = b"", True
    try:
        writer.write(data)
        async with asyncio.timeout(patience):
            while chunk := await reader.read(65536):
                received += chunk
    except TimeoutError:
        closed = False
    except OSError:
        pass
    finally:
        writer.transport.abort()
    return Answers(received, closed)
