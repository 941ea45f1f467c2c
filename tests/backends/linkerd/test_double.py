"""The metrics-api of the tests against numbers worked out by hand: totals, peers, Services, and which objects have rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.backends.linkerd.calling import Call, calls, channel_to, chosen, numbers, resource, rows
from tests.doubles.backfill import INSTANT
from tests.doubles.linkerd import Cluster, Object, Pod, VizDouble, run_viz
from tests.doubles.linkerd.fleet import VERSION, identity_of
from tests.doubles.linkerd.schema import Message
from tests.doubles.linkerd.store import Row

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
async def call(viz_double: VizDouble) -> AsyncIterator[Call]:
    """Calls the one over the fleet."""
    async with channel_to(viz_double) as channel:
        yield calls(channel)


# Numbers


@pytest.mark.parametrize(
    ("name", "want"),
    [
        pytest.param("front-v1", (5400, 0, 250, 295, 299), id="even traffic: 90 a second, all between 200 and 300 ms"),
        pytest.param("faster", (600, 0, 2, 2, 2), id="latencies are those between the last two scrapes"),
        pytest.param("stopped", (400, 0, 0, 0, 0), id="what stopped before the last scrape has counts and no latency"),
        pytest.param("fraction", (70, 0, 0, 0, 0), id="each series is rounded, half away from zero, before they are added"),
        pytest.param("probed", (1200, 0, 229, 293, 299), id="probes and scrapes of the proxy are requests like others"),
    ],
)
async def test_the_numbers_of_a_row_are_those_that_linkerd_computes(call: Call, name: str, want: tuple[int, ...]):
    assert numbers((await rows(call, chosen("deployment", "odd", name)))[name]) == want


@pytest.mark.parametrize(
    ("value", "want"),
    [("0.49", 0), ("0.5", 1), ("1.5", 2), ("2.5", 3), ("NaN", 0), ("-3", 0), ("+Inf", 1 << 63)],
)
def test_values_are_whole_as_go_makes_them(value: str, want: int):
    assert Row({}, float(value)).whole == want


async def test_stats_are_absent_where_all_are_zero_and_pods_are_counted_all_the_same(call: Call):
    found = await rows(call, chosen("deployment", "odd"))
    absent = {name: (row.meshed_pod_count, row.running_pod_count) for name, row in found.items() if not row.HasField("stats")}
    assert absent == {"quiet": (1, 1), "caller": (1, 1), "bare": (0, 1), "half": (1, 2), "scaled-down": (0, 0)}


async def test_an_idle_workload_has_series_and_no_stats(call: Call):
    assert not (await rows(call, chosen("deployment", "shop", "idle")))["idle"].HasField("stats")


async def test_a_replicaset_of_a_deployment_has_pods_and_never_numbers(call: Call):
    found = await rows(call, chosen("replicaset", "shop"))
    assert found["pinned"].stats.success_count == 160 * 200 * 60
    assert [name for name, row in found.items() if row.HasField("stats")] == ["pinned"]
    assert all(row.meshed_pod_count for row in found.values())


async def test_connections_are_told_when_they_are_asked_for(call: Call):
    caller = (await rows(call, chosen("daemonset", "shop"), from_resource=resource("deployment", "shop", "web"), tcp_stats=True))[
        "logs"
    ]
    assert caller.tcp_stats.open_connections == 8
    assert not (await rows(call, chosen("daemonset", "shop", "logs")))["logs"].HasField("tcp_stats")


async def test_without_stats_nothing_is_read_but_objects_are_listed(call: Call, viz_double: VizDouble):
    before = len(viz_double.queries)
    assert (await rows(call, chosen("statefulset"), skip_stats=True))["cart"].running_pod_count == 2
    assert len(viz_double.queries) == before


# Peers


async def test_callers_of_a_resource_have_a_row_each_if_they_have_numbers(call: Call):
    cart = resource("statefulset", "shop", "cart")
    found = await rows(call, chosen("deployment"), to_resource=cart)
    assert {name: numbers(row)[:2] for name, row in found.items()} == {"web": (420 * 200 * 60, 0)}
    assert await rows(call, chosen("deployment", "ledger"), to_resource=cart) == {}


async def test_callees_of_a_resource_have_a_row_each(call: Call):
    caller = resource("deployment", "odd", "caller")
    found = await rows(call, chosen("deployment"), from_resource=caller)
    assert {name: numbers(row) for name, row in found.items()} == {
        "front-v1": (5400, 0, 250, 295, 299),
        "front-v2": (600, 0, 2, 2, 2),
    }


async def test_without_a_name_callees_are_not_filtered_not_even_by_namespace(call: Call):
    found = await rows(call, chosen("deployment", "odd"), to_resource=resource("deployment", "nowhere"))
    assert {name: numbers(row)[0] for name, row in found.items()} == {"caller": 6000}


async def test_connections_open_now_say_who_is_who(call: Call):
    answer = await call("Edges", selector=chosen("deployment", "ledger"))
    told = {(edge.src.name, edge.dst.name): (edge.client_id, edge.server_id, edge.no_identity_msg) for edge in answer.ok.edges}
    assert told["gate", "prometheus"] == (identity_of("ledger", "gate"), identity_of("ledger", "prometheus"), "")
    assert {edge.src.type for edge in answer.ok.edges} == {"deployment"}


async def test_edges_are_between_objects_of_one_kind(call: Call):
    assert (await call("Edges", selector=chosen("replicaset"))).ok.edges == []
    (job,) = (await call("Edges", selector=chosen("pod"))).ok.edges[:1]
    assert job.src.type == "pod"


async def test_an_edge_without_tls_says_why(call: Call):
    edges = (await call("Edges", selector=chosen("pod"))).ok.edges
    (plain,) = {(edge.server_id, edge.no_identity_msg) for edge in edges if edge.dst.name.startswith("logs-")}
    assert plain == ("", "Not Provided By Service Discovery")


async def test_a_connection_that_is_closed_is_no_edge(call: Call):
    edges = (await call("Edges", selector=chosen("pod"))).ok.edges
    assert not [edge for edge in edges if edge.src.name.startswith("pinned-")]
    assert [edge.dst.name for edge in edges if edge.src.name.startswith("relic-")].count("pinned-zzq4v") == 1


# Services


async def test_services_are_told_by_who_answered_for_them(call: Call):
    found = await rows(call, chosen("service", "odd"))
    assert {name: numbers(row) for name, row in found.items()} == {
        "front-v1": (5400, 0, 250, 295, 299),
        "front-v2": (600, 0, 2, 2, 2),
    }
    assert all((row.meshed_pod_count, row.running_pod_count) == (0, 0) for row in found.values())


async def test_a_service_by_name_has_a_row_for_each_leaf_with_its_weight(call: Call):
    found = await rows(call, chosen("service", "odd", "front"))
    assert {name: (row.stats.success_count, row.ts_stats.apex, row.ts_stats.weight) for name, row in found.items()} == {
        "front/front-v1": (5400, "front", "900m"),
        "front/front-v2": (600, "front", "100m"),
    }
    assert await rows(call, chosen("service", "odd", "front-v1")) == {}


async def test_a_leaf_that_was_never_called_has_a_row_without_stats(fleet_prometheus: str):
    profiles = {("odd", "front"): [("front-v3.odd.svc.cluster.local:80", "1")]}
    async with run_viz(Cluster((), profiles), fleet_prometheus, instant=INSTANT) as viz, channel_to(viz) as channel:
        answer = await calls(channel)("StatSummary", selector=chosen("service", "odd", "front"), time_window="1m")
    told = [(row.ts_stats.leaf, row.HasField("stats")) for row in answer.ok.stat_tables[0].pod_group.rows]
    assert told == [("", True), ("", True), ("front-v3", False)]


async def test_an_idle_service_has_literal_zeros(call: Call):
    row = (await rows(call, chosen("service", "shop", "idle")))["idle"]
    assert row.HasField("stats")
    assert numbers(row) == (0, 0, 0, 0, 0)


# Which objects


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        pytest.param(chosen("statefulset"), {"cart"}, id="all namespaces"),
        pytest.param(chosen("deployment", "ledger"), {"web", "api", "gate", "prometheus"}, id="a namespace"),
        pytest.param(chosen("deployment", "ledger", "web"), {"web"}, id="a name in a namespace"),
        pytest.param(chosen("statefulset", "", "gone"), {"cart"}, id="a name without a namespace is not looked at"),
        pytest.param(chosen("deployment", "shop", labels="app in (web, api)"), {"web", "api"}, id="labels of objects"),
        pytest.param(chosen("namespace", "", "shop"), {"shop"}, id="a namespace by name"),
        pytest.param(chosen("cronjob"), set(), id="a kind without objects"),
    ],
)
async def test_rows_are_about_the_objects_that_are_selected(call: Call, selector: Message, names: set[str]):
    assert set(await rows(call, selector)) == names


@pytest.mark.parametrize(
    ("pod", "counts"),
    [
        pytest.param({"phase": "Pending"}, (1, 1, 0), id="one that starts counts"),
        pytest.param({"phase": "Failed"}, (0, 0, 1), id="one that failed has a count of its own"),
        pytest.param({"phase": "Succeeded"}, (0, 0, 0), id="one that is done does not count"),
        pytest.param({"terminating": True}, (0, 0, 0), id="one that ends does not count"),
        pytest.param({"meshed": False}, (0, 1, 0), id="one without a proxy is not meshed"),
    ],
)
def test_pods_are_counted_by_what_became_of_them(pod: dict[str, Any], counts: tuple[int, ...]):
    owner = Object("replicaset", "shop", "a-1", Object("deployment", "shop", "a"))
    cluster = Cluster((owner.owner or owner, owner, Pod("pod", "shop", "a-1-x", owner, **pod)))
    pods = cluster.pods_of(Object("deployment", "shop", "a"))
    alive = [one for one in pods if one.phase != "Failed"]
    assert (sum(one.meshed for one in alive), len(alive), len(pods) - len(alive)) == counts


async def test_pods_are_listed_with_their_owners_and_whether_they_are_scraped(call: Call):
    pods = {pod.name: pod for pod in (await call("ListPods")).pods}
    web, quiet, bare = (
        next(pod for name, pod in pods.items() if name.startswith(each)) for each in ("shop/web-", "odd/quiet-", "odd/bare-")
    )
    assert (web.WhichOneof("owner"), web.deployment, web.added, web.controllerNamespace) == (
        "deployment",
        "shop/web",
        True,
        "linkerd",
    )
    assert (web.proxyVersion, bare.proxyVersion) == (VERSION, "")
    assert (quiet.added, quiet.controllerNamespace) == (False, "linkerd")
    assert (bare.added, bare.controllerNamespace) == (False, "")
