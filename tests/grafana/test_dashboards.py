"""The dashboards, run: every query of every panel is answered, and what Grafana's own code makes of the answers is right."""

from __future__ import annotations

from typing import Any

import pytest

from tests.grafana.dashboards import NAMES, panel, panels, run_of, variables
from tests.grafana.rig import Grafana, Refused
from tests.grafana.shop import Shop

pytestmark = pytest.mark.real

CHOSEN = {
    "namespace": {"namespace": "shop"},
    "topology": {},
    "workload": {"namespace": "shop", "kind": "Deployment", "name": "web"},
}
PANELS = [pytest.param(name, each, id=f"{name}, {each['title']}") for name in NAMES for each in panels(name)]
ROW_OF_CART = {"Requests/s": "20.00 req/s", "Success": "90.00%", "p50": "45 ms", "p90": "49 ms", "p99": "49.9 ms"}
ROW_WITHOUT_TRAFFIC = {"Requests/s": "no traffic", "Success": "-", "p50": "-", "p90": "-", "p99": "-"}
RED, ORANGE, GREEN = "#F2495C", "#FF9830", "#73BF69"


async def shown(grafana: Grafana, shop: Shop, name: str, title: str, /, **chosen: str) -> Any:
    """What a panel shows, by its title."""
    return await grafana.panel(panel(name, title), run_of(name, shop, **{**CHOSEN[name], **chosen}))


async def tile(grafana: Grafana, shop: Shop, name: str, title: str, /, **chosen: str) -> tuple[str, str]:
    """The text of a tile, and its colour."""
    (found,) = await shown(grafana, shop, name, title, **chosen)
    return found["text"], found["color"]


async def rows(grafana: Grafana, shop: Shop, name: str, title: str, /, **chosen: str) -> dict[str, dict[str, str]]:
    """The rows of a table by the names in them, in their order."""
    table = await shown(grafana, shop, name, title, **chosen)
    assert len({row["cells"]["Name"] for row in table["rows"]}) == len(table["rows"])
    return {row["cells"].pop("Name"): row["cells"] for row in table["rows"]}


@pytest.mark.parametrize(("name", "each"), PANELS)
async def test_every_panel_shows_something(grafana: Grafana, shop: Shop, name: str, each: dict[str, Any]) -> None:
    found = await grafana.panel(each, run_of(name, shop, **CHOSEN[name]))
    match each["type"]:
        case "stat":
            assert [value["text"] for value in found] not in ([], ["unknown"], ["-"], ["No data"])
        case "timeseries":
            assert found
            assert all(line["points"] > 100 and line["last"] for line in found)
        case "table":
            assert found["rows"]
        case "nodeGraph":
            assert found["nodes"]
            assert found["edges"]
        case other:
            pytest.fail(f"nobody knows what a {other} shows")


@pytest.mark.parametrize(
    ("title", "text"),
    [("Requests", "65.00 req/s"), ("Success", "89.23%"), ("Sources", "all answered")],
)
async def test_the_tiles_of_a_namespace(grafana: Grafana, shop: Shop, title: str, text: str) -> None:
    assert (await tile(grafana, shop, "namespace", title))[0] == text


async def test_the_workloads_of_a_namespace_by_their_traffic(grafana: Grafana, shop: Shop) -> None:
    found = await rows(grafana, shop, "namespace", "Workloads")
    assert list(found) == ["web", "cart", "stock", "mail"]
    assert found["cart"] == {"Kind": "Deployment", "Namespace": "shop", **ROW_OF_CART}
    assert found["stock"]["Success"] == "0.00%"
    assert found["mail"] == {"Kind": "Deployment", "Namespace": "shop", **ROW_WITHOUT_TRAFFIC}


async def test_a_workload_leads_to_its_own_page_in_the_same_time(grafana: Grafana, shop: Shop) -> None:
    run = run_of("namespace", shop, namespace="shop", window="5m")
    table = await grafana.panel(panel("namespace", "Workloads"), run)
    chosen = "var-datasource=trafficmetrics&var-window=5m&var-namespace=shop&var-kind=Deployment&var-name=web"
    times = f"from={run.first * 1000}&to={run.last * 1000}"
    assert table["rows"][0]["links"] == {"Name": [f"/d/trafficmetrics-workload?{chosen}&{times}"]}


@pytest.mark.parametrize(
    ("name", "callers", "callees"),
    [
        pytest.param("web", ["gateway"], ["cart", "stock"], id="both"),
        pytest.param("cart", ["web"], ["db", "mail"], id="a callee without traffic"),
        pytest.param("mail", ["cart"], [], id="nothing but a caller without traffic"),
    ],
)
async def test_who_calls_a_workload_and_whom_it_calls(
    grafana: Grafana, shop: Shop, name: str, callers: list[str], callees: list[str]
) -> None:
    assert list(await rows(grafana, shop, "workload", "Callers", name=name)) == callers
    assert list(await rows(grafana, shop, "workload", "Callees", name=name)) == callees


async def test_an_edge_without_traffic_is_beside_one_with(grafana: Grafana, shop: Shop) -> None:
    found = await rows(grafana, shop, "workload", "Callees", name="cart")
    assert found["mail"] == {"Kind": "Deployment", "Namespace": "shop", **ROW_WITHOUT_TRAFFIC}
    assert found["db"]["Success"] == "100.00%"


@pytest.mark.parametrize(
    ("name", "requests", "success", "color"),
    [
        pytest.param("web", "40.00 req/s", "100.00%", GREEN, id="nothing fails"),
        pytest.param("cart", "20.00 req/s", "90.00%", ORANGE, id="some fail"),
        pytest.param("stock", "5.00 req/s", "0.00%", RED, id="everything fails"),
    ],
)
async def test_health_has_a_colour_and_a_text(
    grafana: Grafana, shop: Shop, name: str, requests: str, success: str, color: str
) -> None:
    assert (await tile(grafana, shop, "workload", "Requests", name=name))[0] == requests
    assert await tile(grafana, shop, "workload", "Success", name=name) == (success, color)


@pytest.mark.parametrize(
    ("name", "requests"), [pytest.param("mail", "no traffic", id="idle"), pytest.param("nobody", "unknown", id="unknown")]
)
async def test_no_traffic_is_neither_zero_percent_nor_red(grafana: Grafana, shop: Shop, name: str, requests: str) -> None:
    text, color = await tile(grafana, shop, "workload", "Success", name=name)
    assert text == "-"
    assert color not in (RED, ORANGE, GREEN)
    assert (await tile(grafana, shop, "workload", "Requests", name=name))[0] == requests
    assert (await tile(grafana, shop, "workload", "p99 latency", name=name))[0] == "-"
    assert await shown(grafana, shop, "workload", "Success over time", name=name) == []


async def test_every_window_that_is_offered_is_answered(grafana: Grafana, shop: Shop) -> None:
    offered = [option["value"] for option in variables("workload")["window"]["options"]]
    assert offered == [".*", "30s", "1m", "5m", "15m", "1h"]
    for window in offered:
        text, _ = await tile(grafana, shop, "workload", "Requests", window=window)
        assert text == "40.00 req/s", window
    offered = [option["value"] for option in variables("topology")["window"]["options"]]
    assert offered == ["30s", "1m", "5m", "15m", "1h"]
    for window in offered:
        assert list(await rows(grafana, shop, "topology", "Workloads", window=window)) == ["web", "cart", "db", "stock", "mail"]


async def test_lines_are_named_by_what_they_are_about(grafana: Grafana, shop: Shop) -> None:
    lines = await shown(grafana, shop, "namespace", "Requests by workload")
    assert {line["name"].strip(): line["last"] for line in lines} == {
        "Deployment cart": "20 req/s",
        "Deployment mail": "0 req/s",
        "Deployment stock": "5 req/s",
        "Deployment web": "40 req/s",
    }
    lines = await shown(grafana, shop, "workload", "Latency")
    assert {line["name"].strip(): line["last"] for line in lines} == {"p50": "15 ms", "p90": "19 ms", "p99": "19.9 ms"}


async def test_the_topology_has_a_circle_for_each_workload_and_an_arrow_for_each_edge(grafana: Grafana, shop: Shop) -> None:
    graph = await shown(grafana, shop, "topology", "Who calls whom")
    nodes = {node["title"]: node for node in graph["nodes"]}
    assert sorted(nodes) == ["cart", "db", "gateway", "mail", "stock", "web"]
    assert nodes["cart"]["arcs"] == {"success": 0.9, "failure": 0.1, "none": 0}
    assert nodes["mail"]["arcs"] == {"success": 0, "failure": 0, "none": 1}
    assert (nodes["cart"]["mainStat"], nodes["cart"]["secondaryStat"]) == ("20.0rps", "90.00% 50ms")
    called = {(edge["source"].split("/")[-1], edge["target"].split("/")[-1]) for edge in graph["edges"]}
    assert called == {("gateway", "web"), ("web", "cart"), ("web", "stock"), ("cart", "db"), ("cart", "mail")}


async def test_the_topology_of_a_namespace_has_whom_its_workloads_exchange_requests_with(grafana: Grafana, shop: Shop) -> None:
    graph = await shown(grafana, shop, "topology", "Who calls whom", namespace="data")
    assert sorted(node["title"] for node in graph["nodes"]) == ["cart", "db"]


async def test_the_tables_of_the_topology(grafana: Grafana, shop: Shop) -> None:
    namespaces = await shown(grafana, shop, "topology", "Namespaces")
    assert [row["cells"]["Name"] for row in namespaces["rows"]] == ["shop", "data"]
    assert namespaces["rows"][0]["links"]["Name"][0].startswith(
        "/d/trafficmetrics-namespace?var-window=1m&var-namespace=shop&from="
    )
    workloads = await rows(grafana, shop, "topology", "Workloads")
    assert workloads["cart"] == {"Kind": "Deployment", "Namespace": "shop", "Cluster": "", **ROW_OF_CART}
    assert workloads["mail"] == {"Kind": "Deployment", "Namespace": "shop", "Cluster": "", **ROW_WITHOUT_TRAFFIC}
    edges = await shown(grafana, shop, "topology", "Edges")
    ends = {(row["cells"]["Caller"], row["cells"]["Callee"]): row["cells"] for row in edges["rows"]}
    assert ends["shop/Deployment/web", "shop/Deployment/stock"]["Success"] == "0.00%"
    assert ends["shop/Deployment/cart", "shop/Deployment/mail"].items() >= ROW_WITHOUT_TRAFFIC.items()


async def test_a_list_of_several_pages_is_read_to_its_end(grafana: Grafana, shop: Shop) -> None:
    table = panel("topology", "Workloads")
    (limit,) = (each for each in table["targets"][0]["url_options"]["params"] if each["key"] == "limit")
    limit["value"] = "2"
    found = await grafana.panel(table, run_of("topology", shop))
    assert sorted(row["cells"]["Name"] for row in found["rows"]) == ["cart", "db", "mail", "stock", "web"]


@pytest.mark.parametrize(
    ("name", "variable", "found"),
    [
        ("namespace", "namespace", ["data", "shop"]),
        ("workload", "namespace", ["data", "shop"]),
        ("workload", "kind", ["Deployment"]),
        ("workload", "name", ["cart", "mail", "stock", "web"]),
    ],
)
async def test_variables_offer_what_there_is(grafana: Grafana, shop: Shop, name: str, variable: str, found: list[str]) -> None:
    query = variables(name)[variable]["query"]["query"]
    assert sorted((await grafana.variable(query, "trafficmetrics", run_of(name, shop, **CHOSEN[name])))[0]) == found


async def test_the_namespaces_of_the_topology_are_those_there_are(grafana: Grafana, shop: Shop) -> None:
    query = variables("topology")["namespace"]["query"]["infinityQuery"]
    (frame,) = await grafana.query("trafficmetrics-infinity", [query], run_of("topology", shop))
    assert [(field["name"], sorted(field["values"])) for field in frame["fields"]] == [("name", ["data", "shop"])]


async def test_infinity_is_kept_to_the_addresses_that_are_allowed(grafana: Grafana, shop: Shop) -> None:
    run = run_of("topology", shop)
    run.sources["trafficmetrics-infinity"]["url"] = f"{shop.url}/metrics?"  # type: ignore[index]
    with pytest.raises(Refused, match="is not among the allowed hosts"):
        await grafana.panel(panel("topology", "Namespaces"), run)
