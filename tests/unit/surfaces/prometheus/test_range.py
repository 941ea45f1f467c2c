"""Queries over time."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from apiservice.surfaces.prometheus import evaluation
from metrics_api.errors import BackendForgot, BackendUnavailable, NotFound
from tests.apiservice.memory import INSTANT
from tests.unit.surfaces.prometheus.shop import BASE, Shop, client, data, failure, points

RANGE = f"{BASE}/api/v1/query_range"
START = INSTANT - 60
SUCCESSES = 'trafficmetrics_window_requests{namespace="shop",outcome="success",cluster=""}'


async def ask(shop: TestClient[Any, Any], query: str, start: float = START, end: float = INSTANT, step: str = "15") -> Any:
    return await data(await shop.post(RANGE, data={"query": query, "start": str(start), "end": str(end), "step": step}))


async def test_points_are_at_the_start_and_whole_steps_after_it(shop: TestClient[Any, Any]):
    found = await ask(shop, SUCCESSES, end=INSTANT - 1)
    assert points(found, "web") == [(START, "940"), (START + 15, "955"), (START + 30, "970"), (START + 45, "985")]
    assert [line["metric"]["name"] for line in found["result"]] == ["api", "cart", "idle", "quiet", "web"]


async def test_moments_keep_their_fraction_and_tell_of_the_second_they_are_in(shop: TestClient[Any, Any]):
    found = await ask(shop, SUCCESSES, START + 0.75, START + 16)
    assert points(found, "web") == [(START + 0.75, "940"), (START + 15.75, "955")]


async def test_a_step_may_be_a_duration(shop: TestClient[Any, Any]):
    assert [at for at, _ in points(await ask(shop, SUCCESSES, step="30s"), "web")] == [START, START + 30, START + 60]


async def test_there_are_no_points_ahead_of_now(shop: TestClient[Any, Any]):
    found = await ask(shop, SUCCESSES, INSTANT, INSTANT + 600, "1")
    assert [at for at, _ in points(found, "web")] == [INSTANT, INSTANT + 1, INSTANT + 2, INSTANT + 3]
    assert await ask(shop, SUCCESSES, INSTANT + 600, INSTANT + 900) == {"resultType": "matrix", "result": []}


async def test_where_nothing_was_observed_there_is_a_gap():
    async with client(Shop(gone=frozenset({START + 15}))) as session:
        found = await ask(session, SUCCESSES, end=START + 30)
        assert [at for at, _ in points(found, "web")] == [START, START + 30]


async def test_each_namespace_is_read_once_for_all_metrics_and_moments():
    shop = Shop()
    async with client(shop) as session:
        found = await ask(session, '{namespace=~"shop|data",__name__=~"trafficmetrics_.*"}')
        assert len({line["metric"]["__name__"] for line in found["result"]}) == 5
        again = await ask(session, 'trafficmetrics_requests_per_second{namespace=~"data|shop"}')
        assert again["result"]
    spans = [(question.namespace, question.span) for question in shop.questions]
    assert len(set(spans)) == 2
    assert len(spans) == 2 * 5


async def test_edges_over_time(shop: TestClient[Any, Any]):
    found = await ask(shop, 'trafficmetrics_requests_per_second{namespace="shop",name="web",direction="to",peer_name="api"}')
    (line,) = found["result"]
    assert (line["metric"]["peer_name"], len(line["values"])) == ("api", 5)


async def test_numbers_are_the_same_at_every_moment(shop: TestClient[Any, Any]):
    assert await ask(shop, "1+1", 0, 2, "1") == {
        "resultType": "matrix",
        "result": [{"metric": {}, "values": [[0, "2"], [1, "2"], [2, "2"]]}],
    }
    assert (await ask(shop, "vector(1)", 0, 1, "1"))["result"][0]["values"] == [[0, "1"], [1, "1"]]


async def test_whether_answers_were_whole_is_told_over_time():
    async with client(Shop(incomplete=True, warnings=("source a failed",))) as session:
        reply = await session.get(
            RANGE, params={"query": "trafficmetrics_incomplete", "start": START, "end": START + 15, "step": "15"}
        )
        document = await reply.json()
        assert document["data"]["result"] == [
            {"metric": {"__name__": "trafficmetrics_incomplete"}, "values": [[START, "1"], [START + 15, "1"]]}
        ]
        assert document["warnings"] == ["source a failed"]


async def test_a_row_that_stands_twice_is_one_series():
    rows = Shop().rows
    async with client(Shop(rows=(*rows, *rows))) as session:
        assert len(points(await ask(session, SUCCESSES), "web")) == 5
        found = await data(await session.get(f"{BASE}/api/v1/query", params={"query": SUCCESSES}))
        assert len(found["result"]) == len({element["metric"]["name"] for element in found["result"]})


async def test_a_series_that_two_reads_have_is_one():
    """Who is at the other end of an edge may be asked for by several kinds, which all have it."""
    selector = 'trafficmetrics_requests_per_second{namespace="shop",peer_kind=~"Deployment|",name="web"}'
    shop = Shop()
    async with client(shop) as session:
        found = await ask(session, selector[:-1] + ',direction="to"}')
        assert len(shop.questions) == 2 * 5
        assert [len(line["values"]) for line in found["result"]] == [5, 5]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"step": "0"}, "zero or negative query resolution step widths are not accepted. Try a positive integer"),
        (
            {"start": "0", "step": "1"},
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        ({"step": "0.5"}, '"0.5" is not a whole number of seconds, which the instants of this API are apart'),
        ({"end": "1"}, "end timestamp must not be before start time"),
        ({"start": "now"}, 'cannot parse "now" to a valid timestamp'),
    ],
)
async def test_ranges_that_cannot_be_are_refused(shop: TestClient[Any, Any], changes: dict[str, str], told: str):
    asked = {"query": SUCCESSES, "start": str(START), "end": str(INSTANT), "step": "15"} | changes
    code, word, message = await failure(await shop.get(RANGE, params=asked))
    assert (code, word) == (400, "bad_data")
    assert message.endswith(told)


async def test_more_points_than_can_be_held_are_refused(shop: TestClient[Any, Any], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(evaluation, "MOST_POINTS", 24)
    code, word, message = await failure(
        await shop.get(RANGE, params={"query": SUCCESSES, "start": START, "end": INSTANT, "step": "15"})
    )
    assert (code, word) == (422, "execution")
    assert message.startswith("query processing would load too many samples into memory in query execution: 24 points are the most")


async def test_no_more_series_than_the_limit(shop: TestClient[Any, Any]):
    reply = await shop.get(RANGE, params={"query": SUCCESSES, "start": START, "end": INSTANT, "step": "15", "limit": "2"})
    document = await reply.json()
    assert (len(document["data"]["result"]), document["warnings"]) == (2, ["results truncated due to limit"])


@pytest.mark.parametrize(
    ("error", "told"),
    [(NotFound("namespaces", "x"), []), (BackendForgot("mesh", "keeps an hour"), ['source "mesh": keeps an hour'])],
)
async def test_what_was_at_no_time_there_has_no_series(error: Exception, told: list[str]):
    async with client(Shop(failure=error)) as session:
        reply = await session.get(RANGE, params={"query": SUCCESSES, "start": START, "end": INSTANT, "step": "15"})
        document = await reply.json()
        assert (document["data"]["result"], document.get("warnings", [])) == ([], told)


async def test_a_source_that_fails_fails_the_range():
    async with client(Shop(failure=BackendUnavailable("mesh", "gone"))) as session:
        reply = await session.get(RANGE, params={"query": SUCCESSES, "start": START, "end": INSTANT, "step": "15"})
        assert (await failure(reply))[:2] == (503, "unavailable")
