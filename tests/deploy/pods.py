"""Pods of a Deployment as its manifest has it, at free ports of this machine, and kube-apiserver's way to them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.commands import free_ports
from tests.controlplane.plane import ControlPlane
from tests.deploy.kubelet import Pod

__all__ = ["at_free_port", "run_pod", "send_to"]

_PERIOD = 0.5
"""Seconds between two looks at ConfigMaps and Secrets; a kubelet takes a minute."""


def at_free_port(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The Deployment's pod template with a port that nobody has: the only thing in which two pods here cannot be alike."""
    template: dict[str, Any] = deepcopy(deployment["spec"]["template"])
    (container,) = template["spec"]["containers"]
    (port,) = container["ports"]
    chosen = free_ports(1)[0]
    container["args"] = [
        f"--secure-port={chosen}" if arg == f"--secure-port={port['containerPort']}" else arg for arg in container["args"]
    ]
    assert f"--secure-port={chosen}" in container["args"]
    port["containerPort"] = chosen
    return template


@asynccontextmanager
async def run_pod(plane: ControlPlane, deployment: Mapping[str, Any], directory: Path) -> AsyncIterator[Pod]:
    """One that is ready, whose volumes are kept up to date; it is gone afterwards.

    As under a kubelet it waits for what it mounts. The Deployment itself need not be in the cluster.
    """
    pod = Pod(plane, deployment["metadata"]["namespace"], at_free_port(deployment), directory)
    await _started(pod)
    keeping = asyncio.create_task(_keep(pod))
    try:
        await pod.until_ready()
        yield pod
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        # What it finishes before it ends is tested elsewhere; here it would be five seconds for each.
        await pod.daemon.stop(1)


async def _started(pod: Pod, patience: float = 30) -> None:
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        try:
            return await pod.start()
        except RuntimeError:
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(_PERIOD)


async def _keep(pod: Pod) -> None:
    while True:
        await asyncio.sleep(_PERIOD)
        # What was mounted stays when its Secret is gone.
        with suppress(RuntimeError):
            await pod.mount()


async def send_to(plane: ControlPlane, port: int, *api_services: str, namespace: str, service: str = "trafficmetrics") -> None:
    """Has kube-apiserver reach these APIServices at a port of this machine, in the place of their Service's address.

    kube-apiserver follows a Service of type ExternalName to ``localhost`` and the APIService's own port. What the APIServices say of
    names and authorities stays as it is, so certificates are verified as in a cluster.
    """
    external = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": service, "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    run = await plane.kubectl("replace", "--force", "-f", "-", stdin=yaml.safe_dump(external))
    assert run.code == 0, run.stderr
    for name in api_services:
        patch = json.dumps({"spec": {"service": {"port": port}}})
        run = await plane.kubectl("patch", "apiservice", name, "--type=merge", "--patch", patch)
        assert run.code == 0, run.stderr
