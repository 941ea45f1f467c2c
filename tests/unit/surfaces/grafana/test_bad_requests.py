"""What is asked wrongly is a Status that says what to write; what is merely unknown to us is passed over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.unit.surfaces.grafana.town import BASE, grafana, post, query, rows


@pytest.fixture(scope="module")
async def town() -> AsyncIterator[TestClient[Any, Any]]:
    async with grafana() as session:
        yield session


def one(target: Any = "rps", /, form: str = "", **payload: Any) -> dict[str, Any]:
    more = {"format": form} if form else {}
    return query({"target": target, "payload": {**payload, **more}})


def filtered(key: str, operator: str, value: Any) -> dict[str, Any]:
    return query({"target": "rps"}, filters=[{"key": key, "operator": operator, "value": value}])


BAD = {
    "no targets": ({"range": {}}, 'targets are a list such as [{"refId": "A", "target": "requests_per_second"'),
    "targets that are none": ({"targets": ["rps"]}, "targets are a list such as"),
    "too many targets": (query(*[{"target": "rps"}] * 51), "there are 51 targets: 50 is the most"),
    "an unknown metric": (one("rqs"), 'query A: "rqs" is no metric: there are requests_per_second, success_rate'),
    "a metric and a table": (one("(rps|edges)"), "is no metric"),
    "a pattern of metrics": (one("p.*"), "is no metric"),
    "a range that is missing": ({"targets": [{"target": "rps"}]}, 'a time series needs a range: {"from": "2026'),
    "a range turned around": (query({"target": "rps"}, minutes=-5), "before it begins"),
    "a time that is none": (
        {**one(), "range": {"from": "yesterday", "to": "now"}},
        'range.from "yesterday" is not a time: write it as',
    ),
    "a time before there was any": ({**one(), "range": {"from": "-5", "to": "now"}}, "is not a time between 1970 and 9999"),
    "an interval that is none": ({**one(), "intervalMs": None, "interval": "soon"}, '"soon" is not an interval: write it as 30s'),
    "a number that is none": ({**one(), "maxDataPoints": "many"}, "maxDataPoints must be a number"),
    "a payload that is a list": (query({"target": "rps", "payload": ["shop"]}), "query A: the payload must be a JSON object"),
    "a payload that is no JSON": (query({"target": "rps", "payload": "{shop}"}), "query A: the payload is not JSON"),
    "a kind that is none": (one(kind="things"), 'kind: "things" is not a kind; known are workloads, Namespace'),
    "a pattern of kinds": (one(kind="dep.*"), "but no pattern"),
    "a name that is no text": (one(name={"a": 1}), 'query A: name is a name, several as "(web|api)"'),
    "a name with a broken pattern": (one(name="web(-v1"), 'query A: name: "web(-v1" is not a regular expression'),
    "a variable that is not there": (one(namespace="$namespace"), 'namespace is "$namespace": the dashboard has no variable'),
    "a name that is no name": (one(namespace="shop/web"), "is no name of Kubernetes"),
    "an unknown direction": (one(direction="up"), 'direction "up" is not known: write "to" for callees'),
    "a total of one peer": (one(peer="api"), "what was received in total has no peer: say the direction"),
    "edges without a direction": (one("edges", direction="total"), "edges is about edges"),
    "an unknown format": (one(form="pie"), 'format "pie" is not known: write timeseries, table or graph'),
    "a window that is none": (one(window="long"), '"long" is not a duration: write it as 30s'),
    "a window that is too long": (one(window="2d"), "out of bounds: 24h is the longest"),
    "a broken label selector": (one(labelSelector="a in"), "a in"),
    "edges of all namespaces": (one("edges", kind="namespaces"), "edges of namespaces are read one namespace after the other"),
    "nodes in a namespace": (one(kind="nodes", namespace="shop"), "nodes are in no namespace"),
    "edges of all nodes": (one("edges", kind="nodes"), "edges of nodes are those of one of them: say its name"),
    "edges of all splits": (
        one("edges", kind="trafficsplits", namespace="shop"),
        "edges of trafficsplits are those of one of them",
    ),
    "a graph of splits": (one("node_graph", kind="trafficsplits"), "draw services or workloads"),
    "names that are too long together": (one(name=["web"] * 33_334), "name is longer than 100000 characters"),
    "too many patterns": (one(name=[f"web{number}.*" for number in range(21)]), "name has 21 patterns: 20 is the most"),
    "two halves of a pattern": (one(name=["a(b", "c.*)"]), 'name: "a(b" is not a regular expression'),
    "a long legend": (one(legend="x" * 1_001), "legend is longer than 1000 characters"),
    "a long refId": ({"targets": [{"refId": "A" * 101, "target": "rps"}]}, "a refId is longer than 100 characters"),
    "too many filters": (
        query({"target": "rps"}, filters=[{"key": "name", "operator": "!=", "value": "web"}] * 51),
        "there are 51 filters: 50 is the most",
    ),
    "too many reads of several queries": (
        query(*[{"target": "rps", "payload": {"namespace": [f"n{at}-{each}" for each in range(100)]}} for at in range(6)]),
        "this is 600 reads: 500 is the most that are answered at once",
    ),
    "too many reads": (one(namespace=[f"n{number}" for number in range(101)]), "more than 100 reads: choose fewer namespaces"),
    "filters that are none": ({**one(), "filters": "web"}, 'filters are a list of {"key": "namespace"'),
    "an unknown filter": (
        filtered("colour", "=", "red"),
        'there is nothing called "colour" to filter by: known are namespace, kind',
    ),
    "names in an order": (filtered("name", "<", "web"), "names are compared with =, !=, =~ or !~, not with <"),
    "a number by a pattern": (filtered("success_rate", "=~", "1"), "a number is compared with =, !=, < or >, not with =~"),
    "a number with a word": (filtered("success_rate", "<", "all"), 'filter success_rate: "all" is not a number'),
    "a number with no number": (filtered("success_rate", "<", "nan"), '"nan" is not a number'),
    "a filter with a broken pattern": (filtered("name", "=~", "["), "filter name: "),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_wrong_query_is_told_what_to_write(town: TestClient[Any, Any], case: str):
    document, message = BAD[case]
    status = await post(town, "query", document, code=400)
    assert (status["kind"], status["reason"]) == ("Status", "BadRequest")
    assert message in status["message"]


@pytest.mark.parametrize(
    ("verb", "document", "message"),
    [
        ("variable", {"payload": {"target": "everything"}}, '"everything" is no variable: write namespaces, workloads, kinds'),
        ("variable", {}, '"" is no variable'),
        ("tag-values", {"key": "colour"}, 'there is nothing called "colour" to filter by'),
        ("metric-payload-options", {"name": "colour"}, 'there is nothing to choose from for "colour"'),
        ("annotations", {"annotation": {"query": "rps?namespace=shop"}}, "an annotation has a range and a bound"),
        (
            "annotations",
            {"annotation": {"query": "rps?above=much"}, "range": {"from": "now-1h", "to": "now"}},
            'above is "much": write a number',
        ),
        (
            "annotations",
            {"annotation": {"query": "rps?above=1", "notes": "x" * 5_000}, "range": {"from": "now-1h", "to": "now"}},
            "an annotation is described in more than 4096 bytes",
        ),
        (
            "annotations",
            {"annotation": {"query": "golden_metrics?above=1"}, "range": {"from": "now-1h", "to": "now"}},
            "an annotation is about one metric",
        ),
    ],
)
async def test_other_requests_are_told_what_to_write(town: TestClient[Any, Any], verb: str, document: Any, message: str):
    assert message in (await post(town, verb, document, code=400))["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "the body is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"\xff", "not JSON"),
    ],
    ids=["half of it", "a list", "deep", "no text"],
)
async def test_a_body_that_is_no_object_is_refused(town: TestClient[Any, Any], body: bytes, message: str):
    async with town.post(f"{BASE}/grafana/query", data=body) as response:
        assert response.status == 400
        assert message in (await response.json())["message"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "grafana", 405),
        ("GET", "grafana/query", 405),
        ("DELETE", "grafana/query", 405),
        ("POST", "grafana/graph", 405),
        ("POST", "grafana/api/health", 405),
        ("GET", "grafana/api/graph", 404),
        ("POST", "grafana/queries", 404),
        ("POST", "grafana/query/more", 404),
        ("GET", "proxy/grafana", 404),
    ],
)
async def test_other_methods_and_paths_lead_nowhere(town: TestClient[Any, Any], method: str, path: str, code: int):
    async with town.request(method, f"{BASE}/{path}") as response:
        assert response.status == code
        status = await response.json()
        assert (status["kind"], status["code"]) == ("Status", code)
        assert ("Allow" in response.headers) is (code == 405)


async def test_an_annotation_without_a_text_marks_nothing(town: TestClient[Any, Any]):
    assert (
        await post(town, "annotations", {"annotation": {"name": "new", "query": ""}, "range": {"from": "now-1h", "to": "now"}})
        == []
    )


@pytest.mark.parametrize(
    "more",
    [
        {"scopedVars": {"__from": {"value": "x"}}, "unknown": [1], "startTime": None, "panelId": "p-1"},
        {"filters": [{"key": "", "operator": "", "value": ""}, {"key": "name", "operator": "="}]},
        {"filters": None, "adhocFilters": None, "rangeRaw": "now-1h"},
        {
            "targets": [
                {"refId": "A", "target": "golden_metrics", "payload": None},
                {"refId": "B"},
                {"refId": "C", "target": "x", "hide": 1},
            ]
        },
        {"targets": [{"refId": "A", "target": "golden_metrics", "payload": '{"kind": "workloads"}', "queryType": "x", "limit": 5}]},
    ],
    ids=["unknown fields", "filters not filled in", "nothing", "hidden targets", "payload as text"],
)
async def test_what_is_not_ours_is_passed_over(town: TestClient[Any, Any], more: dict[str, Any]):
    (frame,) = await post(town, "query", {**query({"target": "golden_metrics"}), **more})
    assert len(rows(frame, "name")) == 4


async def test_nothing_asked_is_nothing_answered(town: TestClient[Any, Any]):
    assert await post(town, "query", query()) == []


async def test_a_large_answer_is_compressed_for_who_accepts_it(town: TestClient[Any, Any]):
    body = query(
        *[{"target": "(rps|p50|p90|p99|success_rate|failure_ratio)"}] * 1, minutes=10_000, intervalMs=1_000, maxDataPoints=1_000
    )
    async with town.post(f"{BASE}/grafana/query", json=body) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert len(await response.json()) == 24
    async with town.post(f"{BASE}/grafana/query", json=body, headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert len(await response.json()) == 24
