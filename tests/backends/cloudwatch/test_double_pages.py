"""Pages, statuses and messages of the double's GetMetricData, asked by a real client."""

from __future__ import annotations

import math
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles.cloudwatch import Aws, Spoiled
from tests.doubles.cloudwatch.asking import points, question
from tests.doubles.cloudwatch.metricdata import MetricData
from tests.doubles.cloudwatch.queries import read_queries
from tests.doubles.cloudwatch.store import Datum, MetricKey, StatisticSet, Store

NOW = 1_800_000_000
NAMES = ("Fault", "Latency", "Requests")
OF = {"Service": "orders"}


@pytest.fixture(autouse=True)
def three_metrics(aws: Aws) -> None:
    aws.clock = lambda: NOW
    for number, name in enumerate(NAMES):
        for minute in range(1, 4):
            aws.put("Shop", name, OF, NOW - 60 * minute, values={number: minute})


async def pages(client: Any, *, most: int = 20, **further: Any) -> list[dict[str, Any]]:
    """All pages of the question for all metrics, but ``most`` at most."""
    asked = {
        "MetricDataQueries": [question(name, "SampleCount", OF, ident=name.lower()) for name in NAMES],
        "StartTime": NOW - 600,
        "EndTime": NOW,
        **further,
    }
    found = [await client.get_metric_data(**asked)]
    while "NextToken" in found[-1] and len(found) < most:
        found.append(await client.get_metric_data(**asked, NextToken=found[-1]["NextToken"]))
    return found


def told(page: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(result["Id"], result["StatusCode"], len(result["Values"])) for result in page["MetricDataResults"]]


def together(found: list[dict[str, Any]]) -> dict[str, dict[int, float]]:
    whole: dict[str, dict[int, float]] = {}
    for page in found:
        for result in page["MetricDataResults"]:
            whole.setdefault(result["Id"], {}).update(points(result))
    return whole


WHOLE = {name.lower(): {NOW - 60: 1, NOW - 120: 2, NOW - 180: 3} for name in NAMES}


async def test_a_result_that_a_page_cuts_is_partial_and_goes_on_with_the_next(aws: Aws, cloudwatch: Any):
    aws.data.page_points = 4
    found = await pages(cloudwatch)
    assert [told(page) for page in found] == [
        [("fault", "Complete", 3), ("latency", "PartialData", 1)],
        [("latency", "Complete", 2), ("requests", "PartialData", 2)],
        [("requests", "Complete", 1)],
    ]
    assert together(found) == WHOLE


async def test_results_that_wait_may_be_there_and_empty(aws: Aws, cloudwatch: Any):
    aws.data.page_points, aws.data.empty_partial = 4, True
    found = await pages(cloudwatch)
    assert told(found[0]) == [("fault", "Complete", 3), ("latency", "PartialData", 1), ("requests", "PartialData", 0)]
    assert together(found) == WHOLE


@pytest.mark.parametrize("most", [1, 2, 5, 9, 10])
async def test_the_client_may_ask_for_smaller_pages(cloudwatch: Any, most: int):
    found = await pages(cloudwatch, MaxDatapoints=most)
    assert len(found) == math.ceil(9 / most)
    assert all(sum(values for _, _, values in told(page)) <= most for page in found)
    assert together(found) == WHOLE


async def test_the_client_s_own_paginator_reads_the_same(aws: Aws, cloudwatch: Any):
    aws.data.page_points = 2
    queries = [question(name, "SampleCount", OF, ident=name.lower()) for name in NAMES]
    paginator = cloudwatch.get_paginator("get_metric_data")
    found = [page async for page in paginator.paginate(MetricDataQueries=queries, StartTime=NOW - 600, EndTime=NOW)]
    assert together(found) == WHOLE


async def test_a_token_is_good_for_its_own_question_alone(aws: Aws, cloudwatch: Any):
    aws.data.page_points = 4
    token = (await pages(cloudwatch, most=1))[0]["NextToken"]
    for wrong in ({"NextToken": token, "StartTime": NOW - 540}, {"NextToken": "page-0"}):
        with pytest.raises(ClientError, match="InvalidNextToken"):
            await pages(cloudwatch, **wrong)


async def test_there_can_always_be_one_more_page(aws: Aws, cloudwatch: Any):
    aws.data.endless = True
    found = await pages(cloudwatch, most=4)
    assert [len(page["MetricDataResults"]) for page in found] == [3, 0, 0, 0]
    assert len({page["NextToken"] for page in found}) == 4


@pytest.mark.parametrize("status", ["Forbidden", "InternalError", "PartialData"])
async def test_results_of_a_metric_are_spoiled_as_the_test_says(aws: Aws, cloudwatch: Any, status: str):
    aws.data.spoiled["Latency"] = Spoiled(status, [("Code", "what happened")], times=1)
    (page,) = await pages(cloudwatch)
    assert told(page) == [("fault", "Complete", 3), ("latency", status, 0), ("requests", "Complete", 3)]
    assert page["MetricDataResults"][1]["Messages"] == [{"Code": "Code", "Value": "what happened"}]
    assert together(await pages(cloudwatch)) == WHOLE


async def test_all_results_are_spoiled_and_keep_their_points_when_told(aws: Aws, cloudwatch: Any):
    aws.data.spoiled["*"] = Spoiled("PartialData", points=True)
    for _ in range(2):
        (page,) = await pages(cloudwatch)
        assert told(page) == [(name.lower(), "PartialData", 3) for name in NAMES]


async def test_messages_about_the_whole_come_with_every_page(aws: Aws, cloudwatch: Any):
    aws.data.messages, aws.data.page_points = [("MaxMetricsExceeded", "too many")], 5
    found = await pages(cloudwatch)
    assert [page["Messages"] for page in found] == [[{"Code": "MaxMetricsExceeded", "Value": "too many"}]] * 2
    aws.recover()
    assert (await pages(cloudwatch))[0]["Messages"] == []


@pytest.mark.parametrize(
    ("stats", "billed"),
    [(["Sum"], 1), (["SampleCount", "p50", "p90", "p99", "Sum"], 1), (["SampleCount", "p50", "p90", "p99", "Sum", "Average"], 2)],
    ids=["one", "five", "six"],
)
async def test_five_statistics_of_a_metric_are_billed_as_one(aws: Aws, cloudwatch: Any, stats: list[str], billed: int):
    queries = [question(name, stat, OF, ident=f"{name}_{at}".lower()) for name in NAMES for at, stat in enumerate(stats)]
    aws.data.page_points = len(queries)
    await pages(cloudwatch, MetricDataQueries=queries)
    calls = aws.called("GetMetricData")
    assert [call.billed for call in calls] == [3 * billed, 0, 0]
    assert {call.queries for call in calls} == {3 * len(stats)}
    assert aws.billed == 3 * billed


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2), st.integers(0, 9)), max_size=30),
    st.sampled_from([60, 120, 300]),
    st.sampled_from(["start", "epoch"]),
    st.integers(1, 7),
    st.integers(0, 19),
)
def test_every_way_of_paging_gives_every_point_once(
    put: list[tuple[int, int, int]], period: int, anchor: str, room: int, first: int
):
    store = Store()
    for minute, metric, count in put:
        key = MetricKey("Shop", NAMES[metric], frozenset())
        store.put(key, Datum(NOW + 60 * minute, StatisticSet(count, count, 1, 1), {1: count}, "None", 0, 0))
    data = MetricData(store, anchor, room)
    queries = [question(name, "SampleCount", {}, ident=name.lower(), period=period) for name in NAMES]
    start = NOW + 60 * first
    asked = {"MetricDataQueries": queries, "StartTime": start, "EndTime": NOW + 1200}
    origin = start if anchor == "start" else 0
    expected: dict[str, dict[int, float]] = {name.lower(): {} for name in NAMES}
    for minute, metric, count in put:
        stamp = NOW + 60 * minute
        if start <= stamp < NOW + 1200:
            series = expected[NAMES[metric].lower()]
            bucket = stamp - (stamp - origin) % period
            series[bucket] = series.get(bucket, 0) + count
    found: dict[str, dict[int, float]] = {name.lower(): {} for name in NAMES}
    token: dict[str, str] = {}
    while True:
        page = data.answer(asked | token, read_queries(asked, store, NOW + 1200), NOW + 1200)
        assert sum(len(result["Values"]) for result in page["MetricDataResults"]) <= room
        for result in page["MetricDataResults"]:
            for stamp, value in zip(result["Timestamps"], result["Values"], strict=True):
                assert stamp not in found[result["Id"]]
                found[result["Id"]][stamp] = value
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert found == expected
