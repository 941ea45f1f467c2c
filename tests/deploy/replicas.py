"""Replicas behind one address: what a Service is to them, and what becomes of them on nodes that are drained.

There is neither a scheduler nor a node behind a control plane of the tests. Here a pod is given to a node that takes pods, runs as a
process, says whether it is ready, and is ended when somebody has it deleted; whether it may be deleted is for kube-apiserver to say, and
that there is another one is up to Kubernetes' own controllers.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import NAMESPACE, ControlPlane
from tests.controlplane.served.balancer import Balancer
from tests.deploy.kubelet import Pod
from tests.deploy.pods import at_free_port

__all__ = ["Nodes", "Replica"]

_PERIOD = 0.2
_PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class Replica:
    """A pod as :class:`Balancer` wants its replicas."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.port = pod.port
        self.url = f"https://{LOOPBACK}:{pod.port}"

    def tls(self) -> ssl.SSLContext:
        """As a kubelet probes: whatever certificate is shown."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


class Nodes:
    """Runs the pods of ``plane``; ``balancer`` leads to those that are ready."""

    def __init__(self, plane: ControlPlane, names: tuple[str, ...], balancer: Balancer, directory: Path) -> None:
        self._plane = plane
        self._names = names
        self._balancer = balancer
        self._directory = directory
        self._running: dict[str, Replica] = {}
        self._numbers = itertools.count()
        self.where: dict[str, str] = {}
        """The nodes of the pods that run."""

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """They work for as long as the context lasts."""
        nodes = ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in self._names)
        await self._plane.apply(*nodes)
        async with aiohttp.ClientSession(self._plane.url, connector=aiohttp.TCPConnector(ssl=self._plane.tls())) as session:
            work = asyncio.create_task(self._work(session))
            try:
                yield
            finally:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
                await asyncio.gather(*(each.pod.daemon.stop(1) for each in self._running.values()))

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            async with session.get(_PODS) as response:
                pods = (await response.json())["items"]
            async with session.get("/api/v1/nodes") as response:
                closed = {
                    each["metadata"]["name"] for each in (await response.json())["items"] if each["spec"].get("unschedulable")
                }
            self.where = {each["metadata"]["name"]: each["spec"].get("nodeName", "") for each in pods}
            for pod in pods:
                await self._attend(session, pod, closed)
            await asyncio.sleep(_PERIOD)

    async def _attend(self, session: aiohttp.ClientSession, pod: Mapping[str, Any], closed: set[str]) -> None:
        name = pod["metadata"]["name"]
        if "deletionTimestamp" in pod["metadata"]:
            await self._end(session, name)
        elif "nodeName" not in pod["spec"]:
            taken = set(self.where.values())
            free = [node for node in self._names if node not in closed and node not in taken]
            if free:
                self.where[name] = free[0]
                target = {
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": name},
                    "target": {"kind": "Node", "name": free[0]},
                }
                async with session.post(f"{_PODS}/{name}/binding", json=target) as response:
                    assert response.status == 201, await response.text()
        elif name not in self._running:
            place = self._directory / str(next(self._numbers))
            running = Pod(self._plane, NAMESPACE, at_free_port({"spec": {"template": pod}}), place)
            await running.start()
            self._running[name] = Replica(running)
            self._balancer.replicas.append(self._running[name])
        else:
            ready = self._running[name] in self._balancer.ready
            await self._tell(session, pod, ready=ready)

    async def _tell(self, session: aiohttp.ClientSession, pod: Mapping[str, Any], *, ready: bool) -> None:
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"status": {"phase": "Running", "conditions": conditions}}
        headers = {"Content-Type": "application/merge-patch+json"}
        async with session.patch(f"{_PODS}/{pod['metadata']['name']}/status", json=status, headers=headers) as response:
            assert response.status in (200, 404), await response.text()

    async def _end(self, session: aiohttp.ClientSession, name: str) -> None:
        """SIGTERM, and when the process has ended the pod is gone, too."""
        replica = self._running.pop(name, None)
        if replica is not None:
            await replica.pod.stop()
            self._balancer.replicas.remove(replica)
        async with session.delete(f"{_PODS}/{name}", json={"gracePeriodSeconds": 0}) as response:
            assert response.status in (200, 404), await response.text()
