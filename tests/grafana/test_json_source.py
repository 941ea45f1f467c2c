"""The JSON data source: requests as its plugin sends them, and what Grafana's own code makes of the answers.

The bodies are those that version 0.6 of the plugin sent when it was watched (simPod/GrafanaJsonDatasource, src/DataSource.ts), with
another time and other targets.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.grafana.rig import Grafana, Refused
from tests.grafana.shop import Shop

pytestmark = pytest.mark.real


def body(shop: Shop, *targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A query of a panel over the last ten minutes."""
    first, last = (f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}.000Z" for at in (shop.last - 600, shop.last))
    raw = {"from": "now-10m", "to": "now"}
    sent = {
        "app": "dashboard",
        "requestId": "Q100",
        "timezone": "browser",
        "panelId": 2,
        "dashboardUID": "abc",
        "range": {"from": first, "to": last, "raw": raw},
        "rangeRaw": raw,
        "interval": "30s",
        "intervalMs": 30_000,
        "maxDataPoints": 550,
        "startTime": 1_795_297_894_735,
        "scopedVars": {"__interval": {"text": "30s", "value": "30s"}},
        "filters": [],
    }
    named = [{"refId": chr(65 + at), "editorMode": "code", **target} for at, target in enumerate(targets)]
    source = {"type": "simpod-json-datasource", "uid": "trafficmetrics-json"}
    return sent | more | {"targets": [{**target, "datasource": source} for target in named]}


def target(metric: str, /, **payload: Any) -> dict[str, Any]:
    """One query; a payload of the code editor."""
    return {"target": metric, "payload": payload}


async def frames(grafana: Grafana, shop: Shop, sent: dict[str, Any]) -> list[dict[str, Any]]:
    """The answer as Grafana takes it."""
    return await grafana.frames(await shop.post("/grafana/query", sent))


def column(frame: dict[str, Any], name: str) -> list[Any]:
    """The values of a field."""
    (found,) = (field["values"] for field in frame["fields"] if field["name"] == name)
    return list(found)


@pytest.mark.parametrize(
    ("metric", "unit", "web"), [("rps", "reqps", 40), ("success_rate", "percentunit", 1), ("p99_response_latency", "s", 0.0199)]
)
async def test_series_have_times_units_and_labels(grafana: Grafana, shop: Shop, metric: str, unit: str, web: float) -> None:
    found = await frames(grafana, shop, body(shop, target(metric, namespace="shop")))
    by_name = {frame["name"]: frame for frame in found}
    assert {"cart", "stock", "web"} <= set(by_name)
    time, value = by_name["web"]["fields"]
    assert (time["type"], value["type"], value["config"]["unit"]) == ("time", "number", unit)
    assert len(time["values"]) > 10
    assert {round(each, 6) for each in value["values"]} == {web}
    assert value["labels"]["namespace"] == "shop"


async def test_a_series_without_requests_has_gaps_and_no_zeros(grafana: Grafana, shop: Shop) -> None:
    (rate,) = await frames(grafana, shop, body(shop, target("rps", namespace="shop", name="mail")))
    assert set(rate["fields"][1]["values"]) == {0}
    (share,) = await frames(grafana, shop, body(shop, target("success_rate", namespace="shop", name="mail")))
    assert set(share["fields"][1]["values"]) == {None}


async def test_a_table_has_a_row_for_each_workload(grafana: Grafana, shop: Shop) -> None:
    (frame,) = await frames(grafana, shop, body(shop, target("golden_metrics", namespace="shop")))
    assert column(frame, "name") == ["cart", "mail", "stock", "web"]
    assert column(frame, "requests_per_second") == [20, 0, 5, 40]
    assert column(frame, "success_rate") == [0.9, None, 0, 1]
    assert {field["type"] for field in frame["fields"] if field["name"] != "time"} <= {"string", "number"}


async def test_every_target_has_frames_of_its_own(grafana: Grafana, shop: Shop) -> None:
    sent = body(shop, target("rps", namespace="data"), target("golden_metrics", namespace="shop"))
    found = await frames(grafana, shop, sent)
    assert {frame["refId"] for frame in found} == {"A", "B"}


async def test_filters_of_the_dashboard_count(grafana: Grafana, shop: Shop) -> None:
    filters = [{"key": "name", "operator": "=~", "value": "(web|cart)"}]
    (frame,) = await frames(grafana, shop, body(shop, target("golden_metrics", namespace="shop"), filters=filters))
    assert column(frame, "name") == ["cart", "web"]


async def test_the_builder_sends_texts(grafana: Grafana, shop: Shop) -> None:
    built = {"editorMode": "builder", "target": "rps", "payload": {"namespace": "shop", "name": "(web|cart)"}}
    found = await frames(grafana, shop, body(shop, built))
    assert sorted(frame["name"] for frame in found) == ["cart", "web"]


async def test_the_node_graph_is_drawn(grafana: Grafana, shop: Shop) -> None:
    graph = await grafana.graph(await shop.post("/grafana/query", body(shop, target("node_graph"))))
    nodes = {node["title"]: node for node in graph["nodes"]}
    assert sorted(nodes) == ["cart", "db", "gateway", "mail", "stock", "web"]
    assert {round(sum(node["arcs"].values()), 6) for node in nodes.values()} == {1}
    assert nodes["cart"]["arcs"] == {"success": 0.9, "failure": 0.1, "none": 0}
    assert len(graph["edges"]) == 5
    assert all(edge["mainStat"].endswith("rps") for edge in graph["edges"])


async def test_the_rig_refuses_an_edge_without_an_end(grafana: Grafana, shop: Shop) -> None:
    nodes, edges = await shop.post("/grafana/query", body(shop, target("node_graph")))
    (ids,) = (field["values"] for field in nodes["fields"] if field["name"] == "id")
    ids[ids.index("shop/Deployment/web")] = "elsewhere"
    with pytest.raises(Refused, match="has an end that is no node"):
        await grafana.graph([nodes, edges])


async def test_the_rig_refuses_what_grafana_does(grafana: Grafana) -> None:
    with pytest.raises(Refused, match="Unsupported data format"):
        await grafana.frames([{"kind": "Table", "rows": []}])


async def test_variables_become_options(grafana: Grafana, shop: Shop) -> None:
    sent = {"payload": {"target": "namespaces"}, "range": body(shop)["range"]}
    (frame,) = await grafana.frames([await shop.post("/grafana/variable", sent)])
    assert column(frame, "__value") == column(frame, "__text") == ["data", "shop"]


async def test_the_editor_is_offered_metrics_and_what_they_can_be_asked(shop: Shop) -> None:
    offered = await shop.post("/grafana/metrics", {})
    assert {"requests_per_second", "success_rate", "node_graph"} <= {each["value"] for each in offered}
    kinds = {"input", "select", "multi-select", "textarea"}
    assert all(payload["name"] and payload["type"] in kinds for each in offered for payload in each["payloads"])


async def test_filters_are_offered_with_their_values(shop: Shop) -> None:
    async with shop.session.post(f"{shop.url}/apis/metrics.smi-spec.io/v1alpha1/grafana/tag-keys") as response:
        assert "namespace" in [each["text"] for each in await response.json()]
    assert await shop.post("/grafana/tag-values", {"key": "namespace", "filters": []}) == [{"text": "data"}, {"text": "shop"}]
