"""App Mesh: edges and totals as callers counted them, in the three shapes in which the metrics extension reaches CloudWatch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

import pytest

from backends.cloudwatch.appmesh import AppMesh
from backends.cloudwatch.backend import CloudWatchBackend
from metrics_api import ANY_WORKLOAD, EVERYTHING, Answer, Direction, Naming, ResourceRef, Side, Span, TrafficQuery
from metrics_api.resources import host
from tests.backends.cloudwatch.counted import EDGES, END, MINUTE, NOW, TOTALS, Desk, bare, publish, run_desk, settings_of, told
from tests.doubles.cloudwatch import Aws

WEB, ORDERS, GATEWAY = bare("shop", "web"), bare("shop", "orders"), bare("edge", "ingress")
TO_ORDERS = replace(EDGES, namespace="shop", name="orders", direction=Direction.FROM)
OF_ORDERS = replace(TOTALS, namespace="shop", name="orders")
DAY = 86400


@dataclass(frozen=True)
class Shape:
    """How a mesh called ``shop`` is published, and the configuration of a source for it."""

    source: str
    namespace: str
    pattern: str
    counted: Mapping[str, str]
    timed: Mapping[str, str] | None

    def call(
        self,
        aws: Aws,
        caller: str,
        target: str,
        codes: Mapping[int, int],
        latency: Mapping[float, int],
        minute: int = MINUTE,
        **more: str,
    ) -> None:
        """Publishes what one Envoy counted of its calls; a caller that is called a gateway is one."""
        kind = "VirtualGateway" if "ingress" in caller else "VirtualNode"
        of = {"Mesh": "shop", kind: caller, "TargetVirtualNode": target, "TargetVirtualService": f"{target}.local", **more}
        of = {name: value for name, value in of.items() if value}
        publish(aws, self.namespace, self.pattern.format("HTTPCode_Target_{}_Count"), of | self.counted, codes, minute)
        if self.timed is not None:
            name = self.pattern.format("TargetResponseTime")
            aws.put(self.namespace, name, of | self.timed, minute, values=dict(latency))

    def receive(self, aws: Aws, node: str, count: int) -> None:
        """Publishes that a virtual node received requests, of which its Envoy knows no more."""
        of = {"Mesh": "shop", "VirtualNode": node, **self.counted}
        aws.put(self.namespace, self.pattern.format("RequestCount"), of, MINUTE, values={float(count): 1})


STATSD = Shape(
    "source: appmesh\nmesh: shop\n", "CWAgent", "envoy_appmesh_{}", {"metric_type": "counter"}, {"metric_type": "timing"}
)
EMF = Shape("source: appmesh\nmesh: shop\nform: emf\nmetricNamespace: Mesh\n", "Mesh", "envoy_appmesh_{}", {}, None)
ADOT = Shape("source: appmesh\nmesh: shop\nform: adot\nmetricNamespace: Mesh\n", "Mesh", "envoy.appmesh.{}", {}, {})
SHAPES = [pytest.param(STATSD, id="statsd"), pytest.param(EMF, id="emf"), pytest.param(ADOT, id="adot")]


@pytest.fixture(scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with run_desk(AppMesh, STATSD.source) as desk:
        yield desk


@pytest.fixture
def aws(desk: Desk) -> Aws:
    return desk.begin()


def about(answer: Answer, word: str) -> list[str]:
    """The warnings with a word in them."""
    return [warning for warning in answer.warnings if word in warning]


def traffic(aws: Aws, shape: Shape) -> None:
    shape.call(aws, "web_shop", "orders_shop", {2: 90, 3: 2, 4: 5, 5: 3}, {10: 90, 100: 10})
    shape.call(aws, "ingress_edge", "web_shop", {2: 8, 5: 2}, {20: 10})
    shape.call(aws, "orders_shop", "orders_shop", {2: 1}, {2: 1})
    # Another mesh may have nodes of the same names.
    shape.call(aws, "web_shop", "orders_shop", {2: 1000}, {1: 1000}, Mesh="test")


@pytest.mark.parametrize("shape", SHAPES)
async def test_edges_are_what_nodes_and_gateways_saw_of_their_calls(aws: Aws, desk: Desk, shape: Shape) -> None:
    traffic(aws, shape)
    answer = await desk.answered(EDGES, shape.source)
    web, gateway, own = ((97.0, 3.0, 0.01), (8.0, 2.0, 0.02), (1.0, 0.0, 0.002))
    expected = {
        (WEB, Direction.TO, ORDERS): web,
        (ORDERS, Direction.FROM, WEB): web,
        (GATEWAY, Direction.TO, WEB): gateway,
        (WEB, Direction.FROM, GATEWAY): gateway,
        (ORDERS, Direction.TO, ORDERS): own,
        (ORDERS, Direction.FROM, ORDERS): own,
    }
    if shape is EMF:
        expected = {key: (success, failure, None) for key, (success, failure, _) in expected.items()}
    assert told(answer) == expected
    assert {sample.side for sample in answer.samples} == {Side.CLIENT}
    assert answer.instant == END
    assert len(about(answer, "leaves histograms out")) == (shape is EMF)


@pytest.mark.parametrize("shape", SHAPES)
async def test_totals_are_what_all_callers_saw_together(aws: Aws, desk: Desk, shape: Shape) -> None:
    traffic(aws, shape)
    answer = await desk.answered(TOTALS, shape.source)
    assert told(answer) == {
        # Two callers, whose percentiles cannot be added up; and one, whose percentiles are those of all.
        (ORDERS, Direction.FROM, EVERYTHING): (98.0, 3.0, None),
        (WEB, Direction.FROM, EVERYTHING): (8.0, 2.0, None if shape is EMF else 0.02),
    }
    assert {sample.side for sample in answer.samples} == {Side.CLIENT}
    assert len(about(answer, "they cannot be added up")) == (shape is not EMF)


async def test_the_source_as_a_whole_answers_with_them(aws: Aws, desk: Desk) -> None:
    traffic(aws, STATSD)
    async with CloudWatchBackend(settings_of(desk.source), lambda: NOW) as backend:
        answer = await backend.answer(EDGES)
        then, now = await backend.history(EDGES, Span(MINUTE, END, 60))
    assert told(answer) == told(now) == told(await desk.answered(EDGES))
    assert {sample.dialect for sample in (*answer.samples, *now.samples)} == {"appmesh"}
    assert {counts[:2] for counts in told(then).values()} == {(0.0, 0.0)}


async def test_what_each_host_publishes_is_added_up(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10, 5: 1}, {10: 11}, host="ip-10-0-0-1")
    STATSD.call(aws, "web_shop", "orders_shop", {2: 20}, {30: 20}, host="ip-10-0-0-2")
    both = await desk.answered(TO_ORDERS)
    assert told(both) == {(ORDERS, Direction.FROM, WEB): (30.0, 1.0, None)}
    assert about(both, "they cannot be added up")
    assert not about(both, "several sets")


async def test_of_two_hosts_one_of_which_is_quiet_the_other_has_the_percentiles(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10, 5: 1}, {10: 11}, host="ip-10-0-0-1")
    STATSD.call(aws, "web_shop", "orders_shop", {2: 20}, {30: 20}, minute=MINUTE - 60, host="ip-10-0-0-2")
    assert told(await desk.answered(TO_ORDERS)) == {(ORDERS, Direction.FROM, WEB): (10.0, 1.0, 0.01)}


async def test_virtual_services_that_lead_to_one_node_are_added_up(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10}, TargetVirtualService="orders.shop.svc.cluster.local")
    STATSD.call(aws, "web_shop", "orders_shop", {2: 5, 5: 5}, {40: 10}, TargetVirtualService="all.shop.svc.cluster.local")
    assert told(await desk.answered(TO_ORDERS)) == {(ORDERS, Direction.FROM, WEB): (15.0, 5.0, None)}


async def test_calls_that_are_declared_with_and_without_the_virtual_service_count_once(aws: Aws, desk: Desk) -> None:
    for service in ("orders.shop", "all.shop"):
        ADOT.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10}, TargetVirtualService=service)
        ADOT.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10}, TargetVirtualService="")
    answer = await desk.answered(TO_ORDERS, ADOT.source)
    # What is published without the virtual service is all of it, and has percentiles.
    assert told(answer) == {(ORDERS, Direction.FROM, WEB): (20.0, 0.0, 0.01)}
    assert not about(answer, "several sets")


async def test_calls_that_are_published_in_two_ways_count_once_and_it_is_told(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10}, host="ip-10-0-0-1")
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10})
    answer = await desk.answered(TO_ORDERS)
    assert told(answer) == {(ORDERS, Direction.FROM, WEB): (10.0, 0.0, 0.01)}
    (warning,) = about(answer, "several sets of dimensions")
    assert warning.endswith("shop/orders")
    assert isinstance(warning, Naming)
    assert warning.about == {ORDERS}


async def test_a_total_that_is_published_without_its_callers_is_one_only_where_nobody_tells_more(aws: Aws, desk: Desk) -> None:
    ADOT.call(aws, "", "orders_shop", {2: 10}, {10: 10}, VirtualNode="")
    alone = await desk.answered(OF_ORDERS, ADOT.source)
    assert told(alone) == {(ORDERS, Direction.FROM, EVERYTHING): (10.0, 0.0, 0.01)}
    edges = await desk.answered(EDGES, ADOT.source)
    assert (told(edges), edges.warnings) == ({}, ())
    ADOT.call(aws, "web_shop", "orders_shop", {2: 10}, {20: 10})
    both = await desk.answered(OF_ORDERS, ADOT.source)
    assert told(both) == {(ORDERS, Direction.FROM, EVERYTHING): (10.0, 0.0, 0.02)}


async def test_the_first_failure_counts_before_it_is_listed(aws: Aws, desk: Desk) -> None:
    aws.listing.delay = 900
    aws.clock = lambda: NOW - 900
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10})
    aws.clock = lambda: NOW
    STATSD.call(aws, "web_shop", "orders_shop", {5: 4}, {10: 4})
    assert told(await desk.answered(TO_ORDERS)) == {(ORDERS, Direction.FROM, WEB): (10.0, 4.0, 0.01)}


async def test_failures_alone_are_an_edge(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {5: 4}, {10: 4})
    assert told(await desk.answered(TO_ORDERS)) == {(ORDERS, Direction.FROM, WEB): (0.0, 4.0, 0.01)}


async def test_a_quiet_minute_is_zero_calls(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders_shop", {2: 10}, {10: 10})
    assert told(await desk.answered(replace(TO_ORDERS, instant=MINUTE))) == {(ORDERS, Direction.FROM, WEB): (0.0, 0.0, None)}


async def test_client_errors_fail_where_configuration_says_so(aws: Aws, desk: Desk) -> None:
    traffic(aws, STATSD)
    answer = await desk.answered(replace(TO_ORDERS, peer=WEB), STATSD.source + 'failure: {http: ["5xx", "4xx"]}')
    assert told(answer) == {(ORDERS, Direction.FROM, WEB): (92.0, 8.0, 0.01)}


@pytest.mark.parametrize("shape", SHAPES)
async def test_only_what_is_asked_for_is_paid_for(aws: Aws, desk: Desk, shape: Shape) -> None:
    traffic(aws, shape)
    answer = await desk.answered(replace(EDGES, namespace="edge"), shape.source)
    # Four classes of codes, and how long it took where that is known.
    assert aws.billed == (4 if shape is EMF else 5)
    assert len(answer.warnings) == (shape is EMF)


async def test_configuration_says_which_object_a_node_is(aws: Aws, desk: Desk) -> None:
    STATSD.call(aws, "web_shop", "orders-v1_shop", {2: 1}, {1: 1})
    STATSD.call(aws, "web_shop", "orders-v2_shop", {2: 2}, {2: 2})
    STATSD.call(aws, "frontend", "orders-v2_shop", {2: 4}, {4: 4})
    services = """services:
- {service: orders-v1_shop, namespace: shop, name: orders, kind: StatefulSet}
- {service: orders-v2_shop, environment: shop, namespace: shop, name: orders, kind: StatefulSet}
- {service: frontend, namespace: shop, name: web}
"""
    answer = await desk.answered(replace(EDGES, direction=Direction.TO), STATSD.source + services)
    assert told(answer) == {(WEB, Direction.TO, ResourceRef("StatefulSet", "shop", "orders")): (7.0, 0.0, None)}


@pytest.mark.parametrize("name", ["frontend", "_shop", "web_", "Web_shop", "my_web_shop"])
async def test_a_name_that_is_not_by_convention_is_a_host_and_is_named(aws: Aws, desk: Desk, name: str) -> None:
    STATSD.call(aws, name, "orders_shop", {2: 1}, {1: 1})
    STATSD.call(aws, "orders_shop", name, {2: 2}, {2: 2})
    answer = await desk.answered(EDGES)
    assert told(answer) == {
        (ORDERS, Direction.FROM, host(name)): (1.0, 0.0, 0.001),
        (ORDERS, Direction.TO, host(name)): (2.0, 0.0, 0.002),
    }
    (warning,) = about(answer, "in services")
    assert warning.endswith(f": {name}")
    assert isinstance(warning, Naming)
    assert warning.about == {host(name)}
    assert not about(await desk.answered(TO_ORDERS), "in services")


async def test_a_node_whose_callers_are_not_in_the_mesh_has_no_total_and_is_named(aws: Aws, desk: Desk) -> None:
    traffic(aws, STATSD)
    for node, count in (("web_shop", 10), ("orders_shop", 98), ("front_shop", 7), ("front_test", 8)):
        STATSD.receive(aws, node, count)
    answer = await desk.answered(replace(TOTALS, namespace="shop"))
    assert {sample.resource for sample in answer.samples} == {WEB, ORDERS}
    (warning,) = about(answer, "callers are not in the mesh")
    assert warning.endswith(": shop/front")
    assert isinstance(warning, Naming)
    assert warning.about == {bare("shop", "front")}
    assert not about(await desk.answered(replace(EDGES, namespace="shop")), "callers are not in the mesh")


async def test_namespaces_are_added_up(aws: Aws, desk: Desk) -> None:
    traffic(aws, STATSD)
    shop = ResourceRef("Namespace", "", "shop")
    total = await desk.answered(replace(TOTALS, kinds=("Namespace",)))
    assert told(total) == {(shop, Direction.FROM, EVERYTHING): (106.0, 5.0, None)}
    edges = await desk.answered(replace(EDGES, kinds=("Namespace",), name="shop", direction=Direction.FROM))
    assert told(edges) == {
        (shop, Direction.FROM, shop): (98.0, 3.0, None),
        (shop, Direction.FROM, ResourceRef("Namespace", "", "edge")): (8.0, 2.0, 0.02),
    }


EDGE = "edges:\n- {from: web_shop, to: orders_shop}\n"
LONG_AGO = (MINUTE - 20 * DAY) // 300 * 300
THEN = replace(TO_ORDERS, instant=LONG_AGO + 300)


@pytest.mark.parametrize(
    ("shape", "edges", "published"),
    [
        pytest.param(STATSD, EDGE, {"TargetVirtualService": "orders.shop.svc.cluster.local"}, id="by convention, statsd"),
        pytest.param(ADOT, EDGE, {"TargetVirtualService": "orders.shop.svc.cluster.local"}, id="by convention, adot"),
        pytest.param(
            ADOT,
            "edges: [{from: web_shop, to: orders_shop, service: all, dimensions: {OTelLib: statsd}}]",
            {"TargetVirtualService": "all", "OTelLib": "statsd"},
            id="with a virtual service and a dimension",
        ),
        pytest.param(
            ADOT, 'edges: [{from: web_shop, to: orders_shop, service: ""}]', {"TargetVirtualService": ""}, id="without a service"
        ),
    ],
)
async def test_history_of_a_mesh_that_has_ended_is_told_of_configured_edges(
    aws: Aws, desk: Desk, shape: Shape, edges: str, published: dict[str, str]
) -> None:
    shape.call(aws, "web_shop", "orders_shop", {2: 9, 5: 1}, {10: 10}, minute=LONG_AGO, **published)
    assert told(await desk.answered(THEN, shape.source)) == {}
    assert told(await desk.answered(THEN, shape.source + edges)) == {(ORDERS, Direction.FROM, WEB): (9.0, 1.0, 0.01)}


async def test_the_history_of_a_gateway_is_told_of_configured_edges(aws: Aws, desk: Desk) -> None:
    ADOT.call(aws, "ingress_edge", "web_shop", {2: 9}, {10: 9}, minute=LONG_AGO, TargetVirtualService="all")
    source = ADOT.source + "edges: [{from: ingress_edge, to: web_shop, gateway: true, service: all}]"
    then = replace(EDGES, namespace="edge", instant=LONG_AGO + 300)
    assert told(await desk.answered(then, source)) == {(GATEWAY, Direction.TO, WEB): (9.0, 0.0, 0.01)}


async def test_a_configured_edge_that_is_listed_counts_once(aws: Aws, desk: Desk) -> None:
    by_convention = {"TargetVirtualService": "orders.shop.svc.cluster.local"}
    STATSD.call(aws, "web_shop", "orders_shop", {2: 9}, {10: 9}, **by_convention)
    assert told(await desk.answered(TO_ORDERS, STATSD.source + EDGE)) == {(ORDERS, Direction.FROM, WEB): (9.0, 0.0, 0.01)}


async def test_a_configured_edge_is_added_to_what_is_listed_of_another_virtual_service(aws: Aws, desk: Desk) -> None:
    old, new = {"TargetVirtualService": "orders.shop.svc.cluster.local"}, {"TargetVirtualService": "all"}
    then = MINUTE - 4 * 3600
    STATSD.call(aws, "web_shop", "orders_shop", {2: 9}, {10: 9}, minute=MINUTE, **new)
    STATSD.call(aws, "web_shop", "orders_shop", {2: 5}, {10: 5}, minute=then, **old)
    assert told(await desk.answered(TO_ORDERS, STATSD.source + EDGE)) == {(ORDERS, Direction.FROM, WEB): (9.0, 0.0, 0.01)}
    past = replace(TO_ORDERS, instant=then + 60)
    assert told(await desk.answered(past, STATSD.source)) == {(ORDERS, Direction.FROM, WEB): (5.0, 0.0, 0.01)}


async def test_callers_that_fell_silent_hours_ago_are_found_for_a_question_about_then(aws: Aws, desk: Desk) -> None:
    then = MINUTE - 5 * 3600
    STATSD.call(aws, "web_shop", "orders_shop", {2: 5}, {10: 5}, minute=then)
    assert told(await desk.answered(TO_ORDERS)) == {}
    assert told(await desk.answered(replace(TO_ORDERS, instant=then + 60))) == {(ORDERS, Direction.FROM, WEB): (5.0, 0.0, 0.01)}


async def test_a_caller_that_is_missed_is_looked_for_again_at_most_once_a_minute(aws: Aws, desk: Desk) -> None:
    async with desk.looking() as looking:
        assert await looking.found(EDGES) == 0
        STATSD.call(aws, "web_shop", "orders_shop", {2: 5}, {10: 5})
        looking.now += 59
        assert await looking.found(TO_ORDERS) == 0
        looking.now += 2
        assert await looking.found(EDGES) == 0
        assert await looking.found(TO_ORDERS) == 1
        assert await looking.found(EDGES) == 2


@pytest.mark.parametrize("source", [pytest.param(STATSD.source, id="statsd")])
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        pytest.param(replace(TOTALS, side=Side.SERVER), "counted without outcomes and callers", id="totals of the server"),
        pytest.param(replace(EDGES, side=Side.SERVER), "counted without outcomes and callers", id="edges of the server"),
        pytest.param(replace(TOTALS, kinds=("Pod",)), "name no pods", id="pods"),
        pytest.param(replace(TOTALS, kinds=("Node",)), "name no nodes", id="nodes"),
        pytest.param(replace(EDGES, peer_kind="Node"), "name no nodes", id="nodes as peers"),
        pytest.param(replace(TOTALS, kinds=("Service",)), "behind a Service", id="Services without Kubernetes"),
    ],
)
async def test_what_is_never_known_is_refused_with_the_reason(aws: Aws, source: str, query: TrafficQuery, reason: str) -> None:
    refusal = CloudWatchBackend(settings_of(source), lambda: NOW).refusal(query)
    assert refusal is not None
    assert reason in refusal
    assert aws.calls == []


def test_services_of_workloads_are_not_refused() -> None:
    query = replace(TOTALS, kinds=("Service",), members=(ANY_WORKLOAD,))
    assert CloudWatchBackend(settings_of(STATSD.source), lambda: NOW).refusal(query) is None
