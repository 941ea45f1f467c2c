"""Processes a benchmark needs, started on free ports of loopback and stopped by their id, and what they cost."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["LOOPBACK", "UNVERIFIED", "Process", "forget_peak", "free_port", "peak_size", "running"]

LOOPBACK = "127.0.0.1"
UNVERIFIED = ssl.create_default_context()
"""For certificates a server signed itself a moment ago."""
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Process:
    """A running server. ``url`` is where it answers."""

    pid: int
    url: str

    def cpu_seconds(self) -> float:
        """Processor time it used so far, in user and system mode together."""
        # The name of the command, in parentheses, may hold spaces: the numbers are counted from behind it.
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> int:
        """Bytes of its resident size."""
        return self._status("VmRSS") * 1024

    def peak_memory(self) -> int:
        """Bytes of the largest resident size it ever had."""
        return self._status("VmHWM") * 1024

    def threads(self) -> int:
        """How many threads it has."""
        return self._status("Threads")

    def descriptors(self) -> int:
        """How many files and sockets it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def free_port() -> int:
    """A port of loopback nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    command: Sequence[str],
    port: int,
    ready: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    *,
    scheme: str = "http",
) -> Iterator[Process]:
    """A server that listens on ``port``, from the moment the path ``ready`` answers; its output goes to ``log``."""
    url = f"{scheme}://{LOOPBACK}:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})})
        try:
            _await(process, url + ready, log)
            yield Process(process.pid, url)
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5, context=UNVERIFIED) as response:  # noqa: S310 loopback
            response.read()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
    return True


def _await(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended at once:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        if _answers(url):
            return
        time.sleep(0.05)
    raise SystemExit(f"{url} did not answer within {_PATIENCE:.0f}s:\n{log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def forget_peak() -> int:
    """Make the largest resident size of this process so far the present one, and return that, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_size()


def peak_size() -> int:
    """The largest resident size of this process, in bytes, since it was forgotten."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
