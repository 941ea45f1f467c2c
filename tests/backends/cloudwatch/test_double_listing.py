"""The double's ListMetrics and PutMetricData, asked by a real client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doubles.cloudwatch import Aws
from tests.doubles.cloudwatch.asking import points, question

NOW = 1_800_000_000
HOUR = 3600
DAY = 86400


@pytest.fixture(autouse=True)
def clock(aws: Aws) -> None:
    aws.clock = lambda: NOW


def filters(of: Mapping[str, str | None]) -> list[dict[str, str]]:
    return [{"Name": name} | ({} if value is None else {"Value": value}) for name, value in of.items()]


async def listed(client: Any, dimensions: Mapping[str, str | None] | None = None, **parameters: Any) -> list[str]:
    """Metrics found, as ``namespace/name a=1 b=2``, page after page."""
    asked = parameters | ({} if dimensions is None else {"Dimensions": filters(dimensions)})
    found = []
    token: dict[str, str] = {}
    while True:
        page = await client.list_metrics(**asked, **token)
        for metric in page["Metrics"]:
            pairs = " ".join(f"{one['Name']}={one['Value']}" for one in metric["Dimensions"])
            found.append(f"{metric['Namespace']}/{metric['MetricName']} {pairs}")
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}


PUBLISHED = (
    ("Shop", "Latency", {"a": "1"}),
    ("Shop", "Latency", {"a": "1", "b": "2"}),
    ("Shop", "Latency", {"a": "2", "b": "2"}),
    ("Shop", "Fault", {"a": "1", "b": "2"}),
    ("Other", "Latency", {"a": "1"}),
    ("Shop", "Latency", {}),
)


@pytest.mark.parametrize(
    ("parameters", "dimensions", "found"),
    [
        ({}, None, range(6)),
        ({"Namespace": "Shop"}, None, [0, 1, 2, 3, 5]),
        ({"MetricName": "Latency"}, None, [0, 1, 2, 4, 5]),
        ({"Namespace": "Shop", "MetricName": "Latency"}, {"a": "1"}, [0, 1]),
        ({"Namespace": "Shop", "MetricName": "Latency"}, {"a": None}, [0, 1, 2]),
        ({"Namespace": "Shop"}, {"a": "1", "b": None}, [1, 3]),
        ({"Namespace": "Shop"}, {"a": "1", "b": "1"}, []),
        ({"Namespace": "shop"}, None, []),
        ({}, {"A": None}, []),
    ],
    ids=[
        "all",
        "a namespace",
        "a name",
        "a value",
        "a dimension",
        "both",
        "no such value",
        "another case",
        "another case of a dimension",
    ],
)
async def test_a_metric_must_meet_every_filter_and_may_have_more_dimensions(
    aws: Aws, cloudwatch: Any, parameters: dict[str, str], dimensions: Any, found: Any
):
    for namespace, name, of in PUBLISHED:
        for minute in (60, 120):
            aws.put(namespace, name, of, NOW - minute, values={1: 1})
    expected = [
        f"{namespace}/{name} {' '.join(f'{key}={value}' for key, value in of.items())}"
        for namespace, name, of in (PUBLISHED[number] for number in found)
    ]
    assert await listed(cloudwatch, dimensions, **parameters) == expected


@pytest.mark.parametrize(("size", "calls"), [(500, 3), (1001, 1), (7, 143)])
async def test_pages_have_so_many_metrics_and_together_all_of_them(aws: Aws, cloudwatch: Any, size: int, calls: int):
    for number in range(1001):
        aws.put("Shop", "Latency", {"Service": str(number)}, NOW - 60, values={1: 1})
    assert aws.listing.page_metrics == 500
    aws.listing.page_metrics = size
    found = await listed(cloudwatch, Namespace="Shop")
    assert len(found) == len(set(found)) == 1001
    assert len(aws.called("ListMetrics")) == calls


async def test_a_token_is_good_for_its_own_question_alone(aws: Aws, cloudwatch: Any):
    aws.listing.page_metrics = 1
    for name in ("Fault", "Latency"):
        aws.put("Shop", name, {}, NOW - 60, values={1: 1})
    token = (await cloudwatch.list_metrics(Namespace="Shop"))["NextToken"]
    for wrong in ({"Namespace": "Other", "NextToken": token}, {"Namespace": "Shop", "NextToken": "list-0"}):
        with pytest.raises(ClientError, match="InvalidParameterValue"):
            await cloudwatch.list_metrics(**wrong)


@pytest.mark.parametrize(
    ("slack", "age", "recent"),
    [(0, 3 * HOUR, True), (0, 3 * HOUR + 1, False), (3000, 3 * HOUR + 3000, True), (3000, 3 * HOUR + 3001, False)],
)
async def test_recently_active_is_three_hours_more_or_less(aws: Aws, cloudwatch: Any, slack: int, age: int, *, recent: bool):
    aws.listing.slack = slack
    aws.put("Shop", "Latency", {}, NOW, values={1: 1})
    aws.clock = lambda: NOW + age
    assert bool(await listed(cloudwatch, RecentlyActive="PT3H")) == recent
    assert await listed(cloudwatch)


async def test_a_new_metric_is_listed_later_and_read_at_once(aws: Aws, cloudwatch: Any):
    aws.listing.delay = 900
    aws.put("Shop", "Latency", {}, NOW - 60, values={1: 1})
    aws.clock = lambda: NOW + 899
    answer = await cloudwatch.get_metric_data(MetricDataQueries=[question("Latency", "Sum", {})], StartTime=NOW - 60, EndTime=NOW)
    assert points(answer["MetricDataResults"][0]) == {NOW - 60: 1}
    assert await listed(cloudwatch) == []
    aws.clock = lambda: NOW + 900
    assert await listed(cloudwatch)


async def test_a_metric_that_is_silent_for_two_weeks_vanishes(aws: Aws, cloudwatch: Any):
    aws.put("Shop", "Latency", {}, NOW, values={1: 1})
    aws.clock = lambda: NOW + 14 * DAY
    assert await listed(cloudwatch)
    aws.clock = lambda: NOW + 14 * DAY + 1
    assert await listed(cloudwatch) == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"Dimensions": [{"Name": str(number)} for number in range(11)]}, "greater than 10"), ({"RecentlyActive": "PT1H"}, "PT3H")],
    ids=["eleven filters", "another time"],
)
async def test_what_breaks_a_rule_is_refused(cloudwatch: Any, parameters: dict[str, Any], message: str):
    with pytest.raises(ClientError, match=message) as refused:
        await cloudwatch.list_metrics(**parameters)
    assert refused.value.response["Error"]["Code"] == "InvalidParameterValue"


async def test_what_a_client_publishes_can_be_read_and_is_listed(aws: Aws, cloudwatch: Any):
    of = [{"Name": "Service", "Value": "orders"}]
    data = [
        {
            "MetricName": "Latency",
            "Dimensions": of,
            "Timestamp": NOW - 60,
            "Values": [1, 2.5, 2.5],
            "Counts": [2, 1, 1],
            "Unit": "Seconds",
        },
        {"MetricName": "Latency", "Dimensions": of, "Timestamp": NOW - 60, "Value": 7, "Unit": "Seconds"},
        {
            "MetricName": "Requests",
            "Dimensions": of,
            "StatisticValues": {"SampleCount": 2, "Sum": 5, "Minimum": 1, "Maximum": 4},
        },
    ]
    aws.clock = lambda: NOW + 30
    await cloudwatch.put_metric_data(Namespace="Shop", MetricData=data)
    queries = [
        question("Latency", "Sum", {"Service": "orders"}, ident="a", Unit="Seconds"),
        question("Latency", "p75", {"Service": "orders"}, ident="b"),
        question("Requests", "Maximum", {"Service": "orders"}, ident="c"),
    ]
    answer = await cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=NOW - 60, EndTime=NOW + 60)
    assert [points(result) for result in answer["MetricDataResults"]] == [{NOW - 60: 14}, {NOW - 60: 2.5}, {NOW: 4}]
    assert await listed(cloudwatch) == ["Shop/Latency Service=orders", "Shop/Requests Service=orders"]


async def test_a_publication_so_large_that_the_client_packs_it_is_read_all_the_same(aws: Aws, cloudwatch: Any):
    data = [{"MetricName": f"m{number}", "Values": list(range(150)), "Timestamp": NOW} for number in range(50)]
    await cloudwatch.put_metric_data(Namespace="Shop", MetricData=data)
    assert len(aws.store.metrics) == 50


@pytest.mark.parametrize(
    ("datum", "message"),
    [
        ({"Value": 1, "Values": [1]}, "Exactly one"),
        ({}, "Exactly one"),
        ({"Values": [1, 2], "Counts": [1]}, "as many Counts"),
        ({"Values": list(range(151))}, "at most 150"),
        ({"Value": 2.0**361}, "2\\^360"),
        ({"Value": float("nan")}, "2\\^360"),
        ({"Value": 1, "Timestamp": NOW - 15 * DAY}, "two weeks"),
        ({"Value": 1, "Timestamp": NOW + 3 * HOUR}, "two hours"),
        ({"Value": 1, "Dimensions": [{"Name": str(number), "Value": "v"} for number in range(31)]}, "greater than 30"),
        ({"Value": 1, "StorageResolution": 1}, "standard resolution"),
    ],
)
async def test_a_publication_that_breaks_a_rule_is_refused_as_a_whole(
    aws: Aws, cloudwatch: Any, datum: dict[str, Any], message: str
):
    with pytest.raises(ClientError, match=message):
        await cloudwatch.put_metric_data(
            Namespace="Shop", MetricData=[{"MetricName": "a", "Value": 1}, {"MetricName": "b"} | datum]
        )
    assert aws.store.metrics == {}
