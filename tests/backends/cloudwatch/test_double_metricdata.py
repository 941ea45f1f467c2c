"""The double's GetMetricData, asked by a real client: what CloudWatch documents is what it does."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doubles.cloudwatch import Aws, StatisticSet
from tests.doubles.cloudwatch.asking import points, question

NOW = 1_800_000_000
"""A whole hour."""

DAY = 86400
EDGE = {"Environment": "eks:prod/shop", "Service": "orders", "RemoteService": "stock"}
SERVICE = {"Environment": "eks:prod/shop", "Service": "orders"}


@pytest.fixture(autouse=True)
def clock(aws: Aws) -> None:
    aws.clock = lambda: NOW


async def ask(
    client: Any, *queries: dict[str, Any], start: float = NOW - 600, end: float = NOW, **further: Any
) -> list[dict[int, float]]:
    answer = await client.get_metric_data(MetricDataQueries=list(queries), StartTime=start, EndTime=end, **further)
    assert [result["StatusCode"] for result in answer["MetricDataResults"]] == ["Complete"] * len(queries)
    return [points(result) for result in answer["MetricDataResults"]]


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("SampleCount", 100),
        ("Sum", 50 * 10 + 30 * 20 + 19 * 30 + 400),
        ("Average", 20.7),
        ("Minimum", 10),
        ("Maximum", 400),
        ("p50", 10),
        ("p50.1", 20),
        ("p90", 30),
        ("p99", 30),
        ("p99.9", 400),
        ("p99.0000000001", 400),
        ("p100", 400),
    ],
)
async def test_a_statistic_is_that_of_all_observations(aws: Aws, cloudwatch: Any, stat: str, value: float):
    aws.put("Shop", "Latency", SERVICE, NOW - 60, values={10: 50, 400: 1, 20: 30, 30: 19})
    assert await ask(cloudwatch, question("Latency", stat, SERVICE)) == [{NOW - 60: pytest.approx(value)}]


@pytest.mark.parametrize(
    ("name", "namespace", "dimensions"),
    [
        ("Latency", "Shop", SERVICE),
        ("Latency", "Shop", EDGE | {"RemoteEnvironment": "eks:prod/shop"}),
        ("Latency", "Shop", EDGE | {"Service": "Orders"}),
        ("Latency", "Shop", {}),
        ("Latency", "Other", EDGE),
        ("latency", "Shop", EDGE),
    ],
    ids=["fewer dimensions", "more dimensions", "another value", "no dimensions", "another namespace", "another name"],
)
async def test_only_the_very_metric_that_was_published_is_found(
    aws: Aws, cloudwatch: Any, name: str, namespace: str, dimensions: Any
):
    aws.put("Shop", "Latency", EDGE, NOW - 60, values={1: 1})
    query = question(name, "Sum", dimensions, namespace=namespace)
    assert await ask(cloudwatch, query, question("Latency", "Sum", dict(reversed(EDGE.items())), ident="same")) == [
        {},
        {NOW - 60: 1},
    ]


@pytest.mark.parametrize(
    ("statistics", "median"),
    [
        (StatisticSet(3, 30, 5, 20), None),
        (StatisticSet(1, 7, 7, 7), 7),
        (StatisticSet(1, 7, 6, 8), 7),
        (StatisticSet(4, 20, 5, 5), 5),
        (StatisticSet(4, 21, 5, 5), None),
        (StatisticSet(1, -7, -7, -7), None),
    ],
    ids=[
        "of many values",
        "of one sample",
        "of one sample that was rounded",
        "of one value",
        "of one value, but its sum",
        "of a negative sample",
    ],
)
async def test_a_statistic_set_has_percentiles_only_when_it_hides_nothing(
    aws: Aws, cloudwatch: Any, statistics: StatisticSet, median: float | None
):
    aws.put("Shop", "Latency", SERVICE, NOW - 60, statistics=statistics)
    count, total, middle = await ask(
        cloudwatch,
        *(question("Latency", stat, SERVICE, ident=f"q{number}") for number, stat in enumerate(("SampleCount", "Sum", "p50"))),
    )
    assert (count, total) == ({NOW - 60: statistics.sample_count}, {NOW - 60: statistics.sum})
    assert middle == ({} if median is None else {NOW - 60: median})


async def test_one_set_or_one_negative_value_takes_the_percentiles_of_its_period(aws: Aws, cloudwatch: Any):
    for minute in (180, 120, 60):
        aws.put("Shop", "Latency", SERVICE, NOW - minute, values={5: 3})
    aws.put("Shop", "Latency", SERVICE, NOW - 120, statistics=StatisticSet(3, 30, 5, 20))
    aws.put("Shop", "Latency", SERVICE, NOW - 60, values={-1: 1})
    median, lowest = await ask(
        cloudwatch, question("Latency", "p50", SERVICE), question("Latency", "Minimum", SERVICE, ident="low")
    )
    assert median == {NOW - 180: 5}
    assert lowest == {NOW - 180: 5, NOW - 120: 5, NOW - 60: -1}


async def test_a_percentile_of_a_longer_period_is_of_all_its_minutes(aws: Aws, cloudwatch: Any):
    aws.put("Shop", "Latency", SERVICE, NOW - 120, values={1: 99})
    aws.put("Shop", "Latency", SERVICE, NOW - 60, values={100: 1})
    assert await ask(cloudwatch, question("Latency", "p99", SERVICE, period=120), start=NOW - 120) == [{NOW - 120: 1}]


async def test_the_start_is_inclusive_and_the_end_is_not(aws: Aws, cloudwatch: Any):
    for minute in range(5):
        aws.put("Shop", "Requests", SERVICE, NOW - 60 * minute, values={1: minute + 1})
    assert await ask(cloudwatch, question("Requests", "Sum", SERVICE), start=NOW - 180, end=NOW - 60) == [
        {NOW - 120: 3, NOW - 180: 4}
    ]


async def test_what_is_put_within_a_minute_is_stamped_with_its_beginning_and_added_up(aws: Aws, cloudwatch: Any):
    aws.put("Shop", "Requests", SERVICE, NOW - 59.5, values={1: 2})
    aws.put("Shop", "Requests", SERVICE, NOW - 1, values={1: 3})
    assert await ask(cloudwatch, question("Requests", "Sum", SERVICE)) == [{NOW - 60: 5}]


@pytest.mark.parametrize(
    ("age", "period", "first"),
    [(100, 60, NOW - 120), (20 * DAY + 100, 300, NOW - 20 * DAY - 300), (70 * DAY + 100, 3600, NOW - 70 * DAY - 3600)],
    ids=["minutes", "five minutes", "hours"],
)
async def test_the_start_is_rounded_down_by_its_age(aws: Aws, cloudwatch: Any, age: int, period: int, first: int):
    aws.put("Shop", "Requests", SERVICE, first, values={1: 1})
    aws.put("Shop", "Requests", SERVICE, first - 60, values={1: 1})
    assert await ask(cloudwatch, question("Requests", "Sum", SERVICE, period=period), start=NOW - age) == [{first: 1}]


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [("start", {NOW + 120: 3, NOW + 420: 5}), ("epoch", {NOW: 1, NOW + 300: 5, NOW + 600: 2})],
)
async def test_periods_begin_at_the_start_or_at_the_epoch(aws: Aws, cloudwatch: Any, anchor: str, expected: dict[int, float]):
    aws.clock, aws.data.anchor = lambda: NOW + 3600, anchor
    for offset, count in ((120, 1), (360, 2), (540, 3), (660, 2)):
        aws.put("Shop", "Requests", SERVICE, NOW + offset, values={1: count})
    query = question("Requests", "Sum", SERVICE, period=300)
    assert await ask(cloudwatch, query, start=NOW + 120, end=NOW + 720, ScanBy="TimestampAscending") == [expected]


@pytest.mark.parametrize(
    ("order", "stamps"),
    [({}, [-60, -120]), ({"ScanBy": "TimestampDescending"}, [-60, -120]), ({"ScanBy": "TimestampAscending"}, [-120, -60])],
    ids=["unless told", "descending", "ascending"],
)
async def test_points_are_scanned_from_the_newest_unless_told(aws: Aws, cloudwatch: Any, order: dict[str, str], stamps: list[int]):
    for minute in (60, 120):
        aws.put("Shop", "Requests", SERVICE, NOW - minute, values={1: 1})
    (found,) = await ask(cloudwatch, question("Requests", "Sum", SERVICE), **order)
    assert [stamp - NOW for stamp in found] == stamps


async def test_another_unit_finds_nothing_and_no_unit_finds_all(aws: Aws, cloudwatch: Any):
    aws.put("Shop", "Latency", SERVICE, NOW - 60, values={1: 1}, unit="Milliseconds")
    aws.put("Shop", "Latency", SERVICE, NOW - 60, values={1: 2}, unit="Seconds")
    queries = [question("Latency", "Sum", SERVICE, ident=unit.lower(), Unit=unit) for unit in ("Milliseconds", "Seconds", "Count")]
    found = await ask(cloudwatch, *queries, question("Latency", "Sum", SERVICE))
    assert found == [{NOW - 60: 1}, {NOW - 60: 2}, {}, {NOW - 60: 3}]


@pytest.mark.parametrize(
    ("age", "period", "kept"),
    [
        (2 * 3600, 10, True),
        (4 * 3600, 10, False),
        (14 * DAY, 60, True),
        (16 * DAY, 60, False),
        (16 * DAY, 300, True),
        (64 * DAY, 300, False),
        (64 * DAY, 3600, True),
        (456 * DAY, 3600, False),
    ],
)
async def test_old_points_need_a_longer_period_until_they_are_gone(aws: Aws, cloudwatch: Any, age: int, period: int, *, kept: bool):
    aws.put("Shop", "Requests", SERVICE, NOW - age, values={1: 1})
    (found,) = await ask(cloudwatch, question("Requests", "Sum", SERVICE, period=period), start=NOW - age, end=NOW - age + 3600)
    assert found == ({NOW - age: 1} if kept else {})


async def test_a_minute_is_visible_when_its_delay_is_over_and_may_still_grow(aws: Aws, cloudwatch: Any):
    aws.delay = 90
    aws.put("Shop", "Requests", SERVICE, NOW, values={1: 1})
    aws.put("Shop", "Requests", SERVICE, NOW, values={1: 2}, visible=NOW + 200)
    seen = []
    for later in (149, 150, 199, 200):
        aws.clock = lambda later=later: NOW + later
        (found,) = await ask(cloudwatch, question("Requests", "Sum", SERVICE), end=NOW + 60)
        seen.append(found.get(NOW))
    assert seen == [None, 1, 1, 3]


def _many(count: int) -> list[dict[str, Any]]:
    return [question("Requests", "Sum", SERVICE, ident=f"q{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("queries", "range_", "message"),
    [
        (_many(501), {}, "must not have a size greater than 500"),
        ([], {}, "MetricDataQueries is required"),
        ([question("a", "Sum", {}, ident="Q1")], {}, "not matching the expected pattern"),
        ([question("a", "Sum", {}, ident="q-1")], {}, "not matching the expected pattern"),
        ([question("a", "Sum", {}), question("b", "Sum", {})], {}, "are not unique"),
        ([question("a", "Median", {})], {}, "Stat is not supported"),
        ([question("a", "p101", {})], {}, "Stat is not supported"),
        ([question("a", "Sum", {}, period=90)], {}, "Period is not valid"),
        ([question("", "Sum", {})], {}, "must have a Namespace and a MetricName"),
        ([question("a", "Sum", {}, Expression="q")], {}, "Exactly one of MetricStat or Expression"),
        (_many(1), {"StartTime": NOW}, "StartTime must be less than"),
        (_many(1), {"MaxDatapoints": 100_801}, "must be from 1 to 100800"),
        (_many(1), {"ScanBy": "Newest"}, "parameter ScanBy"),
    ],
    ids=[
        "501 queries",
        "no query",
        "an id that begins with a capital",
        "an id with a dash",
        "an id twice",
        "no statistic",
        "a percentile beyond 100",
        "a period that is no minute",
        "no name",
        "a metric and an expression",
        "an empty range",
        "too many points",
        "no order",
    ],
)
async def test_what_breaks_a_rule_is_a_validation_error(cloudwatch: Any, queries: Any, range_: dict[str, Any], message: str):
    with pytest.raises(ClientError, match=message) as refused:
        await cloudwatch.get_metric_data(**{"MetricDataQueries": queries, "StartTime": NOW - 60, "EndTime": NOW} | range_)
    assert refused.value.response["Error"]["Code"] in ("ValidationError", "MissingParameter")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


async def test_500_queries_are_answered_and_what_is_not_to_be_returned_is_not(aws: Aws, cloudwatch: Any):
    aws.put("Shop", "Requests", SERVICE, NOW - 60, values={1: 4})
    queries = _many(500)
    queries[7]["ReturnData"] = False
    answer = await cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=NOW - 60, EndTime=NOW)
    assert [result["Id"] for result in answer["MetricDataResults"]] == [f"q{number}" for number in range(500) if number != 7]
    assert {tuple(result["Values"]) for result in answer["MetricDataResults"]} == {(4.0,)}


@pytest.mark.parametrize("stat", ["TM(10%:90%)", "tm90", "IQM", "PR(:100)"])
async def test_a_statistic_that_the_double_lacks_is_not_answered_by_another(cloudwatch: Any, stat: str):
    with pytest.raises(ClientError, match="does not compute"):
        await cloudwatch.get_metric_data(MetricDataQueries=[question("a", stat, {})], StartTime=NOW - 60, EndTime=NOW)
