"""The controllers a test needs: Kubernetes' own kube-controller-manager beside a control plane that otherwise has none."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tests.controlplane.daemon import Daemon
from tests.controlplane.plane import ControlPlane

__all__ = ["run_controllers"]


@asynccontextmanager
async def run_controllers(
    kube_controller_manager: str, plane: ControlPlane, *names: str, flags: Sequence[str] = ()
) -> AsyncIterator[Daemon]:
    """Runs the controllers of these names, ``namespace-controller`` say, as admin; they are gone afterwards.

    ``flags`` are further ones of the command. The controllers take a moment to begin, so tests wait for what they do. Their effects
    stay: for a plane no other tests rely on.
    """
    command = [
        kube_controller_manager,
        f"--kubeconfig={plane.kubeconfig()}",
        f"--controllers={','.join(names)}",
        "--leader-elect=false",
        # Nobody asks it for its health, and a port not taken is a port less to collide on.
        "--secure-port=0",
        *flags,
    ]
    daemon = Daemon("kube-controller-manager", command, plane.directory / "kube-controller-manager.log", os.environ)
    try:
        yield daemon
    finally:
        await daemon.stop(2)
