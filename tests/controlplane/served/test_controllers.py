"""With Kubernetes' own controllers: the usual roles come to include traffic, and namespaces go whatever becomes of the store.

On a control plane of its own, because everywhere else a deleted namespace is to stay and roles are to be as they were made.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.controllers import run_controllers
from tests.controlplane.daemon import Daemon
from tests.controlplane.parts import Parts
from tests.controlplane.plane import API_SERVICE, ControlPlane, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import populate
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

pytestmark = pytest.mark.real

ROLES = ("view", "edit", "admin")
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "resourcequota-controller",
)


@pytest.fixture(scope="module")
async def managed(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """A control plane of this module's own."""
    async with ControlPlane(parts, tmp_path_factory.mktemp("managed")) as plane:
        yield plane


@pytest.fixture(scope="module")
async def served(managed: ControlPlane, fragile: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """The API registered there, from a store that may be stopped."""
    await populate(managed)
    async with run_server(managed, tmp_path_factory.mktemp("server"), configured(managed, fragile.url)) as server:
        api = Api(managed, server)
        await asyncio.gather(api.register(), fragile.covers(10))
        yield api


@pytest.fixture(scope="module")
async def controllers(served: Api, kube_controller_manager: str) -> AsyncIterator[Daemon]:
    """Those that read every API there is, and the one that fills in roles."""
    async with run_controllers(kube_controller_manager, served.plane, *CONTROLLERS) as running:
        yield running


@pytest.fixture(scope="module")
async def roles(served: Api, controllers: Daemon) -> dict[str, Person]:
    """A person for each role, who has it in the namespace "shop" alone."""
    people = {role: Person(f"holder-of-{role}") for role in ROLES}
    for role, person in people.items():
        binding = ("create", "rolebinding", f"has-{role}", "-n", "shop", f"--clusterrole={role}", f"--user={person.name}")
        await served.prints(*binding)
        await until_granted(served, person, controllers)
    return people


async def until_granted(api: Api, person: Person, controllers: Daemon) -> None:
    for _ in range(150):
        if (await api.kubectl("auth", "can-i", "list", "trafficmetrics.metrics.smi-spec.io", "-n", "shop", user=person)).code == 0:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{person.name} may not list traffic: no controller has filled in the role\n{controllers.tail()}")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/namespaces/shop/trafficmetrics", 200, id="the namespace"),
        pytest.param("/namespaces/shop/deployments", 200, id="its workloads"),
        pytest.param("/namespaces/shop/deployments/web/edges", 200, id="their edges"),
        pytest.param("/namespaces/data/trafficmetrics", 403, id="another namespace"),
        pytest.param("/namespaces/data/deployments/api/edges", 403, id="the edges of another"),
        pytest.param("/trafficmetrics", 403, id="all namespaces"),
        pytest.param("/nodes", 403, id="the nodes"),
    ],
)
async def test_who_has_a_usual_role_in_a_namespace_reads_its_traffic(
    served: Api, roles: dict[str, Person], role: str, path: str, status: int
):
    for reply in (await served.proxied(f"{GV}{path}", user=roles[role]), await served.direct(f"{GV}{path}", user=roles[role])):
        assert reply.status == status, reply.body


async def test_a_namespace_goes_while_the_store_is_down(served: Api, fragile: Prometheus, controllers: Daemon):
    await fragile.stop()
    try:
        assert (await served.proxied(f"{GV}/trafficmetrics?window=4s")).status == 503
        # A change makes kube-apiserver look at the API afresh.
        await served.prints("annotate", "apiservice", API_SERVICE, f"looked-at={time.time()}")
        await served.prints("create", "namespace", "short-lived")
        await served.prints("create", "configmap", "content", "-n", "short-lived")
        # It waits until the namespace is gone. The controller lets five seconds pass before it begins.
        await served.prints("delete", "namespace", "short-lived", "--timeout=40s")
    finally:
        await fragile.start()
    assert controllers.exit_code() is None


async def test_controllers_have_no_complaint(controllers: Daemon):
    assert [line for line in controllers.tail(100_000).splitlines() if "metrics.smi-spec.io" in line] == []
