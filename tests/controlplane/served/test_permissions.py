"""Permissions: people see through kube-apiserver what their roles grant, and are refused in the words Kubernetes has for it."""

from __future__ import annotations

import pytest

from tests.controlplane.plane import Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import CLUSTER_READER, EDGE_READER, POD_READER, SHOP_READER, STRANGER
from tests.controlplane.served.mesh import WEB
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        pytest.param(
            [DEPLOYMENTS, "-A"],
            f'{DEPLOYMENTS} is forbidden: User "bob" cannot list resource "deployments" in API group "metrics.smi-spec.io"'
            " at the cluster scope",
            id="all",
        ),
        pytest.param(
            [DEPLOYMENTS, "-n", "shop", "web"],
            f'{DEPLOYMENTS} "web" is forbidden: User "bob" cannot get resource "deployments" in API group "metrics.smi-spec.io"'
            ' in the namespace "shop"',
            id="one",
        ),
    ],
)
async def test_a_stranger_is_refused_in_the_standard_words(api: Api, asked: list[str], refusal: str):
    run = await api.kubectl("get", *asked, user=STRANGER)
    assert (run.code, run.stderr) == (1, f"Error from server (Forbidden): {refusal}\n")


async def test_a_reader_of_a_namespace_sees_it(api: Api):
    assert await api.names(DEPLOYMENTS, "-n", "shop", user=SHOP_READER) == ["shop/api", "shop/web"]
    assert await api.names("tm", "-n", "shop", user=SHOP_READER) == ["shop/deployment.api", "shop/deployment.web"]
    ((name, *_),) = await api.table("namespaces.metrics.smi-spec.io", "shop", "-n", "shop", user=SHOP_READER)
    assert name == "shop"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(["-n", "data"], id="another namespace"),
        pytest.param(["-A"], id="all"),
        pytest.param(["-A", "--field-selector", "metadata.namespace=shop"], id="all, narrowed"),
        pytest.param(["-n", "data", "api"], id="an object of another"),
    ],
)
async def test_a_reader_of_a_namespace_sees_nothing_else(api: Api, asked: list[str]):
    run = await api.kubectl("get", DEPLOYMENTS, *asked, user=SHOP_READER)
    assert run.code == 1
    assert run.stderr.startswith("Error from server (Forbidden)")
    assert 'User "ann" cannot' in run.stderr


async def test_a_reader_of_the_cluster_sees_everything(api: Api):
    assert await api.names(DEPLOYMENTS, "-A", user=CLUSTER_READER) == ["data/api", "shop/api", "shop/web"]
    rows = await api.table("namespaces.metrics.smi-spec.io", user=CLUSTER_READER)
    assert [name for name, *_ in rows] == ["data", "shop"]


OBJECT = f"{GV}/namespaces/shop/pods/{WEB.name}"


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        pytest.param(POD_READER, OBJECT, 200, id="pods grant the object"),
        pytest.param(POD_READER, f"{OBJECT}/edges", 403, id="but not its edges"),
        pytest.param(POD_READER, f"{OBJECT}%2Fedges", 403, id="however they are written"),
        pytest.param(POD_READER, f"{OBJECT}%2fedges/", 403, id="with any escape"),
        pytest.param(POD_READER, f"{GV}/namespaces/shop/edges", 403, id="nor those of the namespace"),
        pytest.param(SHOP_READER, f"{OBJECT}/edges", 200, id="pods/edges grant them"),
        pytest.param(EDGE_READER, f"{GV}/namespaces/shop/edges", 200, id="edges grant those of the namespace"),
        pytest.param(EDGE_READER, f"{GV}/namespaces/shop", 403, id="but not the namespace itself"),
        pytest.param(EDGE_READER, f"{GV}/namespaces/data/edges", 403, id="nor those of another"),
        pytest.param(EDGE_READER, f"{OBJECT}/edges", 403, id="nor those of its pods"),
    ],
)
async def test_edges_are_a_right_of_their_own(api: Api, user: Person, path: str, status: int):
    for reply in (await api.proxied(path, user=user), await api.direct(path, user=user)):
        assert reply.status == status
        assert (b'"items"' in reply.body) is (status == 200 and "edges" in path)


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        pytest.param([], 1, id="none of which may"),
        pytest.param(["sre"], 0, id="one of which may"),
    ],
)
async def test_somebody_may_have_hundreds_of_groups(api: Api, groups: list[str], code: int):
    many = [f"team-{number}-of-a-large-organisation" for number in range(300)]
    run = await api.kubectl("get", DEPLOYMENTS, "-A", "--as=carol", *[f"--as-group={group}" for group in [*many, *groups]])
    assert run.code == code
    assert ('User "carol" cannot list' in run.stderr) is bool(code)
    assert len(run.stdout.splitlines()) == (0 if code else 4)


async def test_an_impersonated_reader_sees_what_the_reader_sees(api: Api):
    headers = {"Impersonate-User": "ann", "Impersonate-Uid": "1234", "Impersonate-Extra-example.com%2Fteam": "blue"}
    assert (await api.proxied(f"{GV}/namespaces/shop/deployments", headers=headers)).status == 200
    refused = await api.proxied(f"{GV}/namespaces/data/deployments", headers=headers)
    assert refused.status == 403
    assert 'User "ann" cannot list' in refused.document["message"]


@pytest.mark.parametrize("kind", ["Namespace", "Node"])
async def test_a_reader_of_a_namespace_does_not_read_the_cluster_through_it(api: Api, kind: str):
    run = await api.kubectl("get", "tm", "-n", "shop", "--field-selector", f"resource.kind={kind}", user=SHOP_READER)
    assert run.code == 1
    assert run.stdout == ""
    assert "trafficmetrics are in namespaces" in run.stderr
