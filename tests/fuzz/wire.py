"""HTTP/1.1 as bytes: requests no client library would send, and a reader of responses that forgives nothing."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

__all__ = ["PATIENCE", "BrokenOff", "Connection", "Misbehaved", "Open", "Request", "Response"]

PATIENCE: Final = 10.0
"""Seconds after which a server that has not answered counts as hanging."""

_NO_BODY = frozenset({204, 304})


class Misbehaved(AssertionError):
    """The server broke a rule."""


class BrokenOff(Misbehaved):
    """A connection ended in the middle of an answer."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. ``target`` is what stands between method and version; ``body`` is sent as it is."""

    method: bytes
    target: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    version: bytes = b"HTTP/1.1"

    def encode(self) -> bytes:
        """The bytes on the wire."""
        lines = [b"%b %b %b" % (self.method, self.target, self.version), *(b"%b: %b" % header for header in self.headers)]
        return b"\r\n".join([*lines, b"", self.body])

    def header(self, name: bytes) -> bytes:
        """The first value of a header, in lower case like ``name``; empty without one."""
        return next((value for key, value in self.headers if key.lower() == name), b"")


@dataclass(frozen=True, slots=True)
class Response:
    """One response. Names of ``headers`` are in lower case; ``version`` is that of the protocol."""

    version: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for key, value in self.headers if key == name]

    def value(self, name: str) -> str:
        """The value of a header; empty without one."""
        return next(iter(self.values(name)), "")

    @property
    def closes(self) -> bool:
        """Whether it says that nothing follows on this connection."""
        said = self.value("connection").lower()
        return said == "close" if self.version == "HTTP/1.1" else said != "keep-alive"


@dataclass(slots=True)
class Connection:
    """A connection to a loopback port; over TLS with a ``context``."""

    port: int
    context: ssl.SSLContext | None = None
    patience: float = PATIENCE
    _socket: socket.socket = field(init=False)
    _buffer: bytearray = field(init=False, default_factory=bytearray)
    _ended: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self.port), self.patience)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            self._socket = self.context.wrap_socket(self._socket, server_hostname="127.0.0.1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """End it with an RST, as a client that crashes."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def finish(self) -> None:
        """Tell the server that nothing more will be sent, and go on reading."""
        # Past the TLS layer, which would not read any more either.
        socket.socket.shutdown(self._socket, socket.SHUT_WR)

    def send(self, data: bytes) -> bool:
        """Whether the server took it all; it need not, once it has answered and closed."""
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise Misbehaved(f"the server takes no bytes and does not close, for {self.patience} s") from error
        except OSError:
            return False
        return True

    def receive(self, method: bytes = b"GET") -> Response | None:
        """The next response, without interim ones; None at the end of the connection.

        Raises :class:`Misbehaved` for what is no HTTP, for a response that breaks off, and for none in time.
        """
        response = self.receive_head()
        return replace(response, body=self._body(method, response)) if response is not None else None

    def receive_head(self) -> Response | None:
        """The next response without its body, which is left to come."""
        while True:
            head = self._until(b"\r\n\r\n")
            if head is None:
                return None
            response = _parse_head(head)
            if response.status >= 200:
                return response
            if response.status != 100 or response.headers:
                raise Misbehaved(f"an interim response: {response}")

    def rest(self) -> bytes:
        """Everything that comes until the server closes."""
        while self._fill():
            pass
        return bytes(self._buffer)

    def _body(self, method: bytes, response: Response) -> bytes:
        lengths, codings = response.values("content-length"), response.values("transfer-encoding")
        if len(lengths) + len(codings) > 1:
            raise Misbehaved(f"the length of a body is told more than once: {lengths} {codings}")
        if method == b"HEAD" or response.status in _NO_BODY:
            return b""
        if codings:
            return self._chunks()
        if not lengths:
            raise Misbehaved("a body of unknown length")
        return self._exactly(int(lengths[0]))

    def _chunks(self) -> bytes:
        body = bytearray()
        while True:
            line = self._until(b"\r\n")
            if line is None:
                raise BrokenOff("a body broke off between two chunks")
            size = int(line, 16)
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise Misbehaved("a chunk is longer than it says")
            if not size:
                return bytes(body)

    def _until(self, end: bytes) -> bytes | None:
        """Up to ``end``, which is taken too; None when the connection ends where it may."""
        start = 0
        while (found := self._buffer.find(end, start)) < 0:
            start = max(0, len(self._buffer) - len(end))
            if not self._fill():
                if self._buffer:
                    raise BrokenOff(f"a response broke off after {bytes(self._buffer[:200])!r}")
                return None
        data = bytes(self._buffer[:found])
        del self._buffer[: found + len(end)]
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._fill():
                raise BrokenOff(f"a body of {size} bytes broke off after {len(self._buffer)}")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _fill(self) -> bool:
        if self._ended:
            return False
        try:
            data = self._socket.recv(262_144)
        except TimeoutError as error:
            raise Misbehaved(f"no answer within {self.patience} s; so far {bytes(self._buffer[:200])!r}") from error
        except (ConnectionError, ssl.SSLError):
            data = b""
        self._ended = not data
        self._buffer += data
        return not self._ended


def _parse_head(head: bytes) -> Response:
    first, *lines = head.decode("ascii").split("\r\n")
    version, _, rest = first.partition(" ")
    # Who asks in another version is told so in it.
    if not (version in ("HTTP/1.1", "HTTP/1.0") or rest.startswith("505")) or not rest[:3].isdigit() or rest[3:4] != " ":
        raise Misbehaved(f"no status line: {first!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(": ")
        if not colon or not name or not value.isprintable():
            raise Misbehaved(f"no header: {line!r}")
        headers.append((name.lower(), value))
    return Response(version, int(rest[:3]), headers)


Open = Callable[[], Connection]
"""Opens a connection to a server."""
