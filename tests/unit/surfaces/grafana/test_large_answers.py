"""Large answers: told in parts that keep nobody waiting, and no larger than a panel can be, however a request multiplies them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from apiservice.sending import json_parts
from metrics_api import ResourceRef
from tests.unit.surfaces.grafana.town import BASE, NOW, Town, columns, grafana, post, query

METRICS = [
    *("requests_per_second", "success_rate", "failure_ratio", "success_count", "failure_count"),
    *(f"p{percentile}_response_latency" for percentile in (50, 90, 99)),
]


def crowd(workloads: int) -> Town:
    return Town(rates={ResourceRef("Deployment", "shop", f"web-{number}"): 1.0 for number in range(workloads)}, calls={})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        None,
        [{}],
        {"nodes": [], "edges": [{"id": "a", "more": {"deep": [1, {"x": None}]}}]},
        [1, "\u00e9\n", [2.5, [[3]]], None],
    ],
    ids=str,
)
def test_the_parts_of_an_answer_are_the_answer(document: Any):
    assert msgspec.json.decode(b"".join(json_parts(document))) == document


def test_a_large_answer_is_in_many_parts():
    frames = [{"fields": [{"values": list(range(1_000))}] * 10}] * 10
    parts = list(json_parts(frames))
    assert msgspec.json.decode(b"".join(parts)) == frames
    assert max(map(len, parts)) < 40_000


@pytest.mark.parametrize("gzip", [True, False], ids=["gzip", "plain"])
async def test_a_large_table_arrives_whole(*, gzip: bool):
    headers = {"Accept-Encoding": "gzip" if gzip else "identity"}
    async with grafana(crowd(2_000)) as session:
        body = query({"target": "golden_metrics", "payload": {"namespace": "shop"}})
        async with session.post(f"{BASE}/grafana/query", json=body, headers=headers) as response:
            assert response.headers.get("Content-Encoding") == ("gzip" if gzip else None)
            (frame,) = await response.json()
    assert len(set(columns(frame)["name"])) == 2_000


async def test_many_queries_for_one_read_share_what_a_panel_may_show():
    async with grafana(crowd(50)) as session:
        one = {"target": METRICS, "payload": {"namespace": "shop"}}
        (few, *_) = await post(session, "query", query(one, minutes=60, intervalMs=1_000))
        (many, *_) = await post(session, "query", query(*[one] * 20, minutes=60, intervalMs=1_000))
    assert len(columns(few)["Time"]) > 300
    assert len(columns(many)["Time"]) <= 250_000 // (20 * 50 * len(METRICS))


async def test_more_series_than_a_panel_may_show_are_refused():
    async with grafana(crowd(700)) as session:
        body = query(*[{"target": METRICS, "payload": {"namespace": "shop"}}] * 50)
        status = await post(session, "query", body, code=400)
    assert "this is 280000 series in one panel" in status["message"]


@pytest.mark.parametrize("target", ["golden_metrics", "node_graph"])
async def test_more_rows_than_tables_and_graphs_may_have_are_refused(target: str):
    async with grafana(crowd(3_001)) as session:
        body = query(*[{"target": target, "payload": {"namespace": "shop"}}] * 50, end=NOW)
        status = await post(session, "query", body, code=400)
    assert "this is 150050 rows in all tables and graphs: 150000 is the most" in status["message"]
