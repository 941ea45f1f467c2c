"""What callers know by a host name is the Service of that name, and the workload behind it where there is one alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from apiservice.federation.fanout import Fanout
from apiservice.inventory import ClusterObjects
from apiservice.inventory.records import Record
from apiservice.objects import StandaloneObjects
from apiservice.question import parse_question
from apiservice.requestinfo import parse_request
from apiservice.traffic import TrafficService
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    UNKNOWN,
    Direction,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    TrafficMetrics,
    Window,
)
from metrics_api.resources import host
from tests.doubles.inventory import obj, pod, ref, slice_of, synced
from tests.unit.apiservice.test_traffic import ROOT, Source, answer

WEB, ORDERS, CANARY = obj("Deployment", "web"), obj("Deployment", "orders-v1"), obj("Deployment", "orders-v2")
SETS = [obj("ReplicaSet", f"{each.name}-bcdfg", each) for each in (WEB, ORDERS, CANARY)]
PODS = [pod(f"{each.name}-bcdfg-12345", owner) for each, owner in zip((WEB, ORDERS, CANARY), SETS, strict=True)]
ALONE = slice_of("orders", PODS[1].name)
SHARED = slice_of("orders", PODS[1].name, PODS[2].name)
SERVICE = obj("Service", "orders")
SEVERAL_NAMES = "percentiles are not known where callers use several names, because a source gives those of each name"
EDGES = "namespaces/shop/deployments/{}/edges"


def cluster(*records: Record) -> ClusterObjects:
    return ClusterObjects(synced(WEB, ORDERS, CANARY, *SETS, *PODS, *records), patience=0.01)


def called(name: str, namespace: str = "shop") -> ResourceRef:
    return ResourceRef(CALLED_HOST, namespace, name)


def call(resource: ResourceRef, peer: ResourceRef, direction: Direction, count: float = 10, p99: float = 0.1) -> Sample:
    return Sample(resource, peer, direction, Side.CLIENT, count, 0.0, Percentiles({0.99: p99}), 0, "mesh")


def bare(name: str) -> ResourceRef:
    return ResourceRef(ANY_WORKLOAD, "shop", name)


def peers(rows: tuple[TrafficMetrics, ...]) -> dict[ResourceRef, tuple[int | None, int | None]]:
    return {row.edge.peer: (row.success, row.p99) for row in rows}


@pytest.mark.parametrize(
    "name", ["orders", "orders.shop", "orders.shop.svc", "orders.shop.svc:8080", "Orders.shop.svc.cluster.local.", "orders:80"]
)
async def test_a_host_is_the_only_workload_behind_the_service_of_its_name(name: str):
    source = Source((call(bare("web"), called(name), Direction.TO),))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("web"))
    assert peers(result.rows) == {ref("Deployment", "orders-v1"): (10_000, 100_000)}


async def test_a_short_name_is_of_the_namespace_of_its_caller():
    source = Source((call(bare("web"), called("orders", "other"), Direction.TO),))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("web"))
    assert list(peers(result.rows)) == [host("orders")]


async def test_a_service_of_several_workloads_is_a_peer_itself():
    source = Source((call(bare("web"), called("orders.shop.svc"), Direction.TO),))
    result = await answer([source], cluster(SERVICE, SHARED), EDGES.format("web"))
    assert list(peers(result.rows)) == [ref("Service", "orders")]


async def test_where_services_are_asked_for_the_peer_is_the_service():
    source = Source((call(bare("web"), called("orders.shop.svc"), Direction.TO),))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("web"), "edgeKind=services")
    assert list(peers(result.rows)) == [ref("Service", "orders")]


@pytest.mark.parametrize("name", ["api.example.com", "orders.other.svc.cluster.local", "stripe.com", "10.0.0.7:8080", "payments"])
async def test_what_is_no_service_is_a_host(name: str):
    source = Source((call(bare("web"), called(name), Direction.TO),))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("web"))
    assert list(peers(result.rows)) == [host(name)]


async def test_callers_by_name_and_by_address_are_added_up_and_their_percentiles_are_not():
    known = call(bare("orders-v1"), bare("web"), Direction.FROM, 5)
    source = Source((known, call(called("orders.shop.svc"), bare("web"), Direction.FROM, 10)))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("orders-v1"))
    assert peers(result.rows) == {ref("Deployment", "web"): (15_000, None)}
    assert result.warnings == (f"{SEVERAL_NAMES}: shop/orders-v1",)
    # The Service is a name by which the workload is called, and the source is told so.
    assert source.asked[-1].services == ("orders",)


async def test_the_names_of_one_peer_are_added_up_and_the_reader_is_told_why_it_has_no_percentiles():
    names = [bare("orders-v1"), called("orders:8080"), called("orders.shop.svc:8080")]
    source = Source(tuple(call(bare("web"), name, Direction.TO) for name in names))
    result = await answer([source], cluster(SERVICE, ALONE), EDGES.format("web"))
    assert peers(result.rows) == {ref("Deployment", "orders-v1"): (30_000, None)}
    assert result.warnings == (f"{SEVERAL_NAMES}: shop/web",)


@pytest.mark.parametrize(
    ("path", "parameters", "namespace"),
    [
        pytest.param(EDGES.format("orders-v1"), "", "shop", id="of one of them"),
        pytest.param("namespaces/shop/trafficmetrics", "fieldSelector=edge.direction%3Dfrom", "shop", id="of callees"),
        pytest.param("namespaces/shop/trafficmetrics", "fieldSelector=edge.side%3Dclient", "front", id="from elsewhere"),
    ],
)
async def test_requests_to_a_service_of_several_workloads_are_in_no_row_and_the_reader_is_told(
    path: str, parameters: str, namespace: str
):
    caller = ResourceRef(ANY_WORKLOAD, namespace, "web")
    source = Source((call(called("orders.shop.svc"), caller, Direction.FROM, 10),))
    result = await answer([source], cluster(SERVICE, SHARED), path, parameters)
    assert result.rows == ()
    why = "callers know them by the name of a Service that is not one workload's, so their requests are in no row"
    assert result.warnings == (f"{why}: shop/orders",)


async def test_requests_to_a_service_of_several_workloads_are_in_the_row_of_their_caller():
    web, orders = bare("web"), called("orders.shop.svc")
    source = Source((call(web, orders, Direction.TO), call(orders, web, Direction.FROM)))
    result = await answer([source], cluster(SERVICE, SHARED), "namespaces/shop/trafficmetrics", "fieldSelector=edge.side%3Dclient")
    assert peers(result.rows) == {ref("Service", "orders"): (10_000, 100_000)}
    assert result.warnings == ()


async def test_without_a_cluster_the_form_of_the_name_tells():
    source = Source(
        (call(bare("web"), called("orders.shop.svc:80"), Direction.TO), call(bare("web"), called("orders"), Direction.TO))
    )
    result = await answer([source], StandaloneObjects("Deployment"), EDGES.format("web"))
    assert set(peers(result.rows)) == {ref("Service", "orders"), host("orders")}


async def test_a_namespace_called_by_name_is_the_namespace():
    source = Source((call(ResourceRef("Namespace", "", "back"), called("orders.shop.svc"), Direction.TO),))
    result = await answer([source], cluster(SERVICE, ALONE, obj("Namespace", "back")), "namespaces/back/edges")
    assert list(peers(result.rows)) == [ResourceRef("Namespace", "", "shop")]


async def test_a_service_of_several_workloads_has_counts_and_no_percentiles_where_each_has_its_own():
    totals = [
        Sample(bare(name), ResourceRef("", "", ""), Direction.FROM, Side.SERVER, 10.0, 1.0, Percentiles({0.99: 0.1}), 0, "mesh")
        for name in ("orders-v1", "orders-v2")
    ]
    result = await answer([Source(tuple(totals))], cluster(SERVICE, SHARED), "namespaces/shop/services/orders")
    (row,) = result.rows
    assert (row.success, row.failure, row.p99) == (20_000, 2_000, None)
    why = "percentiles are not known where several workloads are added up, because a source gives those of each and no histogram"
    assert result.warnings == (f"{why}: shop/orders",)


async def test_peers_that_are_hidden_together_have_no_percentiles_and_the_reader_is_told_why():
    callers = [ResourceRef("Deployment", "secret", name) for name in ("spy", "mole")]
    source = Source(tuple(call(ref("Deployment", "web"), caller, Direction.FROM) for caller in callers))
    path = EDGES.format("web")
    question = replace(parse_question(parse_request("GET", f"{ROOT}/{path}", {}), {}, Window(60)), visible=frozenset())
    result = await TrafficService(Fanout.of([source]), cluster()).answer(question, 100)
    assert peers(result.rows) == {UNKNOWN: (20_000, None)}
    why = "percentiles are not known where several workloads are added up, because a source gives those of each and no histogram"
    assert result.warnings == (f"{why}: shop/web",)


@dataclass
class Computing(Source):
    """A source that computes percentiles itself."""

    gives_percentiles: bool = True


@pytest.mark.parametrize(("source", "told"), [(Source(), ()), (Computing(), (0.95, 0.999))], ids=["histograms", "percentiles"])
async def test_only_a_source_without_histograms_is_told_which_percentiles_are_wanted(source: Source, told: tuple[float, ...]):
    await answer([source], cluster(SERVICE, ALONE), "namespaces/shop/deployments/web", "percentiles=95,99.9")
    assert {query.quantiles for query in source.asked} == {told}
