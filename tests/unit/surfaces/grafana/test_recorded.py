"""The requests of real data sources, as each of their generations sent them, and what they are answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.unit.surfaces.grafana.town import BASE, NOW, REQUESTS, columns, grafana, post, rate, recorded, rows

METRICS = [
    "requests_per_second",
    "success_rate",
    "failure_ratio",
    "p50_response_latency",
    "p90_response_latency",
    "p99_response_latency",
    "success_count",
    "failure_count",
]


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[TestClient[Any, Any]]:
    async with grafana() as session:
        yield session


@pytest.mark.parametrize("scope", ["", "namespaces/shop/"], ids=["all", "namespace"])
@pytest.mark.parametrize("path", ["grafana", "grafana/", "grafana/api/health"])
async def test_save_and_test_gets_exactly_200(town: TestClient[Any, Any], scope: str, path: str):
    async with town.get(f"{BASE}/{scope}{path}") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert await response.json() == {"status": "ok"}


async def test_a_panel_of_today_gets_frames_with_labels_and_units(town: TestClient[Any, Any]):
    frames = await post(town, "query", recorded("query-0.6"))
    assert [(frame["refId"], frame["name"]) for frame in frames] == [("A", "api"), ("A", "web")]
    time, value = frames[1]["fields"]
    assert (time["type"], value["type"], value["name"]) == ("time", "number", "requests_per_second")
    assert value["labels"] == {"namespace": "shop", "kind": "Deployment", "name": "web"}
    assert value["config"] == {"unit": "reqps", "displayNameFromDS": "web"}
    assert frames[1]["meta"] == {"type": "timeseries-multi"}
    instants = [milliseconds // 1_000 for milliseconds in time["values"]]
    assert instants == list(range(NOW - 3_580, NOW, 30))
    assert value["values"] == pytest.approx([rate(20, instant) for instant in instants])


async def test_a_panel_of_the_query_builder_gets_a_table(town: TestClient[Any, Any]):
    (frame,) = await post(town, "query", recorded("query-builder-0.6"))
    assert list(columns(frame)) == ["namespace", "kind", "name", *METRICS]
    assert rows(frame, "namespace", "name", "requests_per_second", "success_count") == [
        ("data", "web.v2", pytest.approx(rate(1, NOW)), pytest.approx(rate(1, NOW) * 60)),
        ("shop", "web", pytest.approx(rate(20, NOW)), pytest.approx(rate(20, NOW) * 60)),
    ]
    units = {field["name"]: field["config"].get("unit") for field in frame["fields"]}
    assert (units["success_rate"], units["p99_response_latency"], units["name"]) == ("percentunit", "s", None)


async def test_a_panel_of_before_data_frames_gets_data_points_and_a_table(town: TestClient[Any, Any]):
    series, table = await post(town, "query", recorded("query-0.2"))
    assert (series["target"], series["refId"], series["unit"]) == ("web", "A", "reqps")
    assert series["datapoints"][-1] == [pytest.approx(rate(20, NOW - 40)), (NOW - 40) * 1_000]
    assert table == {
        "type": "table",
        "refId": "B",
        "columns": [{"text": text, "type": "string"} for text in ("namespace", "kind", "name")]
        + [{"text": "requests_per_second", "type": "number"}],
        "rows": [["shop", "Deployment", "web", pytest.approx(rate(20, NOW))]],
    }


async def test_a_panel_of_a_generation_ago_gets_data_points(town: TestClient[Any, Any]):
    found = await post(town, "query", recorded("query-0.5"))
    assert [(series["target"], series["datapoints"][0][0], series["unit"]) for series in found] == [
        ("api", 0.1, "s"),
        ("web", 0.2, "s"),
    ]


@pytest.mark.parametrize("request_", ["metrics-code", "metrics-builder"])
async def test_the_metrics_come_with_the_fields_of_the_builder(town: TestClient[Any, Any], request_: str):
    metrics = await post(town, "metrics", recorded(request_))
    assert [metric["value"] for metric in metrics] == [*METRICS, "golden_metrics", "edges", "node_graph"]
    fields = {payload["name"]: payload for payload in metrics[0]["payloads"]}
    assert list(fields) == ["namespace", "kind", "name", "direction", "peer", "window", "format", "legend"]
    assert {payload["type"] for payload in fields.values()} == {"select", "multi-select", "input"}
    assert [option["value"] for option in fields["direction"]["options"]] == ["both", "to", "from"]
    assert "options" not in fields["namespace"]


async def test_the_fields_of_the_builder_offer_what_there_is(town: TestClient[Any, Any]):
    found = await post(town, "metric-payload-options", recorded("metric-payload-options"))
    assert found == [{"label": "api", "value": "api"}, {"label": "web", "value": "web"}]


@pytest.mark.parametrize(
    ("request_", "values"),
    [("variable-text", ["api", "db", "web", "web.v2"]), ("variable-json", ["api", "pay.example.com"])],
)
async def test_variables_are_texts_and_values(town: TestClient[Any, Any], request_: str, values: list[str]):
    assert await post(town, "variable", recorded(request_)) == [{"__text": value, "__value": value} for value in values]


@pytest.mark.parametrize("body", [None, "tag-keys"], ids=["empty body", "filters"])
async def test_the_keys_of_filters_are_told_with_their_types(town: TestClient[Any, Any], body: str | None):
    keys = await post(town, "tag-keys", recorded(body) if body else None)
    words = ("namespace", "kind", "name", "peer", "peer_kind", "peer_namespace", "direction", "cluster")
    assert keys == [
        *({"type": "string", "text": word} for word in words),
        *({"type": "number", "text": metric} for metric in METRICS),
    ]


async def test_the_values_of_a_filter_are_those_there_are(town: TestClient[Any, Any]):
    assert await post(town, "tag-values", recorded("tag-values")) == [{"text": "data"}, {"text": "shop"}]


async def test_an_older_search_finds_metrics_and_variables(town: TestClient[Any, Any]):
    metric = {"text": "requests_per_second", "value": "requests_per_second"}
    assert await post(town, "search", recorded("search-0.5")) == [metric]
    assert await post(town, "search", recorded("search-0.2")) == [{"text": text, "value": text} for text in ("data", "shop")]
    assert len(await post(town, "search", {"target": ""})) == len(METRICS) + 3


async def test_an_older_annotation_marks_the_time_above_its_bound(town: TestClient[Any, Any]):
    asked = recorded("annotations")
    (mark,) = await post(town, "annotations", asked)
    assert mark["annotation"] == asked["annotation"]
    # 1020 requests a second now, ten fewer a minute ago: more than 1000 since less than two minutes.
    assert (mark["time"], mark["timeEnd"]) == ((NOW - 100) * 1_000, (NOW - 10) * 1_000)
    assert (mark["title"], mark["isRegion"]) == ("Requests per second: web", True)
    assert mark["text"] == "requests_per_second up to 1018.33"
    assert mark["tags"] == ["requests_per_second", "shop", "Deployment", "web"]


def test_every_recorded_request_is_tested():
    written = (REQUESTS.parent / "test_recorded.py").read_text(encoding="utf-8")
    assert [path.stem for path in REQUESTS.glob("*.json") if f'"{path.stem}"' not in written] == []
