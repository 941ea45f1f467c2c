"""Several clusters: the objects of others have names that say where they are, and are chosen by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.unit.surfaces.grafana.town import API, BASE, NOW, WEB, Town, grafana, post, query, rate, rows

WEST = Town(name="west", rates={WEB: 30.0, API: 40.0}, calls={(WEB, API): 3.0})


@pytest.fixture(scope="module")
async def both() -> AsyncIterator[TestClient[Any, Any]]:
    async with grafana(Town(rates={WEB: 20.0}, calls={}), west=WEST) as session:
        yield session


async def test_names_of_other_clusters_say_where(both: TestClient[Any, Any]):
    (frame,) = await post(both, "query", query({"target": "golden_metrics", "payload": {"namespace": "shop"}}))
    assert sorted(rows(frame, "name", "cluster")) == [("api@west", "west"), ("web", ""), ("web@west", "west")]
    assert await post(both, "tag-values", {"key": "cluster"}) == [{"text": "west"}]


@pytest.mark.parametrize(
    ("chosen", "base"),
    [({"name": "web"}, 20), ({"name": "web@west"}, 30), ({"name": "web.*", "cluster": "west"}, 30)],
    ids=["home", "by name", "by cluster"],
)
@pytest.mark.parametrize("kind", ["deployments", "workloads"])
async def test_a_series_is_of_the_cluster_that_is_chosen(both: TestClient[Any, Any], kind: str, chosen: dict[str, str], base: int):
    asked = query({"target": "rps", "payload": {"namespace": "shop", "kind": kind, **chosen}})
    (frame,) = await post(both, "query", asked)
    assert frame["fields"][1]["values"][-1] == pytest.approx(rate(base, NOW - 40))
    assert frame["fields"][1]["labels"].get("cluster") == ("west" if base == 30 else None)


async def test_a_graph_keeps_clusters_apart(both: TestClient[Any, Any]):
    async with both.get(f"{BASE}/grafana/graph?namespace=shop") as response:
        document = await response.json()
    assert [node["id"] for node in document["nodes"]] == [
        "shop/Deployment/web",
        "shop/Deployment/api@west",
        "shop/Deployment/web@west",
    ]
    assert [edge["id"] for edge in document["edges"]] == ["shop/Deployment/web@west->shop/Deployment/api@west"]
