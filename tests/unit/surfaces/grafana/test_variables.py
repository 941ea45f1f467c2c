"""Variables, values of filters and options of the builder: names there are, narrowed by what has been chosen already."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from metrics_api import ResourceRef
from tests.unit.apiservice.test_traffic import Cluster
from tests.unit.surfaces.grafana.town import BASE, NOW, WEB, Town, grafana, post, query, rows


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[TestClient[Any, Any]]:
    async with grafana() as session:
        yield session


async def variable(session: TestClient[Any, Any], target: str, scope: str = "", **more: Any) -> list[str]:
    found = await post(session, "variable", {"payload": {"target": target}, **more}, scope=scope)
    assert [option["__text"] for option in found] == [option["__value"] for option in found]
    return [option["__value"] for option in found]


@pytest.mark.parametrize(
    ("target", "values"),
    [
        ("namespaces", ["data", "shop"]),
        ("workloads", ["api", "db", "web", "web.v2"]),
        ("workloads?namespace=shop", ["api", "web"]),
        ("workloads?namespace=(shop|data)&kind=statefulsets", ["db"]),
        ("deployments?namespace=data", ["web.v2"]),
        ("StatefulSet", ["db"]),
        ("peers?namespace=shop&name=web", ["api", "pay.example.com"]),
        ("peers?namespace=shop&direction=from", ["web", "web.v2"]),
        ("clusters", []),
        ("metrics", None),
        ("kinds", None),
    ],
)
async def test_a_variable_has_the_names_there_are(town: TestClient[Any, Any], target: str, values: list[str] | None):
    found = await variable(town, target)
    if values is not None:
        assert found == values
    else:
        assert found[0] == {"metrics": "requests_per_second", "kinds": "workloads"}[target]
        assert "nodes" in found or target == "metrics"


async def test_in_the_url_of_a_namespace_there_is_that_one(town: TestClient[Any, Any]):
    assert await variable(town, "namespaces", "shop") == ["shop"]
    assert await variable(town, "workloads", "shop") == ["api", "web"]
    assert "nodes" not in await variable(town, "kinds", "shop")


async def test_a_variable_has_the_names_of_its_time():
    async with grafana(Town(born={WEB: NOW - 60})) as session:
        assert await variable(session, "workloads?namespace=shop") == ["api", "web"]
        past = {"range": {"from": "now-2h", "to": "now-1h"}}
        assert await variable(session, "workloads?namespace=shop", **past) == ["api"]


@pytest.mark.parametrize(
    ("key", "filters", "values"),
    [
        ("namespace", [], ["data", "shop"]),
        ("kind", [], ["Deployment", "StatefulSet"]),
        ("name", [], ["api", "db", "web", "web.v2"]),
        ("name", [("namespace", "=", "shop"), ("name", "=", "web")], ["api", "web"]),
        ("peer", [("namespace", "=", "shop"), ("name", "=", "api")], ["db", "web", "web.v2"]),
        ("peer_kind", [("namespace", "=", "shop")], ["Deployment", "StatefulSet"]),
        ("direction", [], ["to", "from"]),
        ("cluster", [], []),
        ("success_rate", [], []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_values_of_a_filter_are_those_the_others_leave(
    town: TestClient[Any, Any], key: str, filters: list[tuple[str, str, str]], values: list[str]
):
    given = [{"key": name, "operator": operator, "value": value} for name, operator, value in filters]
    assert await post(town, "tag-values", {"key": key, "filters": given}) == [{"text": value} for value in values]


@pytest.mark.parametrize(
    ("name", "payload", "values"),
    [
        ("namespace", {"namespace": "data", "kind": "deployments"}, ["data", "shop"]),
        ("name", {"namespace": "data"}, ["db", "web.v2"]),
        ("name", {"namespace": "data", "kind": "statefulsets", "direction": "to"}, ["db"]),
        ("peer", {"namespace": "shop", "name": "web"}, ["api", "pay.example.com"]),
        ("direction", {}, ["both", "to", "from"]),
        ("window", {}, ["auto", "30s", "1m", "5m", "15m", "1h"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_builder_offers_what_fits_the_fields_before(
    town: TestClient[Any, Any], name: str, payload: dict[str, Any], values: list[str]
):
    found = await post(town, "metric-payload-options", {"metric": "edges", "payload": payload, "name": name})
    assert found == [{"label": value, "value": value} for value in values]


async def test_what_has_no_traffic_can_be_chosen_unless_there_must_be_some():
    quiet = ResourceRef("Deployment", "shop", "quiet")
    async with grafana(Town(rates={WEB: 1.0}), objects=Cluster({WEB: {}, quiet: {}})) as session:
        assert await variable(session, "workloads?namespace=shop") == ["quiet", "web"]
        (table,) = await post(session, "query", query({"target": "golden_metrics", "payload": {"namespace": "shop"}}))
        assert rows(table, "name") == [("web",)]
        busy = [{"key": "requests_per_second", "operator": ">", "value": "1"}]
        assert await post(session, "tag-values", {"key": "name", "filters": busy}) == [{"text": "web"}]


async def test_warnings_go_along_with_the_names():
    async with grafana(Town(warnings=("half of it",))) as session:
        body = {"payload": {"target": "workloads"}}
        async with session.post(f"{BASE}/grafana/variable", json=body) as response:
            assert response.headers["Warning"] == '299 - "half of it"'
