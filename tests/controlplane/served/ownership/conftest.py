"""The fleet, a store with its traffic, and for each mesh a server that reads it; started once for all tests in here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack

import pytest

from tests.controlplane.plane import ControlPlane
from tests.controlplane.served.ownership.asking import Asking, telling
from tests.controlplane.served.ownership.cluster import open_cluster
from tests.controlplane.served.ownership.settlement import move_on, settle
from tests.controlplane.served.ownership.telemetry import samples
from tests.doubles.backfill import prometheus_of

EARLY, LATE = ("cilium", "hubble", "linkerd"), ("envoy", "istio")
"""The meshes whose servers are there before the old pods are deleted, and those whose servers never see them."""
OLD = "/namespaces/mall/pods/web-5d4f7c9b8d-x2k4z"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests in here come first: the times of the fleet are fixed when it is imported, and the first pods are soon out of the window."""
    items.sort(key=lambda item: "ownership" not in item.path.parts)


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the traffic is kept."""
    with prometheus_of(tmp_path_factory.mktemp("ownership-store"), samples()) as url:
        yield url


@pytest.fixture(scope="package")
async def meshes(
    store: str, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, Asking]]:
    """A server for each mesh, by its name."""
    async with open_cluster(control_plane) as cluster, AsyncExitStack() as servers:

        async def start(mesh: str) -> tuple[str, Asking]:
            directory = tmp_path_factory.mktemp(f"ownership-{mesh}")
            return mesh, await servers.enter_async_context(telling(control_plane, store, mesh, directory))

        await settle(control_plane, cluster)
        early = await asyncio.gather(*map(start, EARLY))
        await asyncio.gather(*(asking.until(200, OLD) for _, asking in early))
        await move_on(cluster)
        late = await asyncio.gather(*map(start, LATE))
        everywhere = dict([*early, *late])
        await asyncio.gather(*(asking.until(404, OLD) for asking in everywhere.values()))
        yield everywhere
