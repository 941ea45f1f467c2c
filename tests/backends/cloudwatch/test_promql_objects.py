"""From the host names of callers to objects of the cluster: what the server makes of a source that asks CloudWatch by PromQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apiservice.answers import Answers
from apiservice.federation.fanout import Fanout
from apiservice.inventory import ClusterObjects
from apiservice.inventory.records import Record
from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from apiservice.traffic import TrafficService
from metrics_api import ResourceRef, Window
from metrics_api.resources import host
from tests.backends.cloudwatch.promql import source_of
from tests.doubles.cloudwatch_promql import PromqlEndpoint
from tests.doubles.instrumented import CALLS, INSTANT, Call
from tests.doubles.inventory import obj, pod, ref, slice_of, synced

pytestmark = pytest.mark.real


def objects() -> Iterator[Record]:
    """Every workload, with a ReplicaSet where it has one, its pod, and a Service before each callee."""
    yield from (obj("Namespace", "shop"), obj("Namespace", "batch"))
    for name in ("web", "orders", "legacy"):
        workload = obj("Deployment", name)
        replicas = obj("ReplicaSet", f"{name}-bcdfg", workload)
        yield from (workload, replicas, pod(f"{name}-0", replicas))
    cart, report = obj("StatefulSet", "cart"), obj("Job", "report", namespace="batch")
    yield from (cart, pod("cart-0", cart), report, pod("report-0", report, namespace="batch"))
    for name in ("orders", "cart", "legacy"):
        yield from (obj("Service", name), slice_of(name, f"{name}-0"))


async def edges(endpoint: PromqlEndpoint, path: str, direction: str) -> dict[tuple[ResourceRef, ResourceRef], tuple[int, int]]:
    """Whole successes and failures, by resource and peer."""
    parameters = {"fieldSelector": f"edge.direction={direction}"}
    request = parse_request("GET", f"/apis/metrics.smi-spec.io/v1alpha1/{path}", parameters)
    question = parse_question(request, parameters, Window(60))
    async with source_of(endpoint.url, "scrapeInterval: 1m") as source:
        service = TrafficService(Fanout.of((source,)), ClusterObjects(synced(*objects()), patience=0.01))
        result = await Answers(service, refresh=20, clock=lambda: float(INSTANT)).answer(question)
    assert result.warnings == ()
    assert {row.annotations["metrics.smi-spec.io/dialect"] for row in result.rows} <= {"cloudwatch-otel"}
    return {
        (row.resource, row.edge.peer): ((row.success or 0) // 1000, (row.failure or 0) // 1000)
        for row in result.rows
        if row.edge.peer is not None
    }


def counted(*calls: Call) -> tuple[int, int]:
    failed = sum(sum(call.seconds.values()) for call in calls if call.fails)
    return sum(sum(call.seconds.values()) for call in calls) - failed, failed


def between(caller: str, callee: str) -> list[Call]:
    return [call for call in CALLS if call.caller.name == caller and (call.callee.name if call.callee else call.host) == callee]


async def test_callees_are_the_workloads_behind_the_services_that_were_called(endpoint: PromqlEndpoint):
    web = ref("Deployment", "web")
    assert await edges(endpoint, "namespaces/shop/deployments/web/edges", "to") == {
        (web, ref("Deployment", "orders")): counted(*between("web", "orders")),
        (web, ref("StatefulSet", "cart")): counted(*between("web", "cart")),
        (web, host("api.example.com")): counted(*between("web", "api.example.com")),
    }


async def test_callers_are_those_that_called_a_service_of_it_by_whatever_form_of_its_name(endpoint: PromqlEndpoint):
    orders = ref("Deployment", "orders")
    assert await edges(endpoint, "namespaces/shop/deployments/orders/edges", "from") == {
        (orders, ref("Deployment", "web")): counted(*between("web", "orders")),
        (orders, ResourceRef("Job", "batch", "report")): counted(*between("report", "orders")),
        (orders, ref("Deployment", "legacy")): counted(*between("legacy", "orders")),
    }


async def test_namespaces_are_told_by_the_names_in_the_hosts(endpoint: PromqlEndpoint):
    batch, shop = ResourceRef("Namespace", "", "batch"), ResourceRef("Namespace", "", "shop")
    assert await edges(endpoint, "namespaces/batch/edges", "to") == {(batch, shop): counted(*between("report", "orders"))}
