"""What exists is what Kubernetes has: absent is not zero, and traffic of what was deleted is nobody's."""

from __future__ import annotations

import asyncio

import pytest

from tests.controlplane.served.api import Api, measured
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

DEPLOYMENTS = "deployments.metrics.smi-spec.io"


async def test_an_object_without_traffic_has_unknown_values(api: Api):
    item = await api.document(DEPLOYMENTS, "-n", "shop", "idle")
    assert list(measured(item).values()) == [None] * 5
    assert item["metadata"]["labels"] == {"app": "idle"}
    assert item["edge"] == {"direction": "from", "side": "server", "resource": {}}


async def test_an_object_without_traffic_is_shown_with_dashes(api: Api):
    assert await api.table(DEPLOYMENTS, "-n", "shop", "idle") == [["idle", "-", "-", "-", "-", "-"]]


async def test_a_list_leaves_out_objects_without_traffic(api: Api):
    assert await api.names(DEPLOYMENTS, "-n", "shop") == ["shop/api", "shop/web"]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        pytest.param("/namespaces/shop/deployments", ["api", "idle", "web"], id="deployments"),
        pytest.param("/namespaces/shop/services", ["api", "idle", "web"], id="services"),
        pytest.param("/namespaces/shop/trafficmetrics", ["deployment.api", "deployment.idle", "deployment.web"], id="traffic"),
    ],
)
async def test_a_list_can_include_objects_without_traffic(api: Api, path: str, names: list[str]):
    items = (await api.raw(f"{path}?includeIdle=true"))["items"]
    assert [item["metadata"]["name"] for item in items] == names
    assert measured(items[1]) == dict.fromkeys(measured(items[1]))


async def test_traffic_of_a_deleted_object_is_left_out(api: Api):
    for resource in (DEPLOYMENTS, "pods.metrics.smi-spec.io", "services.metrics.smi-spec.io", "tm"):
        assert not [name for name in await api.names(resource, "-n", "shop") if "gone" in name]


@pytest.mark.parametrize(
    ("resource", "name"),
    [
        pytest.param(DEPLOYMENTS, "gone", id="deleted, with series"),
        pytest.param(DEPLOYMENTS, "never", id="never there"),
        pytest.param(DEPLOYMENTS, "db", id="of another kind"),
        pytest.param("pods.metrics.smi-spec.io", "web", id="a pod"),
        pytest.param("trafficmetrics.metrics.smi-spec.io", "deployment.gone", id="traffic"),
    ],
)
async def test_an_absent_object_is_not_found(api: Api, resource: str, name: str):
    run = await api.kubectl("get", resource, "-n", "shop", name)
    assert (run.code, run.stderr) == (1, f'Error from server (NotFound): {resource} "{name}" not found\n')


async def test_a_name_without_a_kind_is_told_how_names_are_written(api: Api):
    run = await api.kubectl("get", "tm", "-n", "shop", "web")
    assert run.code == 1
    assert run.stderr.startswith('Error from server (NotFound): trafficmetrics.metrics.smi-spec.io "web" not found')
    assert "such as deployment.web" in run.stderr


async def test_not_found_names_the_object(api: Api):
    reply = await api.proxied(f"{GV}/namespaces/shop/deployments/never")
    assert reply.status == 404
    assert reply.document["details"] == {"name": "never", "group": "metrics.smi-spec.io", "kind": "deployments"}


async def test_edges_of_an_absent_object_are_not_found(api: Api):
    reply = await api.proxied(f"{GV}/namespaces/shop/deployments/never/edges")
    assert (reply.status, reply.document["reason"]) == (404, "NotFound")


async def test_an_absent_namespace_is_an_empty_list(api: Api):
    assert (await api.raw("/namespaces/nowhere/deployments"))["items"] == []


async def test_a_new_object_is_found_within_seconds(api: Api):
    document = await api.prints(
        "create", "service", "clusterip", "fresh", "-n", "other", "--tcp=80", "--dry-run=client", "-o", "json"
    )
    run = await api.kubectl("create", "-f", "-", stdin=document)
    assert run.code == 0, run.stderr
    for _ in range(120):
        reply = await api.proxied(f"{GV}/namespaces/other/services/fresh")
        if reply.status != 404:
            break
        await asyncio.sleep(0.1)
    else:
        pytest.fail("it stays unknown for more than ten seconds")
    assert reply.status == 200
    assert set(measured(reply.document).values()) == {None}


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        pytest.param("trafficsplits", "trafficsplits.split.smi-spec.io are not installed in this cluster", id="trafficsplits"),
    ],
)
async def test_what_the_mesh_cannot_tell_is_said(api: Api, resource: str, why: str):
    run = await api.kubectl("get", f"{resource}.metrics.smi-spec.io", "-A")
    assert run.code == 1
    assert why in run.stderr
