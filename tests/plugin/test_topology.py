"""``kubectl traffic topology`` through the real kubectl and a real server: what it asks for, and what it prints."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from metrics_api import UNKNOWN, Direction, ResourceRef, TrafficMetrics
from metrics_api.resources import host
from tests.apiservice.memory import SHOP_API, SHOP_CART, SHOP_WEB, Door, Memory, between, total
from tests.plugin.conftest import Plugin
from tests.plugin.rounds import told

SHOP = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop"
IDLE = ResourceRef("Deployment", "shop", "idle")


@pytest.fixture(scope="module")
def door() -> Door:
    """Lets everybody read everything but what ``secret`` exchanges."""
    return Door(forbidden=frozenset({f"{SHOP}/deployments/secret/edges"}))


async def test_a_namespace_is_a_tree(plugin: Plugin) -> None:
    got = await plugin.traffic("topology", "-n", "shop")
    assert (got.code, got.err) == (0, "")
    assert got.out.splitlines() == [
        "CALLS                       SUCCESS   RPS      P99    HEALTH",
        "deployment/web              90.00%    2.0rps   12ms   failing",
        "└▶ deployment/api           100.00%   3.0rps   12ms   healthy",
        "   └▶ statefulset/db.data   100.00%   1.3rps   12ms   healthy",
        "deployment/cart             100.00%   0.7rps   12ms   healthy",
    ]


async def test_what_goes_in_circles_is_told_once_and_what_is_no_traffic_is_not_none_that_succeeds(tmp_path: Path) -> None:
    def link(client: ResourceRef, server: ResourceRef, success: int, failure: int = 0) -> TrafficMetrics:
        return replace(between(client, Direction.TO, server, success), failure=failure * 1000)

    edges = (
        replace(between(SHOP_WEB, Direction.FROM, UNKNOWN, 30), p99=None),
        link(SHOP_WEB, SHOP_WEB, 30),
        link(SHOP_WEB, SHOP_API, 0, 30),
        link(SHOP_WEB, SHOP_CART, 0),
        link(SHOP_API, SHOP_CART, 2970, 30),
        link(SHOP_CART, SHOP_API, 30),
        link(SHOP_CART, host("pay.example.com"), 2997, 3),
    )
    idle = replace(total(IDLE, 0, 0), p50=None, p90=None, p99=None)
    unknown = replace(idle, name="never", resource=ResourceRef("Deployment", "shop", "never"), success=None, failure=None)
    async with told(Memory(rows=(idle, unknown), edges=edges), tmp_path) as plugin:
        got = await plugin.traffic("topology", "-n", "shop", "--color", "always")
        plain = await plugin.traffic("topology", "-n", "shop")
    assert plain.out.splitlines() == [
        "CALLS                                    SUCCESS   RPS        P99    HEALTH",
        "unknown (outside the mesh)",
        "└▶ deployment/web                        100.00%   1.0rps     -      healthy",
        "   ├▶ deployment/api                     0.00%     1.0rps     12ms   failing",
        "   │  └▶ deployment/cart                 99.00%    100.0rps   12ms   degraded",
        "   │     ├▶ pay.example.com (external)   99.90%    100.0rps   12ms   degraded",
        "   │     └▶ deployment/api ↻             100.00%   1.0rps     12ms   healthy",
        "   ├▶ deployment/cart ↑                  -         0.0rps     12ms   no traffic",
        "   └▶ deployment/web ↻                   100.00%   1.0rps     12ms   healthy",
        "deployment/idle                          -         0.0rps     -      no traffic",
        "deployment/never                         -         -          -      unknown",
        "",
        "↻ calls back what led here, which stands above",
        "↑ whom it calls is told above",
    ]
    assert "\x1b[31mfailing" in got.out
    assert "\x1b[2mno traffic" in got.out
    assert "\x1b[" not in plain.out


async def test_everywhere_names_have_their_namespaces(plugin: Plugin) -> None:
    got = await plugin.traffic("topology", "-A", "-o", "json")
    assert [(edge["client"], edge["server"]) for edge in json.loads(got.out)["edges"]] == [
        ("shop/Deployment/api", "data/StatefulSet/db"),
        ("shop/Deployment/web", "shop/Deployment/api"),
    ]
    tree = await plugin.traffic("topology", "-A")
    assert "└▶ deployment/api.shop " in tree.out


async def test_one_is_read_by_who_may_read_that_one_alone(plugin: Plugin, door: Door) -> None:
    door.seen.clear()
    got = await plugin.traffic("topology", "deploy/api", "-n", "shop")
    assert [line.partition(" 100")[0].partition("  9")[0].rstrip() for line in got.out.splitlines()[1:]] == [
        "deployment/web",
        "└▶ deployment/api",
        "   └▶ statefulset/db.data",
    ]
    seen = [info.path for info in door.seen if info.path.startswith(SHOP)]
    assert seen == [f"{SHOP}/deployments/api/edges", f"{SHOP}/deployments/api"]


@pytest.mark.parametrize(
    ("arguments", "servers"),
    [
        pytest.param(("deploy/web",), {"api"}, id="one call"),
        pytest.param(("deploy/web", "--depth", "2"), {"api", "db"}, id="two calls"),
        pytest.param(("deploy", "web", "--depth=99"), {"api", "db"}, id="as far as it goes"),
        pytest.param(("sts/db", "--depth", "2", "-A"), {"api", "db"}, id="two calls against their direction, across namespaces"),
        pytest.param(("deploy/cart", "--depth", "2"), set(), id="nobody"),
    ],
)
async def test_around_one_it_goes_so_many_calls(plugin: Plugin, arguments: tuple[str, ...], servers: set[str]) -> None:
    where = () if "-A" in arguments else ("-n", "shop")
    got = await plugin.traffic("topology", *arguments, *where, "-o", "json")
    assert (got.code, got.err) == (0, "")
    document = json.loads(got.out)
    assert {edge["server"].rpartition("/")[2] for edge in document["edges"]} == servers
    assert len(document["nodes"]) == len(document["edges"]) + 1


async def test_json_has_plain_numbers(plugin: Plugin) -> None:
    got = await plugin.traffic("topology", "deploy/web", "-n", "shop", "-o", "json")
    document = json.loads(got.out)
    (edge,) = document["edges"]
    assert {name: edge[name] for name in ("client", "server", "health", "rps", "successRate", "failureRatio", "p99Ms")} == {
        "client": "shop/Deployment/web",
        "server": "shop/Deployment/api",
        "health": "healthy",
        "rps": 3.0,
        "successRate": 1.0,
        "failureRatio": 0.0,
        "p99Ms": 12.0,
    }
    api, web = document["nodes"]
    assert (api["id"], api["external"], api["health"], "rps" in api) == ("shop/Deployment/api", False, "healthy", False)
    assert (web["rps"], web["successRate"], web["health"], "peerKind" in web) == (2.0, 0.9, "failing", False)


async def test_dot_and_mermaid(plugin: Plugin) -> None:
    dot = await plugin.traffic("topology", "deploy/web", "-n", "shop", "-o", "dot")
    assert dot.out.splitlines()[-4:] == [
        '  n1 [label="deployment/api", color="#2e7d32"];',
        '  n2 [label="deployment/web\\nfailing", color="#c62828"];',
        '  n2 -> n1 [label="100.00% 3.0rps p99 12ms\\nhealthy", color="#2e7d32"];',
        "}",
    ]
    mermaid = await plugin.traffic("topology", "deploy/web", "-n", "shop", "-omermaid")
    assert mermaid.out.splitlines() == [
        "flowchart LR",
        '  n1["deployment/api"]',
        "  style n1 stroke:#2e7d32",
        '  n2["deployment/web<br/>failing"]',
        "  style n2 stroke:#c62828",
        '  n2 -->|"100.00% 3.0rps p99 12ms<br/>healthy"| n1',
        "  linkStyle 0 stroke:#2e7d32",
    ]


async def test_namespaces_among_each_other(plugin: Plugin) -> None:
    got = await plugin.traffic("topology", "--kind", "ns", "-A")
    assert [line.split("   ")[0] for line in got.out.splitlines()] == ["CALLS", "namespace/shop", "└▶ namespace/data"]
    one = await plugin.traffic("topology", "ns/shop")
    assert one.out.splitlines()[1:] == got.out.splitlines()[1:]


async def test_what_may_be_missing_is_said_beside_the_graph(tmp_path: Path) -> None:
    async with told(Memory(warnings=('source "far" did not answer',), incomplete=True), tmp_path) as plugin:
        got = await plugin.traffic("topology", "-n", "shop", "-o", "dot")
    assert (got.code, got.err) == (0, 'Warning: source "far" did not answer\n')
    assert got.out.startswith("digraph")


async def test_who_has_no_traffic_is_asked_for_too(tmp_path: Path) -> None:
    async with told(service := Memory(), tmp_path) as plugin:
        await plugin.traffic("topology", "-n", "shop", "--window", "5m")
    edges, totals = (service.arrivals.get_nowait() for _ in range(service.asked))
    assert (edges.edges, totals.edges, totals.include_idle) == (True, False, True)
    assert {str(question.window) for question in (edges, totals)} == {"5m0s"}


async def test_nothing_is_no_error(plugin: Plugin) -> None:
    got = await plugin.traffic("topology", "-n", "nowhere")
    assert got == (0, "", "No traffic found in nowhere namespace.\n")


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        pytest.param(("deploy/nobody",), 1, '"nobody" not found', id="nobody"),
        pytest.param(("deploy/nobody", "--depth", "2"), 1, "deployment/nobody is not there", id="nobody, further"),
        pytest.param(("deploy/secret",), 1, 'cannot get resource "deployments/edges"', id="not allowed"),
        pytest.param(("deploy",), 2, "--kind deployments", id="a kind without a name"),
        pytest.param(("deploy/web", "--depth", "0"), 2, "--depth", id="no depth"),
        pytest.param(("--depth", "2"), 2, "--depth is how far", id="a depth from nowhere"),
        pytest.param(("--kind", "nodes"), 2, "edges of nodes", id="all nodes"),
        pytest.param(("--kind", "trafficsplits"), 2, "exchanges traffic with nobody", id="splits"),
        pytest.param(("-o", "png"), 2, "not one of tree, json, dot, mermaid", id="an unknown form"),
        pytest.param(("--window", "1d"), 2, "duration", id="a bad window"),
    ],
)
async def test_what_cannot_be_is_said(plugin: Plugin, arguments: tuple[str, ...], code: int, reason: str) -> None:
    got = await plugin.traffic("topology", *arguments, "-n", "shop")
    assert (got.code, got.out) == (code, "")
    assert reason in got.err
