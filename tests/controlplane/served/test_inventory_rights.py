"""A server that may not read everything: what it may not know it says, and what it may it tells as ever."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator

import pytest

from tests.controlplane.plane import ADMIN, Person, manifests
from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.cluster import bind, user
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, configured, run_server

pytestmark = pytest.mark.real

BLINKERED = Person("blinkered")
"""The account of a server that has all rights of the manifests, but those to pods."""


@pytest.fixture(scope="module")
async def blinkered(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    (role,) = (copy.deepcopy(each) for each in manifests("rbac.yaml") if each["kind"] == "ClusterRole")
    role["metadata"]["name"] = BLINKERED.name
    for rule in role["rules"]:
        rule["resources"] = [resource for resource in rule["resources"] if resource != "pods"]
    reader = bind("RoleBinding", "kube-system", "extension-apiserver-authentication-reader", user(BLINKERED))
    reader["roleRef"]["kind"] = "Role"
    delegator = bind("ClusterRoleBinding", "", "system:auth-delegator", user(BLINKERED))
    await api.plane.apply(role, reader, delegator, bind("ClusterRoleBinding", "", BLINKERED.name, user(BLINKERED)))
    configuration = configured(api.plane, prometheus.url)
    configuration["kubernetes"]["kubeconfig"] = str(api.plane.kubeconfig(BLINKERED))
    async with run_server(api.plane, tmp_path_factory.mktemp("blinkered"), configuration) as server:
        yield Api(api.plane, server)


async def test_it_is_ready_and_its_log_says_what_to_grant(blinkered: Api):
    reply = await blinkered.direct("/readyz?verbose", user=ADMIN)
    assert (reply.status, "[+]inventory-synced ok" in reply.body.decode()) == (200, True)
    log = blinkered.server.daemon.tail()
    assert "grant list and watch on pods to the server's account" in log
    assert log.count("cannot be listed") == 1


async def test_objects_of_a_kind_it_may_not_list_are_shown_unchecked_and_a_warning_says_why(blinkered: Api):
    reply = await blinkered.direct(f"{GV}/namespaces/shop/pods", user=ADMIN)
    assert reply.status == 200
    assert {item["metadata"]["name"].partition("-")[0] for item in reply.document["items"]} >= {"web", "api"}
    (warning,) = [each for each in reply.headers.getall("Warning") if "pods cannot be listed" in each]
    assert 'User \\"blinkered\\" cannot list resource \\"pods\\"' in warning


async def test_every_other_kind_is_known_as_ever(blinkered: Api):
    reply = await blinkered.direct(f"{GV}/namespaces/shop/deployments?includeIdle=true", user=ADMIN)
    items = {item["metadata"]["name"]: item for item in reply.document["items"]}
    assert sorted(items) == ["api", "idle", "web"]
    assert items["web"]["metadata"]["labels"] == {"app": "web", "tier": "front", "release": "3"}
    assert measured(items["web"])["success_count"]
    assert (await blinkered.direct(f"{GV}/namespaces/shop/deployments/gone", user=ADMIN)).status == 404
