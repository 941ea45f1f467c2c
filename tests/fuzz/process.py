"""Starting the server that is abused, and what can be asked of it beside HTTP: what it holds, and what it has logged."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.authority import SERVER, Authority, Credential
from tests.fuzz.target import Measure

__all__ = ["Target", "run_target"]

_ROOT = Path(__file__).parents[2]
_SETTLING = 10.0
"""Seconds in which everything a connection held must be gone after it has ended."""


@dataclass(frozen=True, slots=True)
class Target:
    """The running server.

    ``plain`` and ``tls`` are its ports; ``authority`` signed its certificate, ``clients`` and ``proxies`` those it believes.
    """

    process: subprocess.Popen[str]
    directory: Path
    plain: int
    tls: int
    authority: Authority
    clients: Authority
    proxies: Authority

    def measure(self) -> Measure:
        """What it holds now."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"the server has ended with {self.process.wait()}; it said:\n{self.log[-4000:]}"
        return Measure(*json.loads(line))

    def settled(self, before: Measure, patience: float = _SETTLING) -> Measure:
        """What it holds as soon as it has no more descriptors and tasks than ``before``, or when it had time enough for that."""
        end = time.monotonic() + patience
        while True:
            now = self.measure()
            if (now.descriptors <= before.descriptors and now.tasks <= before.tasks) or time.monotonic() > end:
                return now
            time.sleep(0.05)

    @property
    def log(self) -> str:
        """Everything it has written: warnings and errors, and what escaped as a traceback."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="backslashreplace")

    def save(self, credential: Credential, name: str) -> tuple[Path, Path]:
        """The files of a client's certificate and key."""
        return credential.save(self.directory, name)


@contextmanager
def run_target(directory: Path) -> Iterator[Target]:
    """A server of one's own, gone afterwards."""
    authority, clients, proxies = (Authority(name) for name in ("serving-ca", "client-ca", "front-proxy-ca"))
    authority.issue("localhost", usage=(SERVER,), names=("localhost", "127.0.0.1")).save(directory, "serving")
    (directory / "clients.pem").write_text(clients.pem)
    (directory / "proxies.pem").write_text(proxies.pem)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.target", str(directory)],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    with process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, (directory / "log").read_text(encoding="utf-8")
            ports = json.loads(line)
            yield Target(process, directory, ports["plain"], ports["tls"], authority, clients, proxies)
        finally:
            process.kill()
