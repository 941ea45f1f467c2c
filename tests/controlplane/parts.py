"""Where the commands of the control plane come from."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

__all__ = ["MissingPart", "Parts", "find_part", "find_parts"]

_FINDER = Path(__file__).parents[2] / "scripts" / "control-plane-part"


class MissingPart(Exception):
    """A command is not on this machine; the message says which and how to get it."""


class Parts(NamedTuple):
    """Paths of the commands every control plane needs."""

    etcd: str
    kube_apiserver: str
    kubectl: str


async def find_parts() -> Parts:
    """The commands of this machine; builds and installs nothing, which would outlast any test's deadline.

    Raises:
        MissingPart: when one of them is missing.

    """
    return Parts(*[await find_part(name) for name in ("etcd", "kube-apiserver", "kubectl")])


async def find_part(name: str) -> str:
    """The path of one command, by the name ``scripts/control-plane-part`` knows it under.

    Raises:
        MissingPart: when it is missing.

    """
    process = await asyncio.create_subprocess_exec(
        _FINDER, "--no-build", name, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    if process.returncode:
        raise MissingPart(stderr.decode().strip())
    return stdout.decode().strip()
