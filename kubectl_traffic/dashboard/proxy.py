"""The way from the page to the cluster: ``kubectl proxy``, which has the user's logins and renews them, behind a socket of the user's own.

On a port of its own it would answer every user of the machine; and ``kubectl get --raw`` would be a process for each question, without the
status and the warnings of the answer. What it lets through is cut down to reading our group, whatever the door in front of it does.
"""

from __future__ import annotations

import re
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from kubectl_traffic.kubectl import KubectlError
from metrics_api.resources import GROUP, VERSION

__all__ = ["Proxy", "ProxyGone", "Reply"]

_PATHS = rf"^/apis/{re.escape(GROUP)}/{VERSION}/"
_METHODS = "^(POST|PUT|PATCH|DELETE|OPTIONS|CONNECT|TRACE)$"
_PATIENCE = 75  # seconds; the API gives no answer more than 60
_LONGEST = 100  # characters of the path of a socket; the system allows some 104
_KEPT = ("content-type", "warning", "retry-after")


class ProxyGone(Exception):
    """``kubectl proxy`` does not answer; the message says what was seen."""


class Reply(NamedTuple):
    """What the cluster answered: of the headers, those that matter to a page."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Proxy:
    """A running ``kubectl proxy`` with the ``flags`` of its user. A context manager: it ends with it."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._flags = tuple(flags)
        self._directory = tempfile.TemporaryDirectory(prefix="kubectl-traffic-", dir=_short_directory())
        self._socket = Path(self._directory.name) / "kubectl.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it; raises :class:`kubectl_traffic.kubectl.KubectlError` when it does not start, having said why on the terminal itself."""
        command = ["kubectl", *self._flags, "proxy", f"--unix-socket={self._socket}", f"--accept-paths={_PATHS}"]
        # Servers behind a path (https://host/k8s/clusters/c-1) are asked below that path, as kubectl itself does.
        command += [f"--reject-methods={_METHODS}", "--append-server-path=true"]
        try:
            # Its standard input and error stay the terminal's: a login may ask there.
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 no shell
        except FileNotFoundError as error:
            self._directory.cleanup()
            raise KubectlError("there is no kubectl on the PATH") from error
        assert self._process.stdout is not None  # noqa: S101 for the type checker
        # The first line says that it listens; without one, it has ended.
        if not self._process.stdout.readline():
            code = self._process.wait()
            self.__exit__(None, None, None)
            raise KubectlError(f"kubectl proxy did not start (exit code {code}), see above", code or 1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End it and forget its socket."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._directory.cleanup()

    def wait(self) -> int:
        """Wait until it ends by itself: its exit code."""
        assert self._process is not None  # noqa: S101 it was entered
        return self._process.wait()

    def get(self, target: str) -> Reply:
        """The answer to a GET of a path with its query. Raises :class:`ProxyGone` when the proxy itself does not answer."""
        connection = _SocketConnection(self._socket)
        try:
            connection.request("GET", target, headers={"Accept": "application/json", "User-Agent": "kubectl-traffic-dashboard"})
            response = connection.getresponse()
            kept = tuple((name, value) for name, value in response.getheaders() if name.lower() in _KEPT)
            return Reply(response.status, kept, response.read())
        except (OSError, HTTPException) as error:
            raise ProxyGone(f"kubectl proxy does not answer: {type(error).__name__}: {error}") from error
        finally:
            connection.close()


class _SocketConnection(HTTPConnection):
    """HTTP over a socket in the file system. It calls itself localhost, which is whom ``kubectl proxy`` answers."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _short_directory() -> str | None:
    """Where temporary directories are, unless the path of a socket in there would be too long: then ``/tmp``."""
    return None if len(tempfile.gettempdir()) + 40 < _LONGEST else "/tmp"  # noqa: S108 a new directory is made there, for its owner alone
