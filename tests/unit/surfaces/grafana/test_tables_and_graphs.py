"""Tables and node graphs: what is known of one instant."""

from __future__ import annotations

from typing import Any

import pytest

from metrics_api import ResourceRef, timestamp
from tests.unit.surfaces.grafana.town import BASE, NOW, Town, columns, grafana, post, query, rate, rows

TOTALS = ["namespace", "kind", "name"]
EDGES = [*TOTALS, "direction", "peer_namespace", "peer_kind", "peer"]


async def table(payload: Any = None, target: str = "golden_metrics", town: Town | None = None, **more: Any) -> dict[str, Any]:
    async with grafana(town) as session:
        (frame,) = await post(session, "query", query({"target": target, "payload": payload or {}}, **more))
        found: dict[str, Any] = frame
        return found


async def graph(path: str = "", town: Town | None = None) -> tuple[dict[str, Any], list[str]]:
    async with grafana(town) as session, session.get(f"{BASE}/grafana/graph{path}") as response:
        assert response.status == 200, await response.text()
        return await response.json(), response.headers.getall("Warning", [])


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        pytest.param({}, ["web.v2", "db", "api", "web"], id="workloads of all namespaces"),
        pytest.param({"kind": "deployments"}, ["web.v2", "api", "web"], id="one kind"),
        pytest.param({"kind": "StatefulSet"}, ["db"], id="one kind as Kubernetes spells it"),
        pytest.param({"resource": "deployment", "namespace": "data"}, ["web.v2"], id="resource is kind"),
        pytest.param({"kind": ["statefulsets", "deployments"], "namespace": "data"}, ["web.v2", "db"], id="several kinds"),
        pytest.param({"kind": "(workloads|deployments)", "namespace": "shop"}, ["api", "web"], id="nobody is told of twice"),
        pytest.param({"name": "web.*"}, ["web.v2", "web"], id="a pattern"),
        pytest.param({"namespace": "{shop,data}", "name": "web\\.v2"}, ["web.v2"], id="an escaped name"),
        pytest.param({"kind": "namespaces"}, ["data", "shop"], id="namespaces"),
        pytest.param({"kind": "namespaces", "namespace": "shop"}, ["shop"], id="one namespace"),
    ],
)
async def test_a_table_has_the_rows_that_are_chosen(payload: dict[str, Any], names: list[str]):
    assert [name for (name,) in rows(await table(payload), "name")] == names


async def test_a_table_of_one_metric_has_that_column():
    frame = await table({"namespace": "shop", "format": "table"}, "failure_ratio")
    assert list(columns(frame)) == [*TOTALS, "failure_ratio"]
    assert rows(frame, "name", "failure_ratio") == [("api", pytest.approx(0.1)), ("web", 0.0)]


async def test_a_table_of_edges_names_their_peers():
    frame = await table({"namespace": "shop"}, "edges")
    assert list(columns(frame))[:7] == EDGES
    assert rows(frame, "name", "direction", "peer_namespace", "peer", "requests_per_second") == [
        ("api", "from", "shop", "web", pytest.approx(rate(8, NOW))),
        ("api", "from", "data", "web.v2", pytest.approx(rate(2, NOW))),
        ("api", "to", "data", "db", pytest.approx(rate(4, NOW))),
        ("web", "to", "shop", "api", pytest.approx(rate(8, NOW))),
        ("web", "to", "", "pay.example.com", pytest.approx(rate(1, NOW))),
    ]


@pytest.mark.parametrize(
    ("chosen", "instant"),
    [
        ({"end": NOW}, NOW),
        ({"end": NOW - 3}, NOW - 3),
        ({"end": NOW - 600}, NOW - 600),
        ({"end": NOW + 600}, NOW),
        ({"range": {"from": "now-1h", "to": "now"}}, NOW),
        ({"range": {"from": "now-1h", "to": "now-10m"}}, NOW - 600),
        ({"range": {"from": "2026-11-21T20:26:40Z", "to": "2026-11-21T21:26:40Z", "raw": {"from": "now-1h", "to": "now"}}}, NOW),
        ({"range": {"from": (NOW - 900) * 1_000, "to": str((NOW - 600) * 1_000)}}, NOW - 600),
        ({"range": None}, NOW),
    ],
    ids=["now", "a moment ago", "the past", "the future", "as text", "past as text", "a slow clock", "milliseconds", "no range"],
)
async def test_a_table_is_of_the_end_of_the_range(chosen: dict[str, Any], instant: int):
    frame = await table({"namespace": "shop", "name": "web"}, **chosen)
    assert columns(frame)["requests_per_second"] == [pytest.approx(rate(20, instant))]


async def test_a_graph_has_both_ends_of_every_edge():
    document, warnings = await graph("?namespace=shop")
    names = {node["id"] for node in document["nodes"]}
    assert names == {
        "shop/Deployment/web",
        "shop/Deployment/api",
        "data/StatefulSet/db",
        "data/Deployment/web.v2",
        "pay.example.com",
    }
    assert {end for edge in document["edges"] for end in (edge["source"], edge["target"])} <= names
    assert [edge["id"] for edge in document["edges"] if edge["source"] == "shop/Deployment/web"] == [
        "shop/Deployment/web->pay.example.com",
        "shop/Deployment/web->shop/Deployment/api",
    ]
    assert warnings == []


async def test_the_arcs_of_every_node_are_one():
    town = Town(rates={**Town().rates, ResourceRef("Deployment", "shop", "idle"): -1_000.0})
    document, _ = await graph("?namespace=shop", town)
    nodes = {node["title"]: node for node in document["nodes"]}
    assert {round(sum(value for name, value in node.items() if _arc(name)), 9) for node in nodes.values()} == {1.0}
    shares = {title: [node[f"arc__{part}"] for part in ("success", "failure", "none")] for title, node in nodes.items()}
    assert shares["api"] == pytest.approx([0.9, 0.1, 0.0])
    # No traffic is told apart from what is not known of the host, and both from failing.
    assert (shares["idle"], nodes["idle"]["mainStat"]) == ([0.0, 0.0, 1.0], "0.0rps")
    assert (shares["pay.example.com"], nodes["pay.example.com"]["mainStat"]) == ([0.0, 0.0, 1.0], "-")


def _arc(name: str) -> bool:
    return name.startswith("arc__") and not name.endswith("_color")


async def test_statistics_are_texts_and_details_are_numbers():
    document, _ = await graph("?namespace=shop&name=api&direction=to")
    (edge,) = document["edges"]
    assert (edge["mainStat"], edge["secondaryStat"], edge["detail__side"]) == ("1004.0rps", "100.00% 40ms", "client")
    assert edge["detail__requests_per_second"] == pytest.approx(rate(4, NOW))
    assert (edge["detail__p99_response_latency"], edge["detail__success_rate"]) == (0.04, 1.0)
    assert 1 <= edge["thickness"] <= 6
    nodes = {node["title"]: node for node in document["nodes"]}
    assert list(nodes) == ["api", "db"]
    assert (nodes["api"]["mainStat"], nodes["api"]["secondaryStat"]) == ("1010.0rps", "90.00% 100ms")
    assert (nodes["api"]["subTitle"], nodes["api"]["arc__failure_color"]) == ("deployment shop", "red")


async def test_the_peers_of_one_resource_have_numbers_of_their_own_and_nobody_else_is_drawn():
    document, _ = await graph("?name=api&direction=to")
    assert {node["title"]: node["mainStat"] for node in document["nodes"]} == {"api": "1010.0rps", "db": "1005.0rps"}


async def test_a_resource_without_edges_is_in_the_graph_unless_edges_are_chosen():
    town = Town(calls={})
    assert [node["title"] for node in (await graph("?namespace=shop", town))[0]["nodes"]] == ["api", "web"]
    assert (await graph("?namespace=shop&peer=db", town))[0] == {"nodes": [], "edges": []}


@pytest.mark.parametrize(
    ("path", "rps"),
    [
        ("", "1020.0rps"),
        (f"&time={timestamp(NOW - 60)}", "1010.0rps"),
        (f"&from={(NOW - 600) * 1_000}&to={(NOW - 60) * 1_000}", "1010.0rps"),
        ("&from=now-1h&to=now", "1020.0rps"),
    ],
    ids=["now", "time", "range in milliseconds", "range as text"],
)
async def test_a_graph_is_of_the_time_that_is_asked_about(path: str, rps: str):
    document, _ = await graph(f"?namespace=shop{path}")
    assert {node["title"]: node["mainStat"] for node in document["nodes"]}["web"] == rps


async def test_a_panel_gets_the_graph_as_two_frames():
    async with grafana() as session:
        nodes, edges = await post(session, "query", query({"target": "node_graph", "payload": {"namespace": "shop"}}))
    assert [frame["name"] for frame in (nodes, edges)] == ["nodes", "edges"]
    assert [frame["meta"]["preferredVisualisationType"] for frame in (nodes, edges)] == ["nodeGraph"] * 2
    assert set(columns(edges)["source"] + columns(edges)["target"]) <= set(columns(nodes)["id"])
    arcs = {field["name"]: field["config"] for field in nodes["fields"] if field["name"].startswith("arc__")}
    assert arcs["arc__failure"]["color"] == {"mode": "fixed", "fixedColor": "red"}
    assert {len(field["values"]) for field in nodes["fields"]} == {5}


async def test_filters_choose_among_the_edges_of_a_graph():
    filters = [{"key": "failure_ratio", "operator": ">", "value": "0.05"}, {"key": "direction", "operator": "=", "value": "from"}]
    async with grafana() as session:
        nodes, edges = await post(
            session, "query", query({"target": "node_graph", "payload": {"namespace": "shop"}}, filters=filters)
        )
    assert rows(edges, "source", "target") == [
        ("data/Deployment/web.v2", "shop/Deployment/api"),
        ("shop/Deployment/web", "shop/Deployment/api"),
    ]
    assert sorted(columns(nodes)["title"]) == ["api", "web", "web.v2"]


async def test_a_graph_too_large_to_draw_keeps_what_has_most_traffic_and_says_so():
    hub = ResourceRef("Deployment", "shop", "hub")
    leaves = [ResourceRef("Deployment", "shop", f"leaf-{number:04}") for number in range(1_600)]
    calls = {(leaf, hub): float(number) for number, leaf in enumerate(leaves)}
    document, (warning,) = await graph("?namespace=shop", Town(rates={hub: 5.0}, calls=calls))
    names = {node["id"] for node in document["nodes"]}
    assert names == {"shop/Deployment/hub"} | {f"shop/Deployment/leaf-{number:04}" for number in range(101, 1_600)}
    assert len(document["edges"]) == 1_499
    assert {end for edge in document["edges"] for end in (edge["source"], edge["target"])} <= names
    assert "the graph has 1601 nodes and Grafana draws 1500: these have most traffic" in warning


async def test_the_node_graph_plugin_finds_every_field_it_declares():
    async with grafana() as session:
        async with session.get(f"{BASE}/grafana/api/graph/fields?namespace=shop") as response:
            fields = await response.json()
        async with session.get(f"{BASE}/grafana/api/graph/data?namespace=shop&kind=deployments&window=1m") as response:
            data = await response.json()
    for kind, found in (("nodes_fields", data["nodes"]), ("edges_fields", data["edges"])):
        names = {field["field_name"] for field in fields[kind]}
        assert found
        assert all(names <= set(each) for each in found)
        assert {field["type"] for field in fields[kind]} == {"string", "number"}
    assert {"field_name": "arc__failure", "type": "number", "displayName": "Failure", "color": "red"} in fields["nodes_fields"]


async def test_kinds_are_drawn_in_a_graph_of_their_own():
    document, _ = await graph("?kind=deployments&namespace=shop")
    assert {edge["source"] for edge in document["edges"]} == {
        "shop/Deployment/web",
        "shop/Deployment/api",
        "data/Deployment/web.v2",
    }
