"""No side door: a panel tells what its user may read of the API, for which every read is authorised; and each is made once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from metrics_api import Answer, TrafficQuery
from tests.unit.surfaces.grafana.town import BASE, Rights, Town, grafana, post, query, rows

MAY_ASK = frozenset(
    {"create grafana", "create grafana shop", "list grafana", "list grafana shop", "get grafana", "get grafana shop"}
)
TEAM = MAY_ASK | {"list deployments shop", "get deployments/edges shop", "list trafficmetrics shop", "get namespaces shop"}


async def refused(document: dict[str, Any], rights: frozenset[str], verb: str = "query", scope: str = "") -> str:
    """The message of the 403."""
    async with grafana(rights=Rights(rights)) as session:
        status = await post(session, verb, document, scope=scope, code=403)
        assert (status["kind"], status["reason"], status["code"]) == ("Status", "Forbidden", 403)
        return str(status["message"])


@pytest.mark.parametrize("target", ["rps", "golden_metrics", "node_graph", "edges"])
@pytest.mark.parametrize("scope", ["", "data"], ids=["all", "namespace"])
async def test_another_namespace_is_forbidden(target: str, scope: str):
    rights = TEAM | {"create grafana data"}
    payload = {} if scope else {"namespace": "data"}
    message = await refused(query({"target": target, "payload": payload}), rights, scope=scope)
    assert 'User "ann" cannot list resource "trafficmetrics" in API group "metrics.smi-spec.io" in the namespace "data"' in message


async def test_one_forbidden_namespace_of_several_forbids_all():
    await refused(query({"target": "rps", "payload": {"namespace": "(shop|data)"}}), TEAM)


async def test_who_may_not_use_grafana_may_not_even_though_the_traffic_may_be_read():
    message = await refused(query({"target": "rps", "payload": {"namespace": "shop"}}), TEAM - {"create grafana"})
    assert 'cannot create resource "grafana"' in message


async def test_edges_are_a_right_of_their_own():
    edges = query({"target": "edges", "payload": {"namespace": "shop", "kind": "deployments", "name": "web"}})
    message = await refused(edges, TEAM - {"get deployments/edges shop"})
    assert 'cannot get resource "deployments/edges"' in message
    async with grafana(rights=Rights(TEAM)) as session:
        assert rows((await post(session, "query", edges))[0], "direction", "peer") == [("to", "pay.example.com"), ("to", "api")]


@pytest.mark.parametrize(
    ("verb", "document", "resource"),
    [
        ("query", query({"target": "rps"}), "trafficmetrics"),
        ("query", query({"target": "node_graph", "payload": {"kind": "deployments"}}), "trafficmetrics"),
        ("query", query({"target": "rps", "payload": {"kind": "deployments"}}), "deployments"),
        ("variable", {"payload": {"target": "namespaces"}}, "namespaces"),
        ("tag-values", {"key": "namespace"}, "namespaces"),
    ],
)
async def test_who_may_not_read_all_namespaces_is_told_what_to_do(verb: str, document: dict[str, Any], resource: str):
    message = await refused(document, TEAM, verb)
    assert f'cannot list resource "{resource}"' in message
    assert "/namespaces/NAMESPACE/grafana" in message
    assert f"let this user list {resource}.metrics.smi-spec.io in the whole cluster by a ClusterRole" in message


async def test_the_url_of_a_namespace_needs_a_role_in_it_alone():
    rights = Rights(frozenset({"create grafana shop", "list trafficmetrics shop"}))
    async with grafana(rights=rights) as session:
        frames = await post(session, "query", query({"target": "rps"}, {"target": "node_graph"}), scope="shop")
        assert await post(session, "variable", {"payload": {"target": "namespaces"}}, scope="shop") == [
            {"__text": "shop", "__value": "shop"}
        ]
    assert [frame["name"] for frame in frames] == ["api", "web", "nodes", "edges"]
    assert set(rights.asked) == rights.granted


async def test_the_url_of_a_namespace_answers_for_no_other():
    async with grafana() as session:
        status = await post(session, "query", query({"target": "rps", "payload": {"namespace": "data"}}), scope="shop", code=400)
        assert status["message"].startswith('this URL answers for the namespace "shop" alone, and data is asked for')
        (frame,) = await post(
            session,
            "query",
            query({"target": "golden_metrics"}, filters=[{"key": "namespace", "operator": "=", "value": "data"}]),
            scope="shop",
        )
        assert rows(frame, "name") == []
        (frame,) = await post(session, "query", query({"target": "golden_metrics", "payload": {"namespace": ".*"}}), scope="shop")
        assert rows(frame, "namespace", "name") == [("shop", "api"), ("shop", "web")]


async def test_a_filter_of_one_namespace_is_a_read_in_that_namespace():
    rights = Rights(TEAM)
    async with grafana(rights=rights) as session:
        body = query({"target": "golden_metrics"}, filters=[{"key": "namespace", "operator": "=", "value": "shop"}])
        (frame,) = await post(session, "query", body)
    assert rows(frame, "name") == [("api",), ("web",)]
    assert rights.asked == ["create grafana", "list trafficmetrics shop"]


async def test_a_graph_is_authorised_as_its_reads_are():
    rights = Rights(TEAM)
    async with grafana(rights=rights) as session:
        async with session.get(f"{BASE}/grafana/graph?namespace=data") as response:
            assert response.status == 403
        async with session.get(f"{BASE}/namespaces/shop/grafana/graph") as response:
            assert response.status == 200
    assert "list trafficmetrics data" in rights.asked


class Meeting(Town):
    """Answers when as many have asked as are to meet."""

    def __init__(self, meet: int) -> None:
        super().__init__()
        self.barrier = asyncio.Barrier(meet)

    async def answer(self, query: TrafficQuery) -> Answer:
        found = await super().answer(query)
        await self.barrier.wait()
        return found


async def test_different_targets_are_asked_at_the_same_time():
    town = Meeting(3)
    targets = [{"target": "golden_metrics", "payload": {"namespace": "shop", "window": f"{seconds}s"}} for seconds in (30, 60, 90)]
    async with asyncio.timeout(5), grafana(town) as session:
        assert len(await post(session, "query", query(*targets))) == 3


async def test_identical_targets_are_asked_once():
    rights, town = Rights(), Town()
    targets = [
        {"target": target, "payload": {"namespace": "shop"}} for target in ("golden_metrics", "golden_metrics", "edges", "edges")
    ]
    async with grafana(town, rights) as session:
        assert len(await post(session, "query", query(*targets))) == 4
    assert rights.asked == ["create grafana", "list trafficmetrics shop", "list trafficmetrics shop"]
    assert sorted(asked.edges for asked, _ in town.asked) == [False, True]
