"""Where the commands of the control plane come from."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

__all__ = ["MissingPart", "Parts", "at_hand", "find_part", "find_parts"]

_T = TypeVar("_T")
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


async def at_hand(found: Awaitable[_T]) -> _T:
    """What is looked for; where it is missing, the tests that need it are skipped, or fail if CI=true."""
    try:
        return await found
    except MissingPart as missing:
        if os.environ.get("CI") == "true":
            raise pytest.fail.Exception(str(missing), pytrace=False) from None
        pytest.skip(str(missing))
