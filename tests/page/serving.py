"""The command ``kubectl traffic dashboard`` as people start it, in front of a server on loopback."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

__all__ = ["dashboard", "environment", "starting"]

COMMAND = (sys.executable, "-m", "kubectl_traffic.main", "dashboard")


def environment(home: Path, browser: str = "") -> dict[str, str]:
    """A home without any configuration of kubectl, the project where Python finds it, and a ``browser``, if any."""
    (home / "kubeconfig").touch()
    path = str(Path(__file__).parents[2])
    own = {"BROWSER": browser} if browser else {}
    return own | {"PATH": os.environ["PATH"], "HOME": str(home), "KUBECONFIG": str(home / "kubeconfig"), "PYTHONPATH": path}


@asynccontextmanager
async def starting(*arguments: str, browser: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, just started; it is ended if it did not end itself."""
    with tempfile.TemporaryDirectory(prefix="dashboard-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            *(*COMMAND, *arguments),
            env=environment(Path(home), browser),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait_for(process.communicate(), 20)


@asynccontextmanager
async def dashboard(port: int, *arguments: str) -> AsyncIterator[str]:
    """The address of the page, in front of the server at a port of loopback."""
    async with starting(f"--server=http://127.0.0.1:{port}", "--no-browser", *arguments) as process:
        yield await address(process)


async def address(process: asyncio.subprocess.Process) -> str:
    """The address a command prints."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = b""
    async with asyncio.timeout(20):
        while line := await process.stdout.readline():
            said += line
            if line.strip().startswith(b"http://"):
                return line.decode().strip()
    raise AssertionError((said + await process.stderr.read()).decode())
