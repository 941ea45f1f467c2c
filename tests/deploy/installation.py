"""A kustomization of ``deploy/`` applied for a while, as its user does it: ``kubectl apply -k``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.plane import DEPLOY, ControlPlane
from tests.deploy.rendering import render

__all__ = ["DISCOVERY", "answered", "installed"]

DISCOVERY = "/apis/metrics.smi-spec.io/v1alpha1"


@asynccontextmanager
async def installed(plane: ControlPlane, folder: Path | str) -> AsyncIterator[list[dict[str, Any]]]:
    """Its objects are in the cluster, and gone afterwards, but for the namespaces, which nobody here would finish deleting.

    ``folder`` is a kustomization, or the name of one of ``deploy/``.
    """
    objects = render(folder)
    try:
        run = await plane.kubectl("apply", "-k", str(DEPLOY / folder))
        assert run.code == 0, run.stderr
        yield objects
    finally:
        others = [each for each in objects if each["kind"] != "Namespace"]
        command = ("delete", "--ignore-not-found", "--wait=false", "-f", "-")
        await plane.kubectl(*command, stdin=yaml.safe_dump_all(others))


async def answered(plane: ControlPlane, patience: float = 30) -> str:
    """What kube-apiserver answers for the group; waits until it does."""
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        run = await plane.kubectl("get", "--raw", DISCOVERY)
        if run.code == 0 or asyncio.get_running_loop().time() > deadline:
            assert run.code == 0, run.stderr
            return run.stdout
        await asyncio.sleep(0.1)
