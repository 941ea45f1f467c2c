"""A service graph is read as what it is: each service once, what it received, what was called, and how long it took."""

from __future__ import annotations

from typing import Any

import pytest

from backends.cloudwatch.graph import Call, Graph, Node, Requests, read_graph
from metrics_api import BackendProtocolError, Histogram


def _statistics(ok: int = 0, errors: int = 0, faults: int = 0, **other: Any) -> dict[str, Any]:
    return {
        "OkCount": ok,
        "ErrorStatistics": {"ThrottleCount": 0, "OtherCount": errors, "TotalCount": errors},
        "FaultStatistics": {"OtherCount": faults, "TotalCount": faults},
        "TotalCount": ok + errors + faults,
        **other,
    }


def _read(*services: dict[str, Any]) -> Graph:
    return read_graph("aws", [{"Services": list(services)}])


def _requests(**observed: Any) -> Requests | None:
    (node,) = _read({"ReferenceId": 0, "Name": "orders", **observed}).nodes
    return node.received


def _latency(*entries: tuple[float, int], **statistics: Any) -> Histogram | None:
    histogram = [{"Value": value, "Count": count} for value, count in entries]
    received = _requests(SummaryStatistics=_statistics(10, **statistics), ResponseTimeHistogram=histogram)
    assert received is not None
    return received.latency


def test_edges_point_to_services_of_any_page() -> None:
    front = {"ReferenceId": 0, "Name": "front", "Edges": [{"ReferenceId": 1, "SummaryStatistics": _statistics(4, 1)}]}
    orders = {"ReferenceId": 1, "Name": "orders", "Names": ["orders", "o"], "Type": "remote", "AccountId": "1234"}
    graph = read_graph("aws", [{"Services": [front]}, {"Services": [orders], "ContainsOldGroupVersions": True}])
    callee = Node("orders", ("orders", "o"), "remote", "1234")
    assert graph == Graph((Node("front"), callee), (Call(Node("front"), callee, Requests(5, 1, 0, None)),), 0, regrouped=True)


def test_an_edge_may_point_to_nothing() -> None:
    graph = _read({"ReferenceId": 0, "Name": "front", "Edges": [{"ReferenceId": 9}, {}]})
    assert graph.calls == (Call(Node("front"), None), Call(Node("front"), None))


def test_asynchronous_edges_are_left_out_and_counted() -> None:
    link = {"ReferenceId": 1, "EdgeType": "link", "SummaryStatistics": _statistics(7), "ReceivedEventAgeHistogram": []}
    graph = _read({"ReferenceId": 0, "Name": "queue", "Edges": [link]}, {"ReferenceId": 1, "Name": "orders"})
    assert (graph.calls, graph.links) == ((), 1)


def test_a_service_named_again_for_an_edge_to_point_to_is_the_same_one() -> None:
    whole = {"ReferenceId": 1, "Name": "orders", "SummaryStatistics": _statistics(3)}
    stub = {"ReferenceId": 1, "Name": "orders"}
    for services in ([whole, stub], [stub, whole], [whole, whole]):
        graph = _read(*services)
        assert graph.nodes == (Node("orders", received=Requests(3, 0, 0, None)),)


def test_two_services_of_one_reference_are_an_error_and_never_added() -> None:
    first = {"ReferenceId": 1, "Name": "orders", "SummaryStatistics": _statistics(3)}
    for other in ({**first, "SummaryStatistics": _statistics(4)}, {"ReferenceId": 1, "Name": "payments"}):
        with pytest.raises(BackendProtocolError, match=r"two services of one reference \(1\)"):
            _read(first, other)


@pytest.mark.parametrize(
    "answer",
    [
        {"Services": "none"},
        {"Services": [{"Name": 7}]},
        {"Services": [{"Edges": {}}]},
        {"Services": [{"SummaryStatistics": {"TotalCount": "many"}}]},
        {"Services": [{"ResponseTimeHistogram": [{"Value": "fast", "Count": 1}]}]},
    ],
    ids=["services", "name", "edges", "count", "value"],
)
def test_what_is_no_service_graph_is_an_error(answer: dict[str, Any]) -> None:
    with pytest.raises(BackendProtocolError, match='source "aws": answered something that is no service graph'):
        read_graph("aws", [answer])


def test_null_is_nothing() -> None:
    service = dict.fromkeys(("ReferenceId", "Name", "Names", "Type", "Edges", "SummaryStatistics", "ResponseTimeHistogram"))
    assert _read(service).nodes == (Node(""),)
    assert read_graph("aws", [{"Services": None}, {}]) == Graph()


@pytest.mark.parametrize(
    ("statistics", "outcome", "strict"),
    [
        (_statistics(6, 3, 1), (9, 1), (6, 4)),
        (_statistics(), (0, 0), (0, 0)),
        # Redirects are none of the three.
        ({**_statistics(6, 3, 1), "TotalCount": 12}, (11, 1), (8, 4)),
        # A request may be an error and a fault.
        ({**_statistics(6, 3, 3), "TotalCount": 9}, (6, 3), (3, 6)),
        ({**_statistics(0, 3, 3), "TotalCount": 4}, (1, 3), (0, 4)),
        ({"OkCount": 4, "FaultStatistics": {"TotalCount": 1}}, (4, 1), (4, 1)),
        ({"TotalCount": 4, "ErrorStatistics": {}, "FaultStatistics": {}}, (4, 0), (4, 0)),
        ({**_statistics(0, 0, 3), "TotalCount": 2}, None, None),
        ({**_statistics(0, 3, 0), "TotalCount": 2}, None, None),
        ({**_statistics(), "FaultStatistics": {"TotalCount": -1}}, None, None),
        ({**_statistics(), "ErrorStatistics": {"TotalCount": -1}}, None, None),
        ({"TotalCount": -3}, None, None),
    ],
    ids=[
        "all",
        "none",
        "redirects",
        "error and fault",
        "more errors and faults than requests",
        "no total",
        "total alone",
        "more faults than requests",
        "more errors than requests",
        "negative faults",
        "negative errors",
        "negative total",
    ],
)
def test_outcomes_are_out_of_the_total(
    statistics: dict[str, Any], outcome: tuple[float, float] | None, strict: tuple[float, float] | None
) -> None:
    received = _requests(SummaryStatistics=statistics)
    assert received is not None
    assert received.outcome() == outcome
    assert received.outcome(client_errors_fail=True) == strict


def test_statistics_that_say_nothing_are_unknown_and_not_zero() -> None:
    assert _requests(SummaryStatistics={}) is None
    assert _requests() is None


def test_latency_is_the_time_to_the_response_and_not_that_of_all_work() -> None:
    received = _requests(
        SummaryStatistics=_statistics(1),
        ResponseTimeHistogram=[{"Value": 0.02, "Count": 1}],
        DurationHistogram=[{"Value": 9.0, "Count": 1}],
    )
    assert received is not None
    assert received.latency is not None
    assert received.latency.quantile(0.99) == pytest.approx(0.02)


def test_percentiles_are_values_that_were_observed() -> None:
    latency = _latency((0.4, 1), (0.01, 5), (0.0, 1), (0.03, 2), (0.02, 1))
    assert latency is not None
    # Sorted: 0, 0.01 five times, 0.02, 0.03 twice, 0.4.
    assert [latency.quantile(q) for q in (0.1, 0.5, 0.6, 0.9, 0.99)] == pytest.approx([0.0, 0.01, 0.01, 0.03, 0.4])


def test_a_value_told_twice_counts_twice() -> None:
    latency = _latency((0.01, 4), (0.5, 2), (0.01, 4))
    assert latency is not None
    assert (latency.total, latency.quantile(0.8)) == (10, pytest.approx(0.01))


def test_the_mean_is_exact_where_the_times_are_those_of_the_same_requests() -> None:
    latency = _latency((0.01, 9), (0.5, 1), TotalResponseTime=0.6123)
    assert latency is not None
    assert latency.mean() == pytest.approx(0.06123)
    fewer = _latency((0.01, 4), TotalResponseTime=0.6123)
    assert fewer is not None
    assert fewer.mean() is None


@pytest.mark.parametrize("entries", [[], [(0.1, 0)], [(float("nan"), 1)], [(float("inf"), 1)], [(0.1, 5), (0.2, -1)]], ids=str)
def test_what_is_no_latency_is_unknown(entries: list[tuple[float, int]]) -> None:
    assert _latency(*entries) is None


def test_a_clock_that_went_back_makes_no_negative_latency() -> None:
    latency = _latency((-0.4, 9), (0.2, 1))
    assert latency is not None
    assert (latency.quantile(0.5), latency.quantile(0.99)) == (0.0, pytest.approx(0.2))
