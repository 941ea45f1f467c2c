"""X-Ray, asked by a real client over a socket: what it answers is what was traced, request by request, and says that it is a sample."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from backends.cloudwatch.moment import Moment
from backends.cloudwatch.session import Aws
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.xray import XRay
from metrics_api import (
    ANY_WORKLOAD,
    CALLED_HOST,
    UNKNOWN,
    WORKLOAD_KINDS,
    Direction,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    Window,
)
from metrics_api.resources import host
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import edge, node, outcomes

_NOW = 1_700_000_000 // 60 * 60
_MOMENT = Moment(_NOW, 300)
_SETTINGS = CloudWatchSettings(
    "aws", "xray", namespace="shop", services={("ledger-svc", ""): ResourceRef("Deployment", "books", "ledger")}
)
_TOTALS = TrafficQuery(WORKLOAD_KINDS, Window(300), _NOW)
_EDGES = replace(_TOTALS, edges=True)


class _Request(NamedTuple):
    """A request that was traced: its HTTP status, and the milliseconds that caller and callee say it took."""

    caller: str
    callee: str
    status: int
    sent: int
    served: int


_REQUESTS = [
    *[_Request("", "front", 200, 0, 30 + each) for each in range(8)],
    _Request("", "front", 404, 0, 4),
    _Request("", "front", 503, 0, 900),
    *[_Request("front", "orders", 200, 20 + each, 15 + each) for each in range(6)],
    _Request("front", "orders", 429, 3, 1),
    _Request("front", "orders", 500, 600, 550),
    *[_Request("orders", "orders", 200, 7, 5) for _ in range(2)],
    *[_Request("orders", "ledger-svc", 200, 12, 10) for _ in range(3)],
    _Request("orders", "ledger-svc", 502, 80, 70),
    _Request("orders", "api.pay.example.com", 200, 120, 0),
    _Request("orders", "stock.store.svc.cluster.local", 200, 11, 0),
    _Request("orders", "orders-table", 200, 9, 0),
]
_TYPES = {
    "front": "AWS::EKS::Container",
    "orders": "AWS::EKS::Container",
    "ledger-svc": "AWS::EC2::Instance",
    "api.pay.example.com": "remote",
    "stock.store.svc.cluster.local": "remote",
    "orders-table": "AWS::DynamoDB::Table",
}


def _summary(requests: list[_Request], times: list[int]) -> dict[str, Any]:
    return outcomes(
        ok=sum(each.status < 400 for each in requests),
        errors=sum(400 <= each.status < 500 and each.status != 429 for each in requests),
        throttled=sum(each.status == 429 for each in requests),
        faults=sum(each.status >= 500 for each in requests),
        seconds=sum(times) / 1000,
    )


def _counted(times: Iterable[int]) -> dict[float, int]:
    times = list(times)
    return {each / 1000: times.count(each) for each in times}


def _drawn() -> list[dict[str, Any]]:
    """The graph that X-Ray would draw of the requests: what is inferred has the times of the caller."""
    references = {name: number for number, name in enumerate(_TYPES)}
    services: list[dict[str, Any]] = []
    for name, type_ in _TYPES.items():
        received = [each for each in _REQUESTS if each.callee == name]
        served = [each.served or each.sent for each in received]
        edges: list[dict[str, Any]] = []
        for callee, reference in references.items():
            if called := [each for each in _REQUESTS if (each.caller, each.callee) == (name, callee)]:
                sent = [each.sent for each in called]
                edges.append(edge(reference, _summary(called, sent), _counted(sent)))
        services.append(node(references[name], name, _summary(received, served), _counted(served), edges, Type=type_))
    outside = [each for each in _REQUESTS if not each.caller]
    served = [each.served for each in outside]
    entry = edge(references["front"], _summary(outside, served), _counted(served))
    return [*services, node(len(references), "front", edges=[entry], Type="client")]


def _walked(times: Iterable[int], q: float) -> float:
    """The smallest of the times, in seconds, up to which there is the share ``q`` of them."""
    ordered = sorted(times)
    return ordered[math.ceil(q * len(ordered)) - 1] / 1000


@asynccontextmanager
async def _opened(settings: CloudWatchSettings = _SETTINGS, clock: Callable[[], float] = lambda: _NOW) -> AsyncIterator[XRay]:
    async with Aws(settings, attempts=1) as aws:
        yield XRay(settings, aws, clock)


@pytest.fixture
async def xray(aws: Double) -> AsyncIterator[XRay]:
    """The source, with the graph of the requests in AWS."""
    aws.graph.services = _drawn()
    async with _opened() as source:
        yield source


async def _samples(source: XRay, query: TrafficQuery) -> dict[tuple[str, str, str], Sample]:
    (observation,) = await source.observe(query, [_MOMENT])
    rows = {(sample.resource.name, sample.direction.value, sample.peer.name): sample for sample in observation.samples}
    assert len(rows) == len(observation.samples)
    return rows


def _holds(sample: Sample, requests: list[_Request], times: list[int]) -> None:
    failed = sum(each.status >= 500 for each in requests)
    assert (sample.success, sample.failure) == (len(requests) - failed, failed)
    assert sample.latency is not None
    for q in (0.01, 0.5, 0.75, 0.9, 0.99, 0.999):
        assert sample.latency.quantile(q) == pytest.approx(_walked(times, q), rel=1e-9)
    assert sample.latency.mean() == pytest.approx(sum(times) / len(times) / 1000)
    assert sample.marks == {"sampled"}
    assert sample.source == "aws"


async def test_totals_are_the_requests_that_each_workload_recorded(xray: XRay) -> None:
    rows = await _samples(xray, _TOTALS)
    assert {row.resource for row in rows.values()} == {
        ResourceRef(ANY_WORKLOAD, "shop", "front"),
        ResourceRef(ANY_WORKLOAD, "shop", "orders"),
        ResourceRef("Deployment", "books", "ledger"),
    }
    for service, name in (("front", "front"), ("orders", "orders"), ("ledger-svc", "ledger")):
        received = [each for each in _REQUESTS if each.callee == service]
        _holds(rows[name, "from", ""], received, [each.served for each in received])
        assert rows[name, "from", ""].side is Side.SERVER
    # By hand: 8 + 404 and one 503; 6 + 429 + 2 of its own, and one 500; 3 and one 502.
    assert {key[0]: (row.success, row.failure) for key, row in rows.items()} == {
        "front": (9, 1),
        "orders": (9, 1),
        "ledger": (3, 1),
    }
    latency = rows["orders", "from", ""].latency
    assert latency is not None
    # By hand: 1, 5, 5, 15, 16, 17, 18, 19, 20, 550.
    assert [latency.quantile(q) for q in (0.5, 0.9, 0.99)] == pytest.approx([0.016, 0.020, 0.550])


async def test_edges_are_the_requests_that_callers_recorded_and_have_two_ends(xray: XRay) -> None:
    rows = await _samples(xray, _EDGES)
    ledger, stock = ResourceRef("Deployment", "books", "ledger"), "stock.store.svc.cluster.local"
    peers = {
        ("front", "orders"): ResourceRef(ANY_WORKLOAD, "shop", "orders"),
        ("orders", "orders"): ResourceRef(ANY_WORKLOAD, "shop", "orders"),
        ("orders", "ledger-svc"): ledger,
        ("orders", "api.pay.example.com"): host("api.pay.example.com"),
        ("orders", stock): ResourceRef(CALLED_HOST, "shop", stock),
        ("orders", "orders-table"): host("orders-table"),
    }
    for (caller, service), peer in peers.items():
        called = [each for each in _REQUESTS if (each.caller, each.callee) == (caller, service)]
        row = rows.pop((caller, "to", peer.name))
        assert (row.peer, row.side) == (peer, Side.CLIENT)
        _holds(row, called, [each.sent for each in called])
        if peer.kind:
            assert rows.pop((peer.name, "from", caller)) == replace(row, resource=peer, peer=row.resource, direction=Direction.FROM)
    outside = rows.pop(("front", "from", "unknown"))
    assert (outside.peer, outside.side) == (UNKNOWN, Side.SERVER)
    received = [each for each in _REQUESTS if each.callee == "front"]
    _holds(outside, received, [each.served for each in received])
    assert rows == {}


async def test_a_namespace_is_its_workloads_together_with_percentiles_of_all_their_requests(xray: XRay) -> None:
    rows = await _samples(xray, replace(_TOTALS, kinds=("Namespace",)))
    inside = [each for each in _REQUESTS if each.callee in ("front", "orders")]
    _holds(rows["shop", "from", ""], inside, [each.served for each in inside])
    assert rows.keys() == {("shop", "from", ""), ("books", "from", "")}
    edges = await _samples(xray, replace(_EDGES, kinds=("Namespace",), name="books"))
    called = [each for each in _REQUESTS if each.callee == "ledger-svc"]
    assert edges.keys() == {("books", "from", "shop")}
    _holds(edges["books", "from", "shop"], called, [each.sent for each in called])


@pytest.mark.parametrize(
    ("narrow", "found"),
    [
        ({"namespace": "books"}, {("ledger", "from", "orders")}),
        ({"namespace": "shop", "name": "front"}, {("front", "to", "orders"), ("front", "from", "unknown")}),
        ({"name": "front", "direction": Direction.TO}, {("front", "to", "orders")}),
        ({"name": "front", "direction": Direction.FROM}, {("front", "from", "unknown")}),
        ({"name": "front", "side": Side.CLIENT}, {("front", "to", "orders")}),
        ({"name": "nobody"}, set()),
        (
            {
                "name": "books-service",
                "kinds": ("Service",),
                "members": (ANY_WORKLOAD,),
                "peer_members": (ANY_WORKLOAD,),
                "narrowing": ("led-", "ledger"),
            },
            {("ledger", "from", "orders")},
        ),
    ],
    ids=["namespace", "name", "to", "from", "side", "nobody", "members"],
)
async def test_only_what_is_asked_for_is_answered(xray: XRay, narrow: dict[str, Any], found: set[tuple[str, str, str]]) -> None:
    assert (await _samples(xray, replace(_EDGES, **narrow))).keys() == found


async def test_one_peer_may_be_asked_for(xray: XRay) -> None:
    query = replace(_EDGES, name="orders", direction=Direction.TO, peer=ResourceRef("Deployment", "books", "ledger"))
    inside = {sample.peer for sample in (await _samples(xray, query)).values() if sample.peer.kind not in ("", CALLED_HOST)}
    assert inside == {ResourceRef("Deployment", "books", "ledger")}


async def test_client_errors_fail_if_the_configuration_says_so(aws: Double) -> None:
    aws.graph.services = _drawn()
    async with _opened(replace(_SETTINGS, client_errors_fail=True)) as source:
        rows = await _samples(source, _TOTALS)
    assert {key[0]: (row.success, row.failure) for key, row in rows.items()} == {
        "front": (8, 2),
        "orders": (8, 2),
        "ledger": (3, 1),
    }


async def test_every_answer_says_that_it_is_a_sample(xray: XRay, aws: Double) -> None:
    aws.graph.services = []
    for query in (_TOTALS, _EDGES):
        (observation,) = await xray.observe(query, [_MOMENT])
        assert observation.samples == ()
        assert observation.warnings == (
            'source "aws" counts the requests that were traced, which are a sample, and not all traffic',
        )
        assert not observation.incomplete


async def test_a_graph_of_many_pages_is_read_to_its_end(xray: XRay, aws: Double) -> None:
    whole = await _samples(xray, _EDGES)
    aws.graph.page_services = 2
    async with _opened() as fresh:
        assert await _samples(fresh, _EDGES) == whole
    assert [call.parameters.get("NextToken", "") for call in aws.called("GetServiceGraph")] == [
        "",
        "",
        "graph-1",
        "graph-2",
        "graph-3",
    ]


async def test_the_window_and_the_group_are_those_asked_for(aws: Double) -> None:
    aws.graph.groups["prod"] = [node(0, "orders", outcomes(ok=2))]
    async with _opened(replace(_SETTINGS, group="prod")) as source:
        rows = await _samples(source, _TOTALS)
    assert rows["orders", "from", ""].success == 2
    (call,) = aws.called("GetServiceGraph")
    assert call.parameters == {"StartTime": _NOW - 300, "EndTime": _NOW, "GroupName": "prod"}


async def test_a_graph_is_asked_for_once_in_a_minute_whoever_wants_it(aws: Double) -> None:
    now = [float(_NOW)]
    aws.graph.services = _drawn()
    async with _opened(clock=lambda: now[0]) as source:
        aws.slow("GetServiceGraph", 0.05)
        await asyncio.gather(*(_samples(source, query) for query in (_TOTALS, _EDGES, replace(_TOTALS, name="orders"))))
        now[0] += 59
        await _samples(source, _TOTALS)
        assert len(aws.called("GetServiceGraph")) == 1
        now[0] += 1
        await _samples(source, _TOTALS)
        assert len(aws.called("GetServiceGraph")) == 2


async def test_each_moment_has_its_own_graph_and_only_the_last_are_held(aws: Double) -> None:
    aws.graph.services = lambda start, end: [node(0, "orders", outcomes(ok=int(end - start) + int(_NOW - end) // 60))]
    moments = [Moment(_NOW - 60 * each, 120) for each in range(40)]
    async with _opened() as source:
        observations = await source.observe(_TOTALS, moments)
        assert [observation.moment for observation in observations] == moments
        assert [sample.success for observation in observations for sample in observation.samples] == [
            120 + each for each in range(40)
        ]
        await source.observe(_TOTALS, moments[-32:])
        assert len(aws.called("GetServiceGraph")) == 40
        await source.observe(_TOTALS, moments[:1])
        assert len(aws.called("GetServiceGraph")) == 41
