"""From a request to a question."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, unquote

import pytest
from multidict import MultiDict

from apiservice.question import Question, parse_question
from apiservice.requestinfo import parse_request
from metrics_api import ANY_WORKLOAD, WORKLOAD_KINDS, BadQuery, Direction, NotFound, ResourceRef, Side, Window

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
NOW = 1_795_300_000.5  # 2026-11-21T22:26:40Z
THEN = 1_795_299_955  # 2026-11-21T22:25:55Z


def ask(path: str, query: str = "") -> Question:
    parameters = MultiDict(parse_qsl(query, keep_blank_values=True))
    request = parse_request("GET", f"{ROOT}/{unquote(path)}", parameters)
    return parse_question(request, parameters, Window(30), clock=lambda: NOW)


@pytest.mark.parametrize(
    ("path", "kind", "namespace", "name", "edges", "single"),
    [
        pytest.param("deployments", "Deployment", "", "", False, False, id="all namespaces"),
        pytest.param("namespaces/shop/deployments", "Deployment", "shop", "", False, False, id="one namespace"),
        pytest.param("namespaces/shop/deployments/", "Deployment", "shop", "", False, False, id="trailing slash"),
        pytest.param("namespaces/shop/deployments/web", "Deployment", "shop", "web", False, True, id="one object"),
        pytest.param("namespaces/shop/pods/web-1/edges", "Pod", "shop", "web-1", True, False, id="edges of one object"),
        pytest.param("namespaces", "Namespace", "", "", False, False, id="namespaces"),
        pytest.param("namespaces/shop", "Namespace", "", "shop", False, True, id="one namespace itself"),
        pytest.param("namespaces/shop/edges", "Namespace", "", "shop", True, False, id="edges of a namespace"),
        pytest.param("nodes/n1", "Node", "", "n1", False, True, id="one node"),
        pytest.param("nodes/n1/edges", "Node", "", "n1", True, False, id="edges of a node"),
    ],
)
def test_a_path_says_what_is_asked(path: str, kind: str, namespace: str, name: str, edges: bool, single: bool) -> None:  # noqa: FBT001
    question = ask(path)
    assert (question.kinds, question.namespace, question.name) == ((kind,), namespace, name)
    assert (question.edges, question.single) == (edges, single)


@pytest.mark.parametrize("name", ["web", "web-1.web", "deployment."])
def test_a_row_name_no_row_can_have_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        ask(f"namespaces/shop/trafficmetrics/{name}")


def test_a_list_of_one_name_is_still_a_list() -> None:
    question = ask("namespaces/shop/deployments", "fieldSelector=metadata.name=web")
    assert not question.single
    assert question.query(0).name == "web"
    assert ask("namespaces/shop/edges", "fieldSelector=metadata.name=shop").edges


def test_trafficmetrics_lists_workloads_by_default() -> None:
    question = ask("namespaces/shop/trafficmetrics")
    assert question.kinds == (*WORKLOAD_KINDS, ANY_WORKLOAD)
    assert not question.edges
    assert question.qualified


def test_a_row_name_says_kind_and_name() -> None:
    question = ask("namespaces/shop/trafficmetrics/deployment.web.v2")
    assert question.kinds == ("Deployment",)
    assert question.single
    assert question.query(0).name == "web.v2"


def test_a_row_name_of_an_edge_asks_for_edges() -> None:
    question = ask("namespaces/shop/trafficmetrics/deployment.web.to.deployment.api")
    assert question.edges
    assert question.kinds == ("Deployment",)
    assert question.query(0).name == ""


@pytest.mark.parametrize(
    ("selector", "edges", "direction"),
    [
        pytest.param("edge.direction=to", True, Direction.TO, id="callees"),
        pytest.param("edge.direction=from", True, Direction.FROM, id="callers"),
        pytest.param("edge.side=client", True, None, id="a side"),
        pytest.param("edge.resource.name=api", True, None, id="a peer"),
        pytest.param("edge.resource.name=", False, None, id="all traffic together is the total"),
        pytest.param("edge.direction=from,edge.resource.kind=", False, None, id="the total, spelt out"),
        pytest.param("resource.kind=Pod", False, None, id="no word about edges"),
    ],
)
def test_an_edge_selector_turns_trafficmetrics_into_edges(selector: str, edges: bool, direction: Direction | None) -> None:  # noqa: FBT001
    question = ask("namespaces/shop/trafficmetrics", f"fieldSelector={selector}")
    assert question.edges is edges
    assert question.query(0).direction is direction


def test_selectors_narrow_what_sources_read() -> None:
    query = ask(
        "trafficmetrics",
        "fieldSelector=resource.kind=deployments,resource.name=web,metadata.namespace=shop,edge.side=client,"
        "edge.resource.name=api,edge.resource.namespace=back,window=5m",
    ).query(90)
    assert query.kinds == ("Deployment",)
    assert (query.namespace, query.name, query.side) == ("shop", "web", Side.CLIENT)
    assert query.peer == ResourceRef("", "back", "api")
    assert (query.window, query.instant) == (Window(300), 90)


def test_a_kind_of_peer_that_is_selected_is_the_level_wanted() -> None:
    assert ask("trafficmetrics", "fieldSelector=edge.resource.kind=service").peer_kind == "Service"
    assert ask("namespaces/shop/deployments/web/edges", "edgeKind=pods").peer_kind == "Pod"
    assert ask("namespaces/shop/edges", "edgeKind=workloads").peer_kind == ANY_WORKLOAD
    assert ask("namespaces/shop/deployments/web/edges").peer_kind == ""


def test_a_kind_of_workload_is_a_choice_among_the_workloads():
    question = ask("namespaces/shop/deployments/web/edges", "edgeKind=statefulsets")
    assert question.peer_kind == ANY_WORKLOAD
    assert question.fields.required("edge.resource.kind") == "StatefulSet"


@pytest.mark.parametrize(
    ("name", "level"), [("deployment.web.from.pod.api-1", "Pod"), ("deployment.web.to.deployment.api", ""), ("pod.a.to.x.com", "")]
)
def test_the_name_of_an_edge_says_the_level_of_its_peer(name: str, level: str) -> None:
    assert ask(f"namespaces/shop/trafficmetrics/{name}").peer_kind == level
    assert ask("trafficmetrics", f"fieldSelector=metadata.name={name}").peer_kind == level


@pytest.mark.parametrize("kind", ["Namespace", "Node"])
def test_what_is_in_no_namespace_is_not_read_through_one(kind: str) -> None:
    for path, query in (
        ("namespaces/shop/trafficmetrics", f"fieldSelector=resource.kind={kind}"),
        (f"namespaces/shop/trafficmetrics/{kind.lower()}.other", ""),
        (f"namespaces/shop/trafficmetrics/{kind.lower()}.other.from.{kind.lower()}.shop", ""),
        ("namespaces/shop/trafficmetrics", f"fieldSelector=metadata.name={kind.lower()}.other"),
    ):
        with pytest.raises(BadQuery, match="are in namespaces"):
            ask(path, query)


@pytest.mark.parametrize("parameter", ["window=2m", "t=2m", "fieldSelector=window=2m", "window=120s&t=2m0s"])
def test_a_window_is_chosen_by_any_of_its_names(parameter: str) -> None:
    assert ask("deployments", parameter).window == Window(120)


@pytest.mark.parametrize(
    "query",
    [
        "window=1d",
        "window=0",
        "window=-1m",
        "window=1.5s",
        "window=25h",
        "window=",
        "t=banana",
        "window=1m&t=2m",
        "window=1m&window=2m",
        "time=",
        "time=yesterday",
        "time=2026-11-21T22:26:41Z",
        "time=2026-11-21T22:25:55Z&time=2026-11-21T22:25:56Z",
        "time=2026-11-21T22:25:55Z&fieldSelector=time=2026-11-21T22:25:56Z",
        "fieldSelector=time!=2026-11-21T22:25:55Z",
        "percentiles=",
        "percentiles=95,",
        "percentiles=100",
        "percentiles=95&percentiles=all",
        "stats=median",
        "fieldSelector=percentiles=95",
        "fieldSelector=window=1m,window=2m",
        "fieldSelector=window!=1m",
        "labelSelector=a in (",
        "fieldSelector=spec.x=1",
        "fieldSelector=metadata.name",
        "fieldSelector=edge.direction=to",
        "edgeKind=gizmos",
        "includeIdle=perhaps",
    ],
)
def test_a_bad_parameter_is_an_error_and_never_a_default(query: str) -> None:
    with pytest.raises(BadQuery):
        ask("namespaces/shop/deployments", query)


EVERYWHERE = [
    "deployments",
    "namespaces/shop/deployments/web",
    "namespaces/shop/deployments/web/edges",
    "namespaces/shop/edges",
    "trafficmetrics",
    "namespaces/shop/trafficmetrics/deployment.web",
]


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize(
    "parameter",
    [
        "time=2026-11-21T22:25:55Z",
        "time=2026-11-21T23:25:55.9%2B01:00",
        "time=2026-11-21T23:25:55+01:00",
        "fieldSelector=time=2026-11-21T22:25:55Z",
        "time=2026-11-21T22:25:55Z&fieldSelector=time==2026-11-21T23:25:55%2B01:00",
    ],
)
def test_a_past_instant_is_asked_for_by_any_of_its_names_and_spellings(path: str, parameter: str) -> None:
    question = ask(path, parameter)
    assert question.instant == THEN
    # What chooses the time says nothing about the rows.
    assert question.fields.required("time") is None
    assert ask(path).instant is None


def test_a_question_about_the_past_says_so() -> None:
    assert str(ask("deployments", "time=2026-11-21T22:25:55Z")) == "deployments in all namespaces at 2026-11-21T22:25:55Z"


@pytest.mark.parametrize("path", EVERYWHERE)
def test_measures_are_percentiles_and_then_statistics(path: str) -> None:
    question = ask(path, "stats=stddev&percentiles=99.9,50,95&stats=mean")
    assert [measure.word for measure in question.measures] == ["p99.9", "p95", "stddev", "mean"]
    assert ask(path).measures == ()


def test_the_sources_are_asked_one_question_whatever_percentiles_are_wanted() -> None:
    plain = ask("deployments").query(90)
    assert ask("deployments", "percentiles=95").query(90) == ask("deployments", "percentiles=75&stats=stddev").query(90) == plain
    assert ask("deployments", "stats=mean").query(90) == replace(plain, sums=True)


@pytest.mark.parametrize(
    "selector", ["edge.direction=sideways", "edge.side=middle", "resource.kind=gizmo", "resource.kind=Workload"]
)
def test_a_value_no_row_can_have_is_an_error(selector: str) -> None:
    with pytest.raises(BadQuery):
        ask("trafficmetrics", f"fieldSelector={selector}")


def test_a_selector_that_contradicts_the_name_is_an_error() -> None:
    with pytest.raises(BadQuery, match="doesn't match requested name"):
        ask("namespaces/shop/deployments/web", "fieldSelector=metadata.name=api")


def test_unknown_field_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadQuery, match=r'"spec\.x" is not a known field selector: only "metadata\.name", "metadata\.namespace"'):
        ask("deployments", "fieldSelector=spec.x=1")
