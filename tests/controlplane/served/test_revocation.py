"""What was allowed and is not any more, and what cannot be asked: decisions live for ten seconds, and without one nobody gets in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.plane import SERVER, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server
from tests.controlplane.served.wire import Wire, stretch_wire

pytestmark = pytest.mark.real

SHOP = f"{GV}/namespaces/shop/deployments"
REMEMBERED = 10
"""Seconds a decision lives."""


def binding(person: Person) -> dict[str, object]:
    """Lets somebody read the traffic of "shop"."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": person.name, "namespace": "shop"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "trafficmetrics-reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person.name}],
    }


async def becomes(api: Api, person: Person, status: int) -> float:
    """Seconds until a direct request of this person is answered with that status; at most twice as many as a decision lives."""
    start = time.monotonic()
    while (await api.direct(SHOP, user=person)).status != status:
        assert time.monotonic() - start < 2 * REMEMBERED
        await asyncio.sleep(0.2)
    return time.monotonic() - start


async def test_a_right_taken_or_given_shows_when_the_decision_is_forgotten(api: Api):
    leaver, joiner = Person("leaver"), Person("joiner")
    await api.plane.apply(binding(leaver))
    await becomes(api, leaver, 200)
    assert (await api.direct(SHOP, user=joiner)).status == 403

    await asyncio.gather(
        api.prints("delete", "rolebinding", leaver.name, "-n", "shop"),
        api.plane.apply(binding(joiner)),
    )
    # kube-apiserver itself knows at once; this server still has what it was told.
    assert (await api.proxied(SHOP, user=leaver)).status == 403
    assert (await api.direct(SHOP, user=leaver)).status == 200
    waited = await asyncio.gather(becomes(api, leaver, 403), becomes(api, joiner, 200))
    assert max(waited) < REMEMBERED + 5


@pytest.fixture(scope="module")
async def wire(api: Api) -> AsyncIterator[Wire]:
    async with stretch_wire(api.plane.url) as wire:
        yield wire


@pytest.fixture(scope="module")
async def wired(api: Api, wire: Wire, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """A server that can be cut off from kube-apiserver."""
    directory = tmp_path_factory.mktemp("wired")
    configuration = configured(api.plane, prometheus.url)
    configuration["kubernetes"]["kubeconfig"] = str(wire.kubeconfig(api.plane.kubeconfig(SERVER), directory / "kubeconfig"))
    async with run_server(api.plane, directory, configuration) as server:
        yield Api(api.plane, server)


async def test_cut_off_from_kube_apiserver_only_what_is_remembered_is_answered(wired: Api, wire: Wire):
    known = {"user": SHOP_READER}
    assert (await wired.direct(SHOP, **known)).status == 200
    remembered_until = time.monotonic() + REMEMBERED
    await wire.cut()
    try:
        again = await wired.direct(SHOP, **known)
        assert again.status == 200 or time.monotonic() > remembered_until

        refused = await wired.direct(f"{SHOP}/web", **known)
        assert (refused.status, refused.document["kind"], refused.document["code"]) == (500, "Status", 500)
        assert refused.document["message"].startswith(f'Internal Server Error: "{SHOP}/web": ')
        assert "kube-apiserver at" in refused.document["message"]
        anonymous = await wired.direct(f"{SHOP}/api")
        assert anonymous.status == 500

        unknown = await wired.direct(SHOP, headers={"Authorization": "Bearer of-somebody"})
        assert (unknown.status, unknown.document["reason"]) == (401, "Unauthorized")
        for path in ("/livez", "/readyz", "/healthz"):
            assert (await wired.direct(path)).status == 200
    finally:
        await wire.mend()
    assert (await wired.direct(f"{SHOP}/web", **known)).status == 200
    assert (await wired.direct(f"{SHOP}/api")).status == 403
