"""A past instant and measures beyond the five, asked of the whole application."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from apiservice.paging import Pager
from tests.apiservice.asking import BASE, SHOP, client, status_of
from tests.apiservice.memory import INSTANT

THEN = "2021-11-21T20:00:02Z"
VERSION = 1_637_524_802
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
FIVE = ["p99_response_latency", "p90_response_latency", "p50_response_latency", "success_count", "failure_count"]


@pytest.fixture(scope="module")
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    async with client() as session:
        yield session


async def document(response: ClientResponse) -> dict[str, Any]:
    assert response.status == 200, await response.text()
    found: dict[str, Any] = await response.json()
    return found


PATHS = [
    pytest.param(f"{SHOP}/deployments/web", id="get"),
    pytest.param(f"{SHOP}/deployments", id="list"),
    pytest.param(f"{BASE}/deployments", id="list of all namespaces"),
    pytest.param(f"{SHOP}/deployments/api/edges", id="edges"),
    pytest.param(f"{SHOP}/edges", id="edges of a namespace"),
    pytest.param(f"{SHOP}/trafficmetrics/deployment.web", id="get of traffic"),
    pytest.param(f"{SHOP}/trafficmetrics", id="list of traffic"),
    pytest.param(f"{SHOP}/trafficmetrics/deployment.web.to.deployment.api", id="an edge of traffic"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "query", [f"time={THEN}", f"fieldSelector=time={THEN}", "time=2021-11-21T21:00:02.75%2B01:00", "time=2021-11-21T21:00:02+01:00"]
)
async def test_the_whole_answer_is_of_the_time_asked_about(shop: TestClient[Any, Any], path: str, query: str) -> None:
    answer = await document(await shop.get(f"{path}?{query}"))
    assert answer["metadata"]["resourceVersion"] == str(VERSION)
    for item in answer.get("items", [answer]):
        assert (item["timestamp"], item["metadata"]["resourceVersion"]) == (THEN, str(VERSION))


@pytest.mark.parametrize("path", PATHS)
async def test_measures_come_after_the_five_of_every_row(shop: TestClient[Any, Any], path: str) -> None:
    plain = await document(await shop.get(path))
    answer = await document(await shop.get(f"{path}?percentiles=50,99.90,95&stats=mean"))
    for item in plain.get("items", [plain]):
        assert [metric["name"] for metric in item["metrics"]] == FIVE
    for item in answer.get("items", [answer]):
        extra = {"unit": "seconds", "value": "1m"}
        assert [metric["name"] for metric in item["metrics"][:5]] == FIVE
        assert item["metrics"][5:] == [{"name": f"{word}_response_latency", **extra} for word in ("p99.9", "p95", "mean")]


async def test_every_form_has_the_measures_but_a_table_has_its_columns(shop: TestClient[Any, Any]) -> None:
    path = f"{SHOP}/deployments?percentiles=95"
    as_yaml = yaml.safe_load(await (await shop.get(path, headers={"Accept": "application/yaml"})).text())
    assert as_yaml["items"][0]["metrics"][5] == {"name": "p95_response_latency", "unit": "seconds", "value": "1m"}
    table = await document(await shop.get(f"{path}&includeObject=Object", headers={"Accept": TABLE}))
    plain = await document(await shop.get(f"{SHOP}/deployments", headers={"Accept": TABLE}))
    assert table["columnDefinitions"] == plain["columnDefinitions"]
    assert [row["cells"] for row in table["rows"]] == [row["cells"] for row in plain["rows"]]
    assert table["rows"][0]["object"]["metrics"][5]["name"] == "p95_response_latency"


async def test_a_watch_tells_the_measures_too(shop: TestClient[Any, Any]) -> None:
    reply = await shop.get(f"{SHOP}/deployments?watch=true&timeoutSeconds=1&percentiles=95&stats=stddev")
    events = [json.loads(line) for line in (await reply.text()).splitlines()]
    assert [event["type"] for event in events] == ["ADDED"] * 3
    for event in events:
        assert [metric["name"] for metric in event["object"]["metrics"][5:]] == ["p95_response_latency", "stddev_response_latency"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        pytest.param("percentiles=95,p99", "above 0 and below 100 with at most three decimals", id="no percentile"),
        pytest.param("percentiles=" + ",".join(map(str, range(1, 22))), "at most 20", id="too many percentiles"),
        pytest.param("stats=mode", "a list of mean, stddev", id="no statistic"),
        pytest.param("time=yesterday", "write it as 2026-11-21T22:25:55Z", id="no time"),
        pytest.param("time=2999-01-01T00:00:00Z", "is in the future: at this server it is 2", id="the future"),
        pytest.param("time=1969-12-31T23:59:59Z", "before 1970", id="before time"),
        pytest.param(f"time={THEN}&fieldSelector=time=2021-11-21T20:00:03Z", "different times are asked for", id="two times"),
        pytest.param(f"time={THEN}&resourceVersion={VERSION + 1}", "leave one of them out", id="a newer version"),
        pytest.param(
            f"time={THEN}&resourceVersion=5&resourceVersionMatch=Exact", "leave one of them out", id="exactly another one"
        ),
    ],
)
@pytest.mark.parametrize("path", [f"{SHOP}/deployments", f"{SHOP}/trafficmetrics"])
async def test_what_cannot_be_meant_is_refused_with_what_can(shop: TestClient[Any, Any], path: str, query: str, told: str) -> None:
    response = await shop.get(f"{path}?{query}")
    status = await status_of(response)
    assert (response.status, status["reason"]) == (400, "BadRequest")
    assert told in status["message"]


@pytest.mark.parametrize(
    "version", [f"resourceVersion={VERSION}&resourceVersionMatch=Exact", "resourceVersion=0", "resourceVersion=5"]
)
async def test_a_version_the_time_satisfies_changes_nothing(shop: TestClient[Any, Any], version: str) -> None:
    answer = await document(await shop.get(f"{SHOP}/deployments?time={THEN}&{version}"))
    assert answer["metadata"]["resourceVersion"] == str(VERSION)


@pytest.mark.parametrize("query", [f"time={THEN}", f"fieldSelector=time={THEN}"])
async def test_the_past_cannot_be_watched(shop: TestClient[Any, Any], query: str) -> None:
    response = await shop.get(f"{SHOP}/trafficmetrics?watch=true&{query}")
    status = await status_of(response)
    assert (response.status, status["message"]) == (
        400,
        "a watch tells what happens from now on, and time asks about the past: leave one of them out",
    )


async def test_pages_are_of_the_time_asked_about_long_after_and_at_every_replica() -> None:
    names, token = [], ""
    for _ in range(3):
        # Each page at another replica, which has the key and none of the rows.
        async with client(pager=Pager(secret=lambda: b"a key all replicas have")) as session:
            answer = await document(await session.get(f"{SHOP}/deployments?time={THEN}&limit=1&continue={token}"))
        names += [item["metadata"]["name"] for item in answer["items"]]
        assert {item["timestamp"] for item in answer["items"]} == {THEN}
        token = answer["metadata"].get("continue", "")
    assert (names, token) == (["api", "cart", "web"], "")


@pytest.mark.parametrize("query", ["", "time=2021-11-21T20:00:03Z", f"time={THEN}&percentiles=95"], ids=["now", "then", "more"])
async def test_a_token_is_good_for_the_time_it_was_given_for_alone(query: str) -> None:
    async with client() as session:
        token = (await document(await session.get(f"{SHOP}/deployments?time={THEN}&limit=1")))["metadata"]["continue"]
        response = await session.get(f"{SHOP}/deployments?{query}&limit=1&continue={quote(token)}")
        assert (response.status, (await status_of(response))["message"]) == (400, "continue key is not valid")


async def test_the_past_and_the_present_are_told_apart(shop: TestClient[Any, Any]) -> None:
    """Bodies are kept for those who ask the same, and this is not the same."""
    for query, version in (("", INSTANT), (f"?time={THEN}", VERSION), ("", INSTANT), ("?time=2021-11-21T20:00:03Z", VERSION + 1)):
        answer = await document(await shop.get(f"{SHOP}/deployments{query}"))
        assert answer["metadata"]["resourceVersion"] == str(version)
