"""Custom resources of operators, by the definitions their projects publish: where those are kept, and how a cluster gets them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.controlplane.parts import MissingPart
from tests.controlplane.plane import ControlPlane

__all__ = ["find_definitions", "install_definitions"]

_FINDER = Path(__file__).parents[2] / "scripts" / "custom-resources"


async def find_definitions() -> Path:
    """The folder of this machine that holds them, a file for each operator; fetches nothing.

    Raises:
        MissingPart: when there is none yet.

    """
    process = await asyncio.create_subprocess_exec(
        _FINDER, "--no-fetch", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await process.communicate()
    if process.returncode:
        raise MissingPart(stderr.decode().strip())
    return Path(stdout.decode().strip())


async def install_definitions(plane: ControlPlane, folder: Path) -> None:
    """Has the cluster know them; returns when it serves all of them.

    Raises:
        RuntimeError: with kubectl's words, when kube-apiserver refuses one.

    """
    # On the server's side: applied by the client, some are longer than an annotation may be.
    for command in (("apply", "--server-side"), ("wait", "--for=condition=Established", "--timeout=30s")):
        run = await plane.kubectl(*command, "-f", str(folder))
        if run.code:
            raise RuntimeError(f"kubectl {command[0]} failed: {run.stderr}")
    plane.forget_discovery()
