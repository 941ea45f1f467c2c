"""What is read for a query: no more than it needs, from where its user needs the fewest rights, and always what the API knows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apiservice.catalog import locate
from apiservice.question import parse_question
from apiservice.surfaces.grafana.filters import parse_filters
from apiservice.surfaces.grafana.metrics import find_target
from apiservice.surfaces.grafana.reads import alone, reads_of
from apiservice.surfaces.grafana.series import labels_of
from apiservice.surfaces.grafana.tables import table_frame
from apiservice.surfaces.grafana.wanted import parse_wanted
from apiservice.surfaces.reading import Asked
from metrics_api import Direction, Edge, ResourceRef, Side, SplitBackend, TrafficMetrics, Window
from tests.unit.surfaces.grafana.town import NOW, columns

WINDOW = Window(30)


def reads(target: str = "rps", /, scope: str = "", filters: Any = None, **payload: Any) -> list[tuple[Asked, str]]:
    wanted = parse_wanted(payload, find_target(target), filters=parse_filters(filters))
    found = reads_of(wanted, scope, WINDOW)
    for asked in found:
        # It is a request that the API knows.
        info = asked.info()
        locate(info)
        parse_question(info, dict(asked.parameters), WINDOW)
    return [(asked, dict(asked.parameters).get("fieldSelector", "")) for asked in found]


def paths(target: str = "rps", /, **payload: Any) -> list[tuple[str, str]]:
    """The paths below the version, and the field selectors."""
    return [(asked.info().path.partition("v1alpha1/")[2], selector) for asked, selector in reads(target, **payload)]


CASES = {
    "everything": ({}, [("trafficmetrics", "")]),
    "a namespace": ({"namespace": "shop"}, [("namespaces/shop/trafficmetrics", "")]),
    "a kind": ({"namespace": "shop", "kind": "deployments"}, [("namespaces/shop/deployments", "")]),
    "a name": (
        {"namespace": "shop", "kind": "Deployment", "name": "web"},
        [("namespaces/shop/deployments", "metadata.name=web")],
    ),
    "a name in another cluster": (
        {"namespace": "shop", "kind": "deployment", "name": "web@west"},
        [("namespaces/shop/deployments", "metadata.name=web@west")],
    ),
    "a workload": (
        {"namespace": "shop", "name": "web@west"},
        [("namespaces/shop/trafficmetrics", "resource.name=web,cluster=west")],
    ),
    "a workload at home": (
        {"namespace": "shop", "name": "web"},
        [("namespaces/shop/trafficmetrics", "resource.name=web,cluster=")],
    ),
    "several names": ({"namespace": "shop", "kind": "pods", "name": "(a|b)"}, [("namespaces/shop/pods", "")]),
    "a kind of a controller": (
        {"namespace": "shop", "kind": "Rollout"},
        [("namespaces/shop/trafficmetrics", "resource.kind=Rollout")],
    ),
    "a filter of a name": (
        {"namespace": "shop", "kind": "pods", "filters": [{"key": "name", "operator": "=", "value": "web-1"}]},
        [("namespaces/shop/pods", "metadata.name=web-1")],
    ),
    "filters that leave nobody": (
        {"namespace": "shop", "name": "api", "filters": [{"key": "name", "operator": "=", "value": "web"}]},
        [],
    ),
    "a filter of another namespace": ({"scope": "shop", "filters": [{"key": "namespace", "operator": "=", "value": "data"}]}, []),
    "a choice that leaves out the namespace": ({"scope": "shop", "namespace": "team-.*"}, []),
    "namespaces": ({"kind": "namespaces"}, [("namespaces", "")]),
    "named namespaces": ({"kind": "namespaces", "name": "(shop|data)"}, [("namespaces/data", ""), ("namespaces/shop", "")]),
    "its own namespace": ({"kind": "namespaces", "scope": "shop"}, [("namespaces/shop", "")]),
    "nodes": ({"kind": "nodes"}, [("nodes", "")]),
    "nodes where a namespace is filtered": ({"kind": "nodes", "filters": [{"key": "namespace", "value": "shop"}]}, []),
    "splits": ({"namespace": "shop", "kind": "trafficsplits"}, [("namespaces/shop/trafficsplits", "")]),
}


@pytest.mark.parametrize("case", CASES)
def test_totals_are_read_where_they_are(case: str):
    payload, expected = CASES[case]
    assert paths(**payload) == expected


EDGES = {
    "of a namespace": ({"namespace": "shop"}, [("namespaces/shop/trafficmetrics", "edge.resource.name!=")]),
    "one way": ({"namespace": "shop", "direction": "to"}, [("namespaces/shop/trafficmetrics", "edge.direction=to")]),
    "of a workload": (
        {"namespace": "shop", "name": "web"},
        [("namespaces/shop/trafficmetrics", "resource.name=web,cluster=,edge.resource.name!=")],
    ),
    "of one object": ({"namespace": "shop", "kind": "deployments", "name": "web"}, [("namespaces/shop/deployments/web/edges", "")]),
    "of two objects with one peer": (
        {"namespace": "shop", "kind": "pods", "name": ["a", "b"], "direction": "from", "peer": "c"},
        [(f"namespaces/shop/pods/{name}/edges", "edge.direction=from,edge.resource.name=c") for name in "ab"],
    ),
    "of many objects": (
        {"namespace": "shop", "kind": "pods", "name": [f"web-{number}" for number in range(11)], "direction": "to"},
        [("namespaces/shop/trafficmetrics", "resource.kind=Pod,edge.direction=to")],
    ),
    "of a kind": (
        {"kind": "StatefulSet", "direction": "from"},
        [("trafficmetrics", "resource.kind=StatefulSet,edge.direction=from")],
    ),
    "of namespaces": (
        {"kind": "namespaces", "namespace": "(shop|data)"},
        [("namespaces/data/edges", ""), ("namespaces/shop/edges", "")],
    ),
    "of a node": ({"kind": "nodes", "name": "node-1"}, [("nodes/node-1/edges", "")]),
    "of a split": ({"namespace": "shop", "kind": "httproutes", "name": "web"}, [("namespaces/shop/httproutes/web/edges", "")]),
}


@pytest.mark.parametrize("case", EDGES)
def test_edges_are_read_where_they_are(case: str):
    payload, expected = EDGES[case]
    assert paths("edges", **payload) == expected


def test_what_else_a_payload_says_goes_along():
    ((asked, _),) = reads(window="5m", labelSelector="app in (web,api)", includeIdle="true", peerKind="pods")
    assert dict(asked.parameters) == {"window": "5m0s", "labelSelector": "app in (web,api)", "includeIdle": "true"}
    ((asked, _),) = reads("edges", window="1d", peerKind="pods", includeIdle=True)
    assert dict(asked.parameters) == {"window": "24h0m0s", "fieldSelector": "edge.resource.name!=", "edgeKind": "pods"}


@pytest.mark.parametrize(
    ("payload", "one"),
    [
        ({"namespace": "shop", "kind": "deployments", "name": "web"}, True),
        ({"namespace": "shop", "name": "web"}, True),
        ({"kind": "namespaces", "namespace": "shop"}, True),
        ({"namespace": "shop", "name": "web", "direction": "to"}, False),
        ({"namespace": "shop", "kind": "deployments", "name": "web", "direction": "to"}, False),
        ({"namespace": "shop", "direction": "to", "peer": "web"}, False),
        ({"namespace": "shop"}, False),
    ],
    ids=str,
)
def test_it_is_known_which_reads_are_about_one_resource(payload: dict[str, str], *, one: bool):
    ((asked, _),) = reads(**payload)
    assert alone(asked) is one


SPLIT = TrafficMetrics(
    "canary",
    "shop",
    ResourceRef("TrafficSplit", "shop", "canary"),
    Edge(Direction.FROM, Side.CLIENT),
    NOW,
    WINDOW,
    success=30_000,
    failure=0,
    backend=SplitBackend("web", "web-v2", 10),
)


def test_the_backends_of_a_split_are_told_apart():
    assert labels_of(SPLIT) == {"namespace": "shop", "kind": "TrafficSplit", "name": "canary", "apex": "web", "backend": "web-v2"}
    found = columns({"fields": [each.wire() for each in table_frame("A", "", [SPLIT], (), edges=False).fields]})
    assert (found["backend"], found["weight"]) == (["web-v2"], [10])


def test_a_row_of_home_is_called_by_its_name_also_where_home_has_one():
    home = TrafficMetrics("deployment.web", "shop", ResourceRef("Deployment", "shop", "web"), Edge(), NOW, WINDOW, cluster="east")
    abroad = replace(home, name="deployment.web@west", cluster="west")
    assert [(labels_of(row)["name"], labels_of(row)["cluster"]) for row in (home, abroad)] == [
        ("web", "east"),
        ("web@west", "west"),
    ]
