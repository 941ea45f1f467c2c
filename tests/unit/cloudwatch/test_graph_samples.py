"""Samples of any service graph are its numbers, added up: none is lost, made up, counted twice or below zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.cloudwatch.graph import Call, Graph, Node, Requests
from backends.cloudwatch.graphsamples import MARKS, GraphTraffic
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import (
    EVERYTHING,
    UNKNOWN,
    WORKLOAD_KINDS,
    Direction,
    Histogram,
    Naming,
    ResourceRef,
    Sample,
    Side,
    TrafficQuery,
    Window,
)
from metrics_api.resources import host

_SETTINGS = CloudWatchSettings(
    "aws", "xray", services={("sums", ""): ResourceRef("Deployment", "books", "ledger")}, namespace="shop"
)
_TOTALS = TrafficQuery(WORKLOAD_KINDS, Window(300), 0)
_EDGES = replace(_TOTALS, edges=True)
_PROXY = "AWS::AppMesh::Proxy"


def _received(ok: int, faults: int = 0) -> Requests:
    return Requests(ok + faults, 0, faults, None)


def _samples(graph: Graph, query: TrafficQuery = _TOTALS, settings: CloudWatchSettings = _SETTINGS) -> tuple[Sample, ...]:
    return GraphTraffic.of(graph, query, settings).samples


def _counts(samples: Sequence[Sample]) -> dict[tuple[str, str, str], tuple[float | None, float | None]]:
    rows = {
        (sample.resource.name, sample.direction.value, sample.peer.name): (sample.success, sample.failure) for sample in samples
    }
    assert len(rows) == len(samples)
    return rows


_counted = st.builds(
    lambda ok, errors, faults, millis: Requests(
        ok + errors + faults, errors, faults, Histogram.of_values({ms / 1000: 1.0 for ms in millis}) if millis else None
    ),
    *[st.integers(0, 10**9)] * 3,
    st.sets(st.integers(0, 60_000), max_size=4),
)
_nodes = st.builds(
    Node,
    name=st.sampled_from(["orders", "front", "sums", "Nobody", "orders.shop", "m/orders_shop"]),
    type=st.sampled_from(["", "AWS::EKS::Container", "AWS::EC2::Instance", "remote", "client", "AWS::SNS", _PROXY]),
    received=st.none() | _counted,
)


@st.composite
def _graphs(draw: st.DrawFn) -> Graph:
    nodes = draw(st.lists(_nodes, max_size=6))
    if not nodes:
        return Graph()
    ends = st.tuples(st.sampled_from(nodes), st.none() | st.sampled_from(nodes), st.none() | _counted)
    return Graph(tuple(nodes), tuple(Call(*each) for each in draw(st.lists(ends, max_size=8))))


def _workload_of(node: Node) -> str:
    if node.type == "client" or (node.type in ("remote", "AWS::SNS") and node.name != "sums"):
        return ""
    return {"sums": "ledger", "m/orders_shop": "orders", "Nobody": ""}.get(node.name, node.name)


@given(graph=_graphs(), strict=st.booleans())
def test_totals_are_the_sums_of_what_services_recorded(graph: Graph, *, strict: bool) -> None:
    requests: Counter[str] = Counter()
    failures: Counter[str] = Counter()
    observed: Counter[str] = Counter()
    for node in graph.nodes:
        name = _workload_of(node)
        if node.type in ("", "AWS::EKS::Container", "AWS::EC2::Instance") and name and node.received is not None:
            requests[name] += int(node.received.total)
            failures[name] += int(node.received.faults + (node.received.errors if strict else 0))
            observed[name] += int(node.received.latency.total) if node.received.latency is not None else 0
    samples = _samples(graph, settings=replace(_SETTINGS, client_errors_fail=strict))
    assert {sample.resource.name: (sample.success or 0) + (sample.failure or 0) for sample in samples} == requests
    assert {sample.resource.name: sample.failure for sample in samples} == failures
    assert (
        Counter({sample.resource.name: sample.latency.total for sample in samples if isinstance(sample.latency, Histogram)})
        == observed
    )
    assert all((sample.peer, sample.direction, sample.side) == (EVERYTHING, Direction.FROM, Side.SERVER) for sample in samples)
    assert all((sample.marks, sample.source, sample.dialect) == (MARKS, "aws", "xray") for sample in samples)


@given(_graphs())
def test_what_is_sent_is_what_is_received_seen_from_the_other_end(graph: Graph) -> None:
    samples = _samples(graph, _EDGES)
    sent = {(sample.resource, sample.peer): sample for sample in samples if sample.direction is Direction.TO}
    got = {(sample.peer, sample.resource): sample for sample in samples if sample.direction is Direction.FROM}
    assert len(sent) + len(got) == len(samples)
    within = {ends for ends in sent if ends[1].namespace}
    assert {ends for ends in got if ends[0].namespace} == within
    for caller, callee in within:
        seen = got[caller, callee]
        assert replace(seen, resource=caller, peer=callee, direction=Direction.TO) == sent[caller, callee]
    assert all((sample.success is None) == (sample.failure is None) for sample in samples)
    assert all(sample.success is None or min(sample.success, sample.failure or 0) >= 0 for sample in samples)


@given(_graphs())
def test_every_call_of_a_workload_counts_once_in_what_it_sent(graph: Graph) -> None:
    sent: Counter[str] = Counter()
    for call in graph.calls:
        caller = _workload_of(call.caller)
        own = (
            call.callee is not None
            and caller == _workload_of(call.callee)
            and (call.caller.type == _PROXY) != (call.callee.type == _PROXY)
        )
        if caller and not own:
            sent[caller] += int(call.requests.total) if call.requests is not None else 0
    found: Counter[str] = Counter()
    for sample in _samples(graph, replace(_EDGES, direction=Direction.TO)):
        found[sample.resource.name] += int((sample.success or 0) + (sample.failure or 0))
    assert found == sent


@given(_graphs())
def test_namespaces_are_the_sums_of_their_workloads(graph: Graph) -> None:
    apart, together = _samples(graph), _samples(graph, replace(_TOTALS, kinds=("Namespace",)))
    sums: Counter[str] = Counter()
    for sample in apart:
        if sample.resource.kind != "CalledHost":
            sums[sample.resource.namespace] += int((sample.success or 0) + (sample.failure or 0))
    found = {
        sample.resource.name: (sample.success or 0) + (sample.failure or 0)
        for sample in together
        if sample.resource.kind == "Namespace"
    }
    assert found == sums


def test_a_service_that_calls_itself_has_both_ends() -> None:
    orders = Node("orders")
    samples = _samples(Graph((orders,), (Call(orders, orders, _received(4, 1)),)), _EDGES)
    assert _counts(samples) == {("orders", "to", "orders"): (4, 1), ("orders", "from", "orders"): (4, 1)}
    assert {sample.side for sample in samples} == {Side.CLIENT}


def test_services_of_one_name_are_one_workload_unless_one_is_what_callers_infer() -> None:
    eks, ec2 = (
        Node("orders", type="AWS::EKS::Container", received=_received(5)),
        Node("orders", type="AWS::EC2::Instance", received=_received(2, 1)),
    )
    remote = Node("orders", type="remote", received=_received(100))
    assert _counts(_samples(Graph((eks, ec2, remote)))) == {("orders", "from", ""): (7, 1)}


def test_who_is_outside_is_unknown_and_what_they_sent_was_recorded_by_who_received_it() -> None:
    front = Node("front", received=_received(9, 1))
    client = Node("front", type="client")
    graph = Graph((client, front), (Call(client, front, _received(9, 1)),))
    (sample,) = _samples(graph, _EDGES)
    assert (sample.resource.name, sample.peer, sample.direction, sample.side) == ("front", UNKNOWN, Direction.FROM, Side.SERVER)
    assert (sample.success, sample.failure) == (9, 1)
    assert _samples(graph, replace(_EDGES, side=Side.CLIENT)) == ()


def test_an_edge_to_a_service_that_the_graph_lacks_has_an_unknown_peer() -> None:
    front = Node("front")
    assert _counts(_samples(Graph((front,), (Call(front, None, _received(3)),)), _EDGES)) == {("front", "to", "unknown"): (3, 0)}


def test_a_workload_and_its_own_proxy_are_one() -> None:
    app, proxy, other = (
        Node("orders", received=_received(5)),
        Node("m/orders_shop", type=_PROXY, received=_received(15)),
        Node("front"),
    )
    graph = Graph(
        (app, proxy, other), (Call(proxy, app, _received(5)), Call(app, proxy, _received(10)), Call(other, proxy, _received(5)))
    )
    assert _counts(_samples(graph)) == {("orders", "from", ""): (5, 0)}
    assert GraphTraffic.of(graph, _TOTALS, _SETTINGS).warnings == ()
    assert _counts(_samples(graph, _EDGES)) == {("front", "to", "orders"): (5, 0), ("orders", "from", "front"): (5, 0)}


def test_what_only_a_proxy_traced_has_no_total_and_the_reader_is_told() -> None:
    proxy = Node("m/orders_shop", type=_PROXY, received=_received(15))
    traffic = GraphTraffic.of(Graph((proxy,)), _TOTALS, _SETTINGS)
    assert traffic.samples == ()
    (warning,) = traffic.warnings
    assert "which counts what it sends with what it receives: shop/orders" in warning


def test_nameless_services_are_left_out_named_to_the_reader_and_still_peers() -> None:
    nobodies = [Node(f"Nobody {number}", received=_received(1)) for number in range(5)]
    orders = Node("orders")
    graph = Graph((*nobodies, orders), (Call(nobodies[0], orders, _received(2)), Call(orders, nobodies[1], _received(3))))
    traffic = GraphTraffic.of(graph, _EDGES, _SETTINGS)
    assert _counts(traffic.samples) == {("orders", "from", "Nobody 0"): (2, 0), ("orders", "to", "Nobody 1"): (3, 0)}
    assert all(sample.peer.kind == "" for sample in traffic.samples)
    (warning,) = traffic.warnings
    assert "5 traced services are left out" in warning
    assert 'Nobody 0, Nobody 1, Nobody 2 and 2 more; name them in "services"' in warning
    assert isinstance(warning, Naming)
    assert warning.about == {host(node.name) for node in nobodies}
    assert "Nobody" not in warning.otherwise


def test_counts_that_contradict_each_other_are_unknown_and_the_answer_is_incomplete() -> None:
    traffic = GraphTraffic.of(Graph((Node("orders", received=Requests(2, 0, 3, None)),)), _TOTALS, _SETTINGS)
    assert _counts(traffic.samples) == {("orders", "from", ""): (None, None)}
    assert traffic.incomplete
    assert "contradict each other: shop/orders" in traffic.warnings[0]


def test_counts_of_which_a_part_is_unknown_are_told_as_incomplete() -> None:
    eks, ec2 = Node("orders", type="AWS::EKS::Container", received=_received(4)), Node("orders", received=Requests(2, 0, 3, None))
    traffic = GraphTraffic.of(Graph((eks, ec2)), _TOTALS, _SETTINGS)
    assert _counts(traffic.samples) == {("orders", "from", ""): (4, 0)}
    assert traffic.incomplete


def test_nobody_is_told_of_what_they_did_not_ask_about() -> None:
    proxy = Node("m/orders_shop", type=_PROXY, received=_received(15))
    accounts = [Node("front", account=account, received=_received(1)) for account in "12"]
    for query, told in (
        (_TOTALS, 2),
        (replace(_TOTALS, namespace="shop"), 2),
        (replace(_TOTALS, name="front"), 1),
        (replace(_TOTALS, namespace="books"), 0),
    ):
        assert len(GraphTraffic.of(Graph((proxy, *accounts)), query, _SETTINGS).warnings) == told


@pytest.mark.parametrize(("accounts", "told"), [(("1", "2"), True), (("1", "1"), False), (("1", ""), False)], ids=str)
def test_services_of_one_name_in_several_accounts_are_told_of(accounts: tuple[str, str], *, told: bool) -> None:
    nodes = tuple(Node("orders", account=account, received=_received(1)) for account in accounts)
    traffic = GraphTraffic.of(Graph(nodes), _TOTALS, _SETTINGS)
    assert any("in several AWS accounts" in warning and "shop/orders" in warning for warning in traffic.warnings) is told


def test_a_group_whose_filter_changed_is_told_of() -> None:
    settings = replace(_SETTINGS, group="prod")
    assert GraphTraffic.of(Graph(regrouped=True), _TOTALS, settings).warnings == (
        'source "aws": the filter of group "prod" has changed: some of the traces are those it chose before',
    )
