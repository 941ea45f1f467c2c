"""Traffic that changes while somebody watches: a namespace of its own, its own store, and a server that may be restarted.

All the other tests rely on traffic that stays as it is, so none of this is in their store.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.controlplane.plane import ControlPlane, Person
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.cluster import bind, settle, user, workload
from tests.controlplane.served.mesh import Flow, Mesh, Pod, serve_mesh
from tests.controlplane.served.prometheus import run_prometheus
from tests.controlplane.served.server import configured, run_server

__all__ = ["CALM", "FERRY", "HARBOUR", "RAFT", "WATCHER", "Harbour", "busy", "open_harbour", "quiet"]

HARBOUR = "harbour"
CALM = Pod(HARBOUR, "calm", "calm-5f6d-7xk2c", hash="5f6d")
"""Its traffic is always the same."""
FERRY = Pod(HARBOUR, "ferry", "ferry-77c9-b4n8s", hash="77c9")
"""Its traffic changes."""
RAFT = Pod(HARBOUR, "raft", "raft-64db-qm5zj", hash="64db")
"""Its Deployment comes and goes."""
WATCHER = Person("wim")
"""Reads the traffic of the namespace."""

_WINDOW = 5
_WITHIN = {5: 0.55, 20: 0.93, 100: 0.995, 200: 1.0}
"""No percentile is at a bound, where the smallest rounding would move it to the next one."""
_CALMLY, _FERRYING, _RAFTING = (Flow(None, pod, pod.owner, 10, 0, _WITHIN) for pod in (CALM, FERRY, RAFT))


def quiet(row: Mapping[str, Any]) -> bool:
    """Whether a row tells of about the requests each Deployment gets at first."""
    return _near(row, 10 * _WINDOW)


def busy(row: Mapping[str, Any]) -> bool:
    """Whether it tells of three times as many."""
    return _near(row, 30 * _WINDOW)


def _near(row: Mapping[str, Any], count: float) -> bool:
    requests = measured(row)["success_count"]
    return requests is not None and abs(requests - count) < count / 20


class Harbour:
    """The API registered from a store of its own, and what may change in it."""

    def __init__(self, api: Api, mesh: Mesh) -> None:
        self.api = api
        self._mesh = mesh
        self._busy = False

    def turn(self) -> Callable[[Mapping[str, Any]], bool]:
        """The ferry's requests become three times as many, and the next time as few as before.

        The window shows it all in a few seconds. Returns what tells whether a row does.
        """
        self._busy = not self._busy
        self._mesh.turn(_FERRYING, 3 if self._busy else 1)
        return busy if self._busy else quiet

    async def sink(self) -> None:
        """Deletes the raft's Deployment."""
        await self.api.prints("delete", "deployment", RAFT.owner, "-n", HARBOUR, "--cascade=background")

    async def build(self) -> None:
        """Makes the raft's Deployment again."""
        await self.api.plane.apply(workload(RAFT))


@asynccontextmanager
async def open_harbour(plane: ControlPlane, directory: Path) -> AsyncIterator[Harbour]:
    """Registers the API from there, for as long as the context lasts: what was registered before has to be again."""
    await settle(plane, (CALM, FERRY, RAFT))
    await plane.apply(bind("RoleBinding", HARBOUR, "trafficmetrics-reader", user(WATCHER)))
    mesh = Mesh((_CALMLY, _FERRYING, _RAFTING))
    for name in ("store", "server"):
        (directory / name).mkdir()
    async with serve_mesh(mesh) as target, run_prometheus(target, directory / "store") as store:
        configuration = configured(plane, store.url)
        configuration["metrics"]["window"] = f"{_WINDOW}s"
        async with run_server(plane, directory / "server", configuration) as server:
            api = Api(plane, server)
            await asyncio.gather(api.register(), store.covers(_WINDOW))
            yield Harbour(api, mesh)
