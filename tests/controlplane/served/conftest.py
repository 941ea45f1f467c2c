"""A cluster with traffic, and the server that knows it, registered with kube-apiserver; started once for all tests in here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator

import pytest

from tests.controlplane.plane import ControlPlane
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import populate
from tests.controlplane.served.harbour import Harbour, open_harbour
from tests.controlplane.served.mesh import Mesh, serve_mesh
from tests.controlplane.served.prometheus import Prometheus, run_prometheus
from tests.controlplane.served.server import Server, configured, run_server

_SERVER = pytest.StashKey[Server]()
_MARK = pytest.StashKey[int]()


@pytest.fixture(scope="session")
async def mesh() -> AsyncIterator[str]:
    """Where the metrics of the mesh are exposed."""
    async with serve_mesh(Mesh()) as target:
        yield target


@pytest.fixture(scope="session")
async def prometheus(mesh: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A store that scrapes the mesh."""
    async with run_prometheus(mesh, tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="session")
async def fragile(mesh: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """Another store, which tests may stop and hang; they leave it running."""
    async with run_prometheus(mesh, tmp_path_factory.mktemp("fragile")) as running:
        yield running


# The stores come first: while the control plane starts, they scrape what the first answers need.
@pytest.fixture(scope="session")
async def api(
    prometheus: Prometheus,
    fragile: Prometheus,  # noqa: ARG001
    control_plane: ControlPlane,
    tmp_path_factory: pytest.TempPathFactory,
    pytestconfig: pytest.Config,
) -> AsyncIterator[Api]:
    """The API as people reach it, answered out of a store that knows the traffic of the last window."""
    await populate(control_plane)
    configuration = configured(control_plane, prometheus.url)
    async with run_server(control_plane, tmp_path_factory.mktemp("server"), configuration) as server:
        pytestconfig.stash[_SERVER] = server
        api = Api(control_plane, server)
        try:
            await asyncio.gather(api.register(), prometheus.covers(10))
            yield api
        finally:
            del pytestconfig.stash[_SERVER]
            await control_plane.unregister()


@pytest.fixture(scope="module")
async def harbour(api: Api, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Harbour]:
    """The API registered from a store whose traffic changes; the usual one is there again afterwards."""
    try:
        async with open_harbour(api.plane, tmp_path_factory.mktemp("harbour")) as running:
            yield running
    finally:
        await api.register()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Notes where the server's log stands as the test begins."""
    server = item.config.stash.get(_SERVER, None)
    if server is not None:
        item.stash[_MARK] = server.daemon.printed()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows a failed test together with what the server logged during it."""
    report = yield
    server = item.config.stash.get(_SERVER, None)
    if report.failed and server is not None:
        report.sections.append(("the server's log during the test", server.daemon.tail(since=item.stash.get(_MARK, 0))))
    return report
