"""The faults of the reference implementation's HTTP API, one test each: none of them can be had from this server.

Those of its queries and dialects are in ``tests/truth``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.health import PING, Check, Health
from apiservice.identity import User
from apiservice.objects import StandaloneObjects
from apiservice.traffic import TrafficService
from metrics_api import EVERYTHING, Direction, ResourceRef, Sample, Side
from tests.apiservice.asking import BASE, SHOP, client, status_of
from tests.apiservice.memory import Door, Memory
from tests.unit.apiservice.test_traffic import Cluster, Source

WEB = ResourceRef("Deployment", "shop", "web")
GONE = ResourceRef("Deployment", "shop", "gone")
IDLE = ResourceRef("Deployment", "shop", "idle")
CLUSTER = Cluster({WEB: {"app": "web"}, IDLE: {"app": "idle"}})


def seen(resource: ResourceRef) -> Sample:
    return Sample(resource, EVERYTHING, Direction.FROM, Side.SERVER, 10.0, 0.0, None, source="mesh")


@pytest.fixture
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    """A cluster with a busy and an idle Deployment, and series of one that was deleted."""
    service = Answers(TrafficService(Fanout.of([Source((seen(WEB), seen(GONE)))]), CLUSTER), refresh=5)
    async with client(service) as session:
        yield session


async def test_fault_17_an_empty_list_is_a_list_and_an_edge_is_never_null():
    nothing = Answers(TrafficService(Fanout.of([Source()]), StandaloneObjects("Deployment")), refresh=5)
    async with client(nothing) as session:
        document = await (await session.get(f"{SHOP}/deployments")).json()
    assert document["items"] == []
    assert document["resource"]["namespace"] == "shop"
    async with client(Memory()) as session:
        (item, *_) = (await (await session.get(f"{SHOP}/deployments")).json())["items"]
    assert item["edge"] == {"direction": "from", "side": "server", "resource": {}}


async def test_fault_18_rows_are_those_of_objects_that_exist(shop: TestClient[Any, Any]):
    async def names(parameters: str) -> list[str]:
        document = await (await shop.get(f"{SHOP}/deployments{parameters}")).json()
        return [item["metadata"]["name"] for item in document["items"]]

    assert await names("") == ["web"]
    assert await names("?includeIdle=true") == ["idle", "web"]


async def test_fault_19_an_object_without_traffic_is_an_object_and_errors_are_statuses(shop: TestClient[Any, Any]):
    response = await shop.get(f"{SHOP}/deployments/idle")
    assert response.status == 200
    assert [metric["value"] for metric in (await response.json())["metrics"]] == [None] * 5
    absent = await status_of(await shop.get(f"{SHOP}/deployments/gone"))
    assert (absent["code"], absent["reason"], absent["details"]["name"]) == (404, "NotFound", "gone")
    assert (await status_of(await shop.get(f"{SHOP}/gizmos")))["code"] == 404


@pytest.mark.parametrize("window", ["1d", "banana", "500ms", "0s", "-1m", ""])
async def test_fault_20_a_bad_window_is_refused_and_never_a_default(shop: TestClient[Any, Any], window: str):
    for name in ("t", "window"):
        status = await status_of(await shop.get(f"{SHOP}/deployments", params={name: window}))
        assert (status["code"], status["reason"]) == (400, "BadRequest")


async def test_fault_21_selectors_pages_tables_discovery_openapi_and_health_are_there(shop: TestClient[Any, Any]):
    document = await (await shop.get(f"{SHOP}/deployments?labelSelector=app!=web&includeIdle=true")).json()
    assert [item["metadata"]["name"] for item in document["items"]] == ["idle"]
    assert (await (await shop.get(f"{SHOP}/deployments?limit=1&includeIdle=true")).json())["metadata"]["continue"]
    table = await shop.get(f"{SHOP}/deployments", headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert (await table.json())["kind"] == "Table"
    for path in ("/apis", "/apis/metrics.smi-spec.io", BASE, "/openapi/v2", "/openapi/v3", "/healthz", f"{BASE}/edges"):
        assert (await shop.get(path)).status == 200, path


async def test_fault_22_a_user_without_permission_is_refused_with_a_status():
    async with client(Memory(), Door(User("eve"), frozenset({f"{SHOP}/deployments"}))) as session:
        status = await status_of(await session.get(f"{SHOP}/deployments"))
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert 'User "eve" cannot list resource "deployments"' in status["message"]


async def test_fault_24_readiness_is_made_of_checks_that_can_fail():
    health = Health(readyz=(PING, Check("shutdown", lambda: "process is shutting down")))
    async with client(Memory(), health=health) as session:
        assert (await session.get("/readyz")).status == 500
        assert (await session.get("/livez")).status == 200
