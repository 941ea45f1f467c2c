"""How what splits traffic is asked for, described, and shown: one object has as many rows as it has backends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from apiservice.catalog import locate
from apiservice.negotiate import Transform
from apiservice.openapi import document_v3
from apiservice.question import Question, fields_of, parse_question
from apiservice.representation import Style, represent_list
from apiservice.requestinfo import parse_request
from metrics_api import SPLIT_KINDS, BadQuery, Edge, ResourceRef, Side, SplitBackend, TrafficMetrics, Window, type_of_kind

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
PLURALS = ["trafficsplits", "httproutes", "grpcroutes"]
CANARY = ResourceRef("TrafficSplit", "shop", "canary")
ROW = TrafficMetrics(
    *("canary", "shop", CANARY, Edge(side=Side.CLIENT), 100, Window(30), 9_000, 8_000, 7_000, 54_000, 6_000),
    source="mesh",
    backend=SplitBackend("web", "web-v2", 10),
)


def ask(path: str, query: str = "") -> Question:
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    return parse_question(parse_request("GET", f"{ROOT}/{path}", parameters), parameters, Window(30))


@pytest.mark.parametrize("plural", PLURALS)
@pytest.mark.parametrize("path", ["namespaces/shop/{}/web", "namespaces/shop/{}", "{}"])
def test_one_of_them_is_a_list_like_all_of_them(plural: str, path: str):
    question = ask(path.format(plural))
    assert (question.split, question.single, question.edges) == (True, False, False)
    assert question.name == ("web" if path.endswith("web") else "")


@pytest.mark.parametrize("plural", PLURALS)
def test_edges_of_one_are_asked_for_as_of_any_object(plural: str):
    question = ask(f"namespaces/shop/{plural}/web/edges", "fieldSelector=edge.resource.name=front,backend.name=web-v2")
    assert (question.split, question.edges, question.name) == (True, True, "web")


@pytest.mark.parametrize("path", ["namespaces/shop/deployments/web", "namespaces/shop/trafficmetrics", "namespaces/shop/edges"])
def test_other_resources_are_no_splits_and_have_no_backends(path: str):
    assert not ask(path).split
    with pytest.raises(BadQuery, match="not a known field selector"):
        ask(path.replace("/web", ""), "fieldSelector=backend.name=web-v2")


def test_an_edge_cannot_be_selected_where_there_is_none():
    with pytest.raises(BadQuery, match="not a known field selector"):
        ask("namespaces/shop/trafficsplits", "fieldSelector=edge.direction=from")


@pytest.mark.parametrize("kind", SPLIT_KINDS)
def test_rows_of_several_backends_cannot_be_told_by_the_one_name_that_trafficmetrics_give(kind: str):
    row = type_of_kind(kind)
    assert row is not None
    for query in (f"fieldSelector=resource.kind={kind}", f"fieldSelector=metadata.name={kind.lower()}.web"):
        with pytest.raises(BadQuery, match=f"get {row.plural}.metrics.smi-spec.io"):
            ask("namespaces/shop/trafficmetrics", query)
    with pytest.raises(BadQuery, match="one for each backend"):
        ask(f"namespaces/shop/trafficmetrics/{kind.lower()}.web")


@pytest.mark.parametrize("query", ["edgeKind=httproutes", "edgeKind=TrafficSplit", "fieldSelector=edge.resource.kind=GRPCRoute"])
def test_nobody_exchanges_traffic_with_what_divides_it(query: str):
    with pytest.raises(BadQuery, match="ask for services"):
        ask("namespaces/shop/deployments/web/edges", query)


def test_fields_of_a_backend_are_compared():
    assert (fields_of(ROW)["backend.name"], fields_of(ROW)["backend.apex"]) == ("web-v2", "web")
    assert "backend.name" not in fields_of(replace(ROW, backend=None))


@pytest.mark.parametrize("plural", PLURALS)
def test_they_can_be_read_and_not_watched(plural: str):
    served = locate(parse_request("GET", f"{ROOT}/namespaces/shop/{plural}/web", {}))
    assert (served.verbs, served.edges) == (("get", "list"), True)


@pytest.mark.parametrize("plural", PLURALS)
def test_one_of_them_is_described_as_the_list_it_is(plural: str):
    paths = document_v3("0.1.0", ["TrafficMetrics"])["paths"]
    one, watched = paths[f"{ROOT}/namespaces/{{namespace}}/{plural}/{{name}}"], paths[f"{ROOT}/namespaces/{{namespace}}/jobs"]
    schema = one["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema["$ref"].endswith(".TrafficMetricsList")
    assert "backends" in one["get"]["description"]
    listed = paths[f"{ROOT}/namespaces/{{namespace}}/{plural}"]
    assert "watch" in {parameter["name"] for parameter in watched["parameters"]}
    assert not {"watch"} & {parameter["name"] for path in (one, listed) for parameter in path["parameters"]}


def test_the_object_has_the_backend_where_the_specification_has_it():
    wire = ROW.wire()
    assert list(wire)[3:6] == ["resource", "edge", "backend"]
    assert wire["backend"] == {"apex": "web", "name": "web-v2", "weight": 10}
    assert wire["edge"] == {"direction": "from", "side": "client", "resource": {}}


def shown(row: TrafficMetrics, *, edges: bool = False) -> dict[str, Any]:
    """A Table of one row, as ``-o wide`` has it: the cells by the name of their column."""
    style = Style(transform=Transform("Table", "meta.k8s.io", "v1"), include="None", split=True, edges=edges)
    table = json.loads(b"".join(represent_list([row], {}, CANARY, style)))
    (line,) = table["rows"]
    return dict(zip([column["name"] for column in table["columnDefinitions"]], line["cells"], strict=True))


def test_a_table_has_the_backend_and_its_weight():
    assert list(shown(ROW).items()) == [
        *(("Name", "canary"), ("Backend", "web-v2"), ("Weight", "10")),
        *(("Success", "90.00%"), ("RPS", "2.0rps"), ("P50", "7ms"), ("P90", "8ms"), ("P99", "9ms")),
        *(("Apex", "web"), ("Failures", "6"), ("Window", "30s"), ("Side", "client"), ("Source", "mesh")),
    ]


def test_a_table_of_edges_has_the_peer_beside_it():
    row = replace(ROW, edge=Edge(side=Side.CLIENT, peer=ResourceRef("Deployment", "shop", "front")))
    cells = shown(row, edges=True)
    assert list(cells)[:6] == ["Name", "Backend", "Weight", "Direction", "Peer", "Success"]
    assert (cells["Backend"], cells["Direction"], cells["Peer"]) == ("web-v2", "from", "deployment/front")


def test_behind_a_gateway_there_is_no_apex():
    assert shown(replace(ROW, backend=SplitBackend("", "web-v2", 10)))["Apex"] == "-"
