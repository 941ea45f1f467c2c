"""From rows to samples: outcomes, names for both ends, and who of several observers is believed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.dialects import Read, Rows, interpret, load_dialect, parse_dialect, plan
from metrics_api import EVERYTHING, UNKNOWN, Direction, Histogram, ResourceRef, Sample, Side, TrafficQuery, Window
from tests.unit.dialects.holding import Series, rows

INF = float("inf")
SMALL = parse_dialect(
    """
    name: small
    views:
    - name: requests
      side: {label: reporter, values: {server: server, gateway: server, client: client}}
      requests: requests_total
      outcome: [{ignore: {code: "1.."}}, {failure: {code: "5.."}}, {success: {code: ".+"}}]
      latency: {metric: latency, unit: seconds}
      source:
      - Deployment: {namespace: src_ns, name: src}
      - Namespace: {name: src_ns}
      destination:
      - Deployment: {namespace: ns, name: app}
      - Service: {namespace: ns, name: svc}
      - Namespace: {name: ns}
      - Host: {name: host}
      corrections:
      - [grpc_13]
      - {metrics: [grpc_14], overlap: true}
    """,
    "small.yaml",
)
TOTAL = TrafficQuery(("Deployment",), Window(30), 0)
TO = replace(TOTAL, edges=True, direction=Direction.TO)
FROM = replace(TOTAL, edges=True, direction=Direction.FROM)
NAMESPACES = replace(TOTAL, kinds=("Namespace",))
WEB, API = ResourceRef("Deployment", "shop", "web"), ResourceRef("Deployment", "shop", "api")


def ask(query: TrafficQuery, *series: Series, stage: int = 0, **others: list[Series]) -> list[Sample]:
    """The samples when a store holds these counters, and by name of metric others; a histogram's value lies within a second."""
    held = {"requests_total": list(series), **others}
    parts = plan(SMALL, query)[stage]
    results: dict[Read, Rows] = {read: rows(read, held) for part in parts for read in part.reads}
    return sorted(interpret(parts, query, results, "mesh"), key=lambda sample: (sample.resource, sample.peer, sample.direction))


def at(reporter: str, app: str = "web", code: str = "200", **labels: str) -> dict[str, str]:
    """Labels of a request to a workload of the shop."""
    return {"reporter": reporter, "ns": "shop", "app": app, "code": code, **labels}


def counts(samples: list[Sample]) -> list[tuple[str, str, float | None, float | None]]:
    return [(sample.resource.name, sample.peer.name, sample.success, sample.failure) for sample in samples]


def test_outcomes_are_added_up():
    found = ask(
        TOTAL,
        (at("server", code="200"), 7.0),
        (at("server", code="404"), 2.0),
        (at("server", code="503"), 1.0),
        (at("server", code="101"), 50.0),
        (at("server", code=""), 90.0),
    )
    assert counts(found) == [("web", "", 9.0, 1.0)]
    assert (found[0].peer, found[0].direction, found[0].side, found[0].source) == (EVERYTHING, Direction.FROM, Side.SERVER, "mesh")


def test_a_family_of_which_only_failures_moved_has_no_successes_rather_than_unknown_ones():
    assert counts(ask(TOTAL, (at("server", code="500"), 4.0))) == [("web", "", 0.0, 4.0)]


def test_series_that_count_no_requests_are_no_sample():
    assert ask(TOTAL, (at("server", code="101"), 50.0)) == []


def test_latencies_without_counts_are_of_something_else():
    assert ask(TOTAL, latency=[(at("server"), 3.0)]) == []


def test_rows_about_the_same_thing_are_added_and_their_latencies_merged():
    """One callee under two hosts is one edge."""
    series = [(at("client", "api", src_ns="shop", src="web", host=host), value) for host, value in (("a", 3.0), ("b", 4.0))]
    (sample,) = ask(TO, *series, latency=series)
    assert (sample.peer, sample.success) == (API, 7.0)
    assert sample.latency == Histogram((1.0, INF), (7.0, 0.0))


@pytest.mark.parametrize(
    ("grpc_13", "grpc_14", "expected"),
    [
        (0.0, 0.0, (90.0, 10.0)),
        (4.0, 0.0, (86.0, 14.0)),
        (0.0, 10.0, (90.0, 10.0)),
        (0.0, 7.0, (90.0, 10.0)),
        (0.0, 25.0, (75.0, 25.0)),
        (4.0, 25.0, (71.0, 29.0)),
        (500.0, 0.0, (0.0, 100.0)),
    ],
    ids=["none", "certain", "counted-already", "some-counted-already", "beyond-those-counted", "both", "more-than-there-were"],
)
def test_failures_among_the_successes_become_failures_once(grpc_13: float, grpc_14: float, expected: tuple[float, float]):
    (sample,) = ask(
        TOTAL,
        (at("server"), 90.0),
        (at("server", code="503"), 10.0),
        grpc_13=[(at("server"), grpc_13)],
        grpc_14=[(at("server"), grpc_14)],
    )
    assert (sample.success, sample.failure) == expected


def test_corrections_of_nothing_are_nothing():
    assert ask(TOTAL, grpc_13=[(at("server"), 4.0)]) == []


def test_of_two_observers_of_a_workload_one_is_believed():
    found = ask(TOTAL, (at("server"), 10.0), (at("gateway"), 9.0), (at("client"), 11.0))
    assert [(sample.success, sample.side) for sample in found] == [(10.0, Side.SERVER)]
    found = ask(TOTAL, (at("gateway"), 9.0), (at("client"), 11.0))
    assert [(sample.success, sample.side) for sample in found] == [(9.0, Side.SERVER)]


def test_a_namespace_adds_up_workloads_that_different_observers_saw():
    """Web is seen by its own proxy and by a gateway before it, api by the gateway alone."""
    found = ask(NAMESPACES, (at("server"), 10.0), (at("gateway"), 9.0), (at("gateway", "api"), 5.0), (at("client"), 99.0))
    assert [(sample.resource.name, sample.success, sample.side) for sample in found] == [("shop", 15.0, Side.SERVER)]


def test_a_namespaces_failures_are_corrected_workload_by_workload():
    """All of web's gRPC failures were counted already; none of api's were."""
    found = ask(
        NAMESPACES,
        (at("server", code="503"), 10.0),
        (at("server", "api"), 50.0),
        grpc_14=[(at("server"), 10.0), (at("server", "api"), 10.0)],
    )
    assert counts(found) == [("shop", "", 40.0, 20.0)]


def test_a_namespaces_latencies_are_those_of_the_observers_believed():
    (sample,) = ask(
        NAMESPACES,
        (at("server"), 10.0),
        (at("gateway", "api"), 5.0),
        latency=[(at("server"), 10.0), (at("gateway"), 9.0), (at("gateway", "api"), 5.0)],
    )
    assert sample.latency == Histogram((1.0, INF), (15.0, 0.0))


def test_edges_of_a_namespace_are_chosen_by_both_ends():
    found = ask(
        replace(FROM, kinds=("Namespace",)),
        (at("server", src_ns="ledger", src="a"), 10.0),
        (at("gateway", src_ns="ledger", src="a"), 9.0),
        (at("gateway", src_ns="ledger", src="b"), 5.0),
        (at("client", src_ns="edge", src="c"), 3.0),
    )
    assert [(sample.peer.name, sample.success, sample.side) for sample in found] == [
        ("edge", 3.0, Side.CLIENT),
        ("ledger", 15.0, Side.SERVER),
    ]


def test_each_edge_is_seen_by_the_nearer_side_where_possible():
    web = {"src_ns": "shop", "src": "web"}
    both = (at("server", "api", **web), 10.0), (at("client", "api", **web), 12.0)
    assert [(sample.success, sample.side) for sample in ask(TO, *both)] == [(12.0, Side.CLIENT)]
    assert [(sample.success, sample.side) for sample in ask(FROM, *both)] == [(10.0, Side.SERVER)]
    assert [(sample.success, sample.side) for sample in ask(replace(TO, side=Side.SERVER), *both)] == [(10.0, Side.SERVER)]


def test_a_peer_is_named_as_well_as_it_can_be():
    web = {"reporter": "client", "src_ns": "shop", "src": "web", "code": "200"}
    found = ask(
        TO,
        ({**web, "ns": "shop", "app": "api", "svc": "front", "host": "h"}, 1.0),
        ({**web, "ns": "shop", "svc": "front", "host": "h"}, 2.0),
        ({**web, "host": "pay.example.com"}, 3.0),
        (web, 4.0),
    )
    assert [(sample.peer, sample.success) for sample in found] == [
        (ResourceRef("", "", "pay.example.com"), 3.0),
        (UNKNOWN, 4.0),
        (API, 1.0),
        (ResourceRef("Service", "shop", "front"), 2.0),
    ]


def test_directions_are_kept_apart():
    """Web calls itself, and api and web call each other."""
    found = ask(
        replace(TOTAL, edges=True),
        (at("client", "web", src_ns="shop", src="web"), 1.0),
        (at("client", "api", src_ns="shop", src="web"), 2.0),
        (at("client", "web", src_ns="shop", src="api"), 3.0),
    )
    assert {(sample.resource, sample.peer, sample.direction.value, sample.success) for sample in found} == {
        (WEB, WEB, "to", 1.0),
        (WEB, WEB, "from", 1.0),
        (WEB, API, "to", 2.0),
        (API, WEB, "from", 2.0),
        (API, WEB, "to", 3.0),
        (WEB, API, "from", 3.0),
    }


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (replace(TOTAL, name="web"), {("shop", "web"), ("ledger", "web")}),
        (replace(TOTAL, namespace="ledger"), {("ledger", "web")}),
        (replace(TOTAL, namespace="shop", name="web"), {("shop", "web")}),
        (replace(TOTAL, namespace="shop", name="we"), set()),
    ],
)
def test_only_what_was_asked_for_is_answered(query: TrafficQuery, found: set[tuple[str, str]]):
    samples = ask(query, (at("server"), 1.0), (at("server", "api"), 2.0), (at("server") | {"ns": "ledger"}, 3.0))
    assert {(sample.resource.namespace, sample.resource.name) for sample in samples} == found


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        (ResourceRef("", "", "api"), {API}),
        (ResourceRef("", "shop", ""), {API, WEB}),
        (ResourceRef("", "ledger", "api"), set()),
    ],
)
def test_only_the_peers_asked_for_are_answered(peer: ResourceRef, found: set[ResourceRef]):
    web = {"src_ns": "shop", "src": "web"}
    series = [
        (at("client", "api", **web), 1.0),
        (at("client", "web", **web), 2.0),
        ({"reporter": "client", **web, "code": "200"}, 3.0),
    ]
    assert {sample.peer for sample in ask(replace(TO, peer=peer), *series)} == found


def test_a_row_of_an_observer_nobody_knows_is_left_out():
    parts = plan(SMALL, TOTAL)[0]
    part = parts[0]
    values = {"ns": "shop", "app": "web", "reporter": "satellite", "code": "200"}
    results: dict[Read, Rows] = {read: {} for each in parts for read in each.reads}
    results[part.requests] = {tuple(values[label] for label in part.requests.by): 5.0}
    assert interpret(parts, TOTAL, results, "mesh") == ()


def test_an_unmeshed_caller_is_unknown_in_linkerd():
    query = replace(FROM, namespace="shop", name="web")
    parts = plan(load_dialect("linkerd"), query)[0]
    results: dict[Read, Rows] = {read: {} for part in parts for read in part.reads}
    (unmeshed,) = (part for part in parts if part.view.name == "unmeshed")
    results[unmeshed.requests] = {("shop", "web", "success"): 5.0}
    (sample,) = interpret(parts, query, results, "mesh")
    assert (sample.peer, sample.side, sample.success, sample.failure) == (UNKNOWN, Side.SERVER, 5.0, 0.0)


def outside_and_inside(query: TrafficQuery, *series: Series) -> list[Sample]:
    """The samples of Linkerd, whose callee sees that somebody outside the mesh called, and whose caller's labels may not name it."""
    parts = plan(load_dialect("linkerd"), query)[0]
    results: dict[Read, Rows] = {read: rows(read, {"response_total": list(series)}) for part in parts for read in part.reads}
    return list(interpret(parts, query, results, "mesh"))


def test_callers_that_nobody_can_name_are_added_and_none_is_dropped():
    callee = {"dst_namespace": "shop", "dst_deployment": "web", "classification": "success"}
    bare = {"direction": "outbound", "namespace": "shop", "pod": "bare-1", **callee}
    unmeshed = {"direction": "inbound", "tls": "no_identity", "namespace": "shop", "deployment": "web", "classification": "success"}
    named = {"direction": "outbound", "namespace": "shop", "deployment": "api", **callee}
    found = outside_and_inside(replace(FROM, namespace="shop", name="web"), (bare, 5.0), (unmeshed, 9.0), (named, 10.0))
    assert {sample.peer.name: (sample.success, sample.side) for sample in found} == {
        "unknown": (14.0, Side.SERVER),
        "api": (10.0, Side.CLIENT),
    }


def test_what_only_the_server_saw_is_told_when_its_side_is_asked_for():
    unmeshed = {"direction": "inbound", "tls": "no_identity", "namespace": "shop", "deployment": "web", "classification": "success"}
    (sample,) = outside_and_inside(replace(FROM, side=Side.SERVER), (unmeshed, 9.0))
    assert (sample.peer, sample.success) == (UNKNOWN, 9.0)
