"""Rows on their way to clients: read back as they were sent, told in plain floats, and put together as a graph."""

from __future__ import annotations

import json
import math
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api import BadQuery, Direction, Edge, ResourceRef, Side, TrafficMetrics, Window
from metrics_api.golden import golden
from metrics_api.graph import Node, graph
from metrics_api.objects import Extra, LatencyUnit, SplitBackend
from metrics_api.provenance import CLUSTER, SOURCE
from metrics_api.reading import row_of
from metrics_api.resources import EVERYTHING, UNKNOWN

NAMES = st.sampled_from(["web", "api", "db", "cart"])
REFS = st.builds(ResourceRef, st.sampled_from(["Deployment", "StatefulSet"]), st.sampled_from(["shop", "data"]), NAMES)
PEERS = REFS | st.sampled_from([UNKNOWN, ResourceRef("", "", "example.com")])
MICRO = st.none() | st.integers(0, 10**10)
MILLI = st.none() | st.integers(0, 10**12)
INSTANTS = st.integers(1_500_000_000, 1_900_000_000)


def rows(peers: st.SearchStrategy[ResourceRef]) -> st.SearchStrategy[TrafficMetrics]:
    edges = st.builds(Edge, st.sampled_from(Direction), st.sampled_from(Side), peers)
    return st.builds(_row, NAMES, REFS, edges, INSTANTS, st.integers(1, 3600), MICRO, MICRO, MICRO, MILLI, MILLI)


def _row(name: str, resource: ResourceRef, edge: Edge, instant: int, seconds: int, *numbers: int | None) -> TrafficMetrics:
    return TrafficMetrics(name, resource.namespace, resource, edge, instant, Window(seconds), *numbers)


ROW = rows(PEERS | st.just(EVERYTHING))


@given(ROW, st.sampled_from(LatencyUnit), st.integers(0, 600), st.sampled_from(["", "west"]), st.booleans())
def test_what_is_sent_is_read_back(row: TrafficMetrics, unit: LatencyUnit, late: int, cluster: str, split: bool):  # noqa: FBT001
    document = row.wire(unit)
    assert row_of(json.loads(json.dumps(document))) == row
    annotations = {SOURCE: "mesh", **({CLUSTER: cluster} if cluster else {})}
    full = TrafficMetrics(
        f"{row.name}@west" if cluster else row.name,
        row.namespace,
        row.resource,
        row.edge,
        row.instant,
        row.window,
        labels={"app": "web"},
        annotations=annotations,
        source="mesh",
        extras=(Extra("p95_response_latency", 12), Extra("mean_response_latency")),
        backend=SplitBackend("web", "web-v2", 10) if split else None,
        version=row.instant + late if late else None,
        cluster=cluster,
    )
    assert row_of(json.loads(json.dumps(full.wire(unit)))) == full


@given(ROW)
def test_plain_numbers_are_the_exact_ones(row: TrafficMetrics):
    told = golden(row)
    assert all(number is None or math.isfinite(number) for number in told)
    assert (told.success is None, told.failure is None) == (row.success is None, row.failure is None)
    if row.success is None or row.failure is None:
        assert (told.requests_per_second, told.success_rate, told.failure_ratio) == (None, None, None)
        return
    total = row.success + row.failure
    assert told.requests_per_second == float(Fraction(total, 1000 * row.window.seconds))
    if not total:
        assert (told.requests_per_second, told.success_rate, told.failure_ratio) == (0, None, None)
        return
    assert told.success_rate == float(Fraction(row.success, total))
    assert told.failure_ratio == float(Fraction(row.failure, total))


@given(st.lists(ROW, max_size=12), st.lists(rows(st.just(EVERYTHING)), max_size=4))
def test_a_graph_has_each_pair_once_and_every_end_among_its_nodes(edges: list[TrafficMetrics], totals: list[TrafficMetrics]):
    made = graph(edges, totals)
    ends = {end for link in made.links for end in (link.client, link.server)}
    assert ends <= set(made.nodes)
    assert Counter((link.client, link.server) for link in made.links) == {(link.client, link.server): 1 for link in made.links}
    assert {node.resource for node in made.nodes} >= {row.resource for row in (*edges, *totals)}
    assert len({node.id for node in made.nodes}) == len(made.nodes)
    for link in made.links:
        assert link.row in edges
        own, peer = (link.client, link.server) if link.row.edge.direction is Direction.TO else (link.server, link.client)
        assert (own.resource, peer.resource) == (link.row.resource, link.row.edge.peer)
    assert graph(list(reversed(edges)), totals).nodes == made.nodes


def _seen(direction: Direction, side: Side, success: int | None) -> TrafficMetrics:
    web, api = ResourceRef("Deployment", "shop", "web"), ResourceRef("Deployment", "shop", "api")
    own, peer = (web, api) if direction is Direction.TO else (api, web)
    return TrafficMetrics(own.name, "shop", own, Edge(direction, side, peer), 1, Window(30), success=success, failure=success)


@pytest.mark.parametrize("turn", [1, -1], ids=["as listed", "the other way round"])
def test_the_best_observer_of_the_same_requests_is_believed(turn: int):
    order = [
        _seen(Direction.FROM, Side.SERVER, 1),
        _seen(Direction.TO, Side.SERVER, 2),
        _seen(Direction.FROM, Side.CLIENT, 3),
        _seen(Direction.TO, Side.CLIENT, 4),
        _seen(Direction.FROM, Side.SERVER, None),
    ]
    while order:
        (link,) = graph(order[::turn]).links
        assert link.row == order[0]
        assert (link.client.resource.name, link.server.resource.name) == ("web", "api")
        del order[0]


def test_clusters_are_graphs_beside_each_other():
    row = _seen(Direction.TO, Side.CLIENT, 1)
    west = TrafficMetrics("web@west", "shop", row.resource, row.edge, 1, Window(30), cluster="west")
    made = graph([row, west])
    assert [(link.client.id, link.server.id) for link in made.links] == [
        ("shop/Deployment/web", "shop/Deployment/api"),
        ("shop/Deployment/web@west", "shop/Deployment/api@west"),
    ]
    assert Node("", UNKNOWN).id == "unknown"


def test_no_host_has_the_id_of_a_workload():
    workload = Node("west", ResourceRef("Deployment", "shop", "web"))
    for name in ("shop/Deployment/web@west", "shop/Deployment/web", "shop%2FDeployment%2Fweb"):
        assert Node("", ResourceRef("", "", name)).id not in (workload.id, Node("", workload.resource).id)
    assert Node("", ResourceRef("", "", "bank.example.com:443")).id == "bank.example.com:443"
    assert Node("", ResourceRef("", "", "a@b/c%2F")).id == "a%40b%2Fc%252F"


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"metadata": None},
        {"kind": "Status", "status": "Failure"},
        {**_seen(Direction.TO, Side.CLIENT, 1).wire(), "timestamp": "yesterday"},
        {**_seen(Direction.TO, Side.CLIENT, 1).wire(), "metrics": [{"name": "success_count", "value": "many"}]},
        {
            **_seen(Direction.TO, Side.CLIENT, 1).wire(),
            "metrics": [{"name": "p99_response_latency", "unit": "years", "value": "1"}],
        },
        {**_seen(Direction.TO, Side.CLIENT, 1).wire(), "window": "soon"},
    ],
    ids=["nothing", "no metadata", "a Status", "no time", "no quantity", "no unit", "no window"],
)
def test_what_is_no_object_is_refused(document: dict[str, object]):
    with pytest.raises(BadQuery):
        row_of(document)
