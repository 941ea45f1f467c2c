"""Grafana's own Prometheus data source, pointed at the facade: its variables, its query editor, and its errors."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.grafana.dashboards import run_of
from tests.grafana.rig import Grafana, Refused, Run
from tests.grafana.shop import Shop

pytestmark = pytest.mark.real

UID = "trafficmetrics"
METRICS = [
    "trafficmetrics_failure_ratio",
    "trafficmetrics_incomplete",
    "trafficmetrics_requests_per_second",
    "trafficmetrics_response_latency_seconds",
    "trafficmetrics_success_ratio",
    "trafficmetrics_window_requests",
]
WEB = 'trafficmetrics_requests_per_second{namespace="shop",name="web"}'


@pytest.fixture(params=["POST", "GET"])
def run(request: pytest.FixtureRequest, shop: Shop) -> Run:
    """A dashboard with the data source set to either way of asking."""
    opened = run_of("namespace", shop, namespace="shop")
    source = dict(opened.sources[UID])
    return replace(opened, sources={UID: {**source, "jsonData": {**source["jsonData"], "httpMethod": request.param}}})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("label_values(namespace)", ["data", "shop"], id="the values of a label"),
        pytest.param('label_values(trafficmetrics_success_ratio{name=~"c.*|web"}, name)', ["cart", "web"], id="by selector"),
        pytest.param("label_values(__name__)", METRICS, id="the names of metrics"),
        pytest.param("metrics(latency|ratio)", [METRICS[0], METRICS[3], METRICS[4]], id="metrics that match"),
    ],
)
async def test_variables_by_their_values(grafana: Grafana, run: Run, query: str, found: list[str]) -> None:
    assert sorted((await grafana.variable(query, UID, run))[0]) == found


async def test_variables_by_the_names_of_labels(grafana: Grafana, run: Run) -> None:
    assert {"namespace", "kind", "name", "percentile", "__name__"} <= set((await grafana.variable("label_names()", UID, run))[0])
    named = (await grafana.variable("label_names(success_ratio)", UID, run))[0]
    assert {"namespace", "kind", "name"} <= set(named)
    assert "percentile" not in named


async def test_variables_by_the_result_of_a_query(grafana: Grafana, run: Run) -> None:
    ((text,), _) = await grafana.variable(f"query_result({WEB})", UID, run)
    series, value, _ = text.rsplit(" ", 2)
    assert series == 'trafficmetrics_requests_per_second{namespace="shop",kind="Deployment",name="web"}'
    assert value == "40"


async def test_variables_by_series(grafana: Grafana, run: Run) -> None:
    found, _ = await grafana.variable('trafficmetrics_success_ratio{namespace="shop",name="web"}', UID, run)
    assert found == ['trafficmetrics_success_ratio{namespace="shop",kind="Deployment",name="web"}']


async def test_what_the_query_editor_knows(grafana: Grafana, run: Run) -> None:
    known = await grafana.editor(UID, WEB, "name", run)
    assert sorted(known["metrics"]) == METRICS
    assert known["metadata"]["trafficmetrics_success_ratio"]["type"] == "gauge"
    assert known["metadata"]["trafficmetrics_success_ratio"]["help"]
    assert {"namespace", "kind", "name"} <= set(known["labels"])
    assert known["series"] == [
        {"__name__": "trafficmetrics_requests_per_second", "namespace": "shop", "kind": "Deployment", "name": "web"}
    ]
    assert {"namespace", "kind", "name"} <= set(known["labelsOfSeries"])
    assert known["values"] == ["web"]
    assert {"namespace", "kind", "name"} <= {each["value"] for each in known["tagKeys"]}
    assert {"web", "cart", "db"} <= {each["value"] for each in known["tagValues"]}
    method = run.sources[UID]["jsonData"]["httpMethod"]
    asked = {(each["method"], each["path"]) for each in known["requests"]}
    assert {(method, "api/v1/labels"), (method, "api/v1/series"), ("GET", "api/v1/metadata")} <= asked
    assert not [each for each in asked if each[0] not in ("GET", method)]


async def query(grafana: Grafana, run: Run, expression: str, **more: Any) -> list[dict[str, Any]]:
    """The frames of one query."""
    target = {"refId": "A", "expr": expression, "range": True, "instant": False, **more}
    return await grafana.query(UID, [target], run)


async def test_the_health_check_is_passed(grafana: Grafana, run: Run) -> None:
    checked = replace(run, first=1, last=4)
    (frame,) = await query(grafana, checked, "1+1", instant=True, range=False, refId="__healthcheck__")
    assert [field["values"] for field in frame["fields"]] == [[4000], [2]]


async def test_a_series_has_a_point_for_every_step(grafana: Grafana, run: Run) -> None:
    (frame,) = await query(grafana, run, WEB, legendFormat="{{name}} of {{ namespace }}")
    time, value = frame["fields"]
    steps = {later - earlier for earlier, later in zip(time["values"], time["values"][1:], strict=False)}
    assert len(steps) == 1
    assert all(instant % steps.copy().pop() == 0 for instant in time["values"])
    assert set(value["values"]) == {40}
    assert value["config"]["displayNameFromDS"] == "web of shop"


async def test_what_is_not_there_is_an_empty_frame(grafana: Grafana, run: Run) -> None:
    (frame,) = await query(grafana, run, 'trafficmetrics_success_ratio{namespace="nowhere"}')
    assert frame["length"] == 0


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        pytest.param(f"sum({WEB})", r"sum\(\) is not evaluated here", id="a function"),
        pytest.param(f"rate({WEB}[5m])", "not evaluated here", id="a rate"),
        pytest.param("trafficmetrics_success_ratio{", "parse error|unexpected|expected", id="no query"),
    ],
)
async def test_what_is_not_evaluated_is_told_on_the_panel(grafana: Grafana, run: Run, expression: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        await query(grafana, run, expression)
