"""The double's SEARCH and labels, asked by a real client."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.doubles.cloudwatch import Aws
from tests.doubles.cloudwatch.asking import expression, question

NOW = 1_800_000_000
EDGE = "{Shop,Environment,Service,RemoteService}"
LABEL = "${PROP('Dim.Service')}|${PROP('Dim.RemoteService')}|${PROP('Stat')}"


@pytest.fixture(autouse=True)
def edges(aws: Aws) -> None:
    aws.clock = lambda: NOW
    for service, remote in (("front", "orders"), ("front", "pay"), ("orders", "stock")):
        of = {"Environment": "prod", "Service": service, "RemoteService": remote}
        aws.put("Shop", "Latency", of, NOW - 60, values={len(remote): 3})
        aws.put("Shop", "Fault", of, NOW - 60, values={0: 2, 1: 1})
        aws.put("Other", "Latency", of, NOW - 60, values={1: 1})
        aws.put("Shop", "Latency", of | {"RemoteEnvironment": "prod"}, NOW - 60, values={1: 1})
        aws.put("Shop", "Latency", of | {"Environment": 'a "b"'}, NOW - 60, values={1: 1})
    aws.put("Shop", "Latency", {"Environment": "prod", "Service": "front"}, NOW - 60, values={1: 1})


async def find(client: Any, text: str, **further: Any) -> dict[str, list[float]]:
    query = expression(text, **({"Label": LABEL} | further))
    answer = await client.get_metric_data(MetricDataQueries=[query], StartTime=NOW - 60, EndTime=NOW)
    assert {result["Id"] for result in answer["MetricDataResults"]} <= {"q"}
    return {result["Label"]: result["Values"] for result in answer["MetricDataResults"]}


@pytest.mark.parametrize(
    ("terms", "found"),
    [
        ('MetricName="Latency" Environment="prod"', {"front|orders|Sum": [18], "front|pay|Sum": [9], "orders|stock|Sum": [15]}),
        ('MetricName="Latency" "Environment"="prod" AND "Service"="front"', {"front|orders|Sum": [18], "front|pay|Sum": [9]}),
        ('MetricName="Fault" "RemoteService"="stock"', {"orders|stock|Sum": [1]}),
        ('MetricName="Latency" "RemoteService"="sto"', {}),
        ('MetricName="Latency" "Environment"="a \\"b\\"" Service="orders"', {"orders|stock|Sum": [1]}),
    ],
    ids=["a metric of a namespace", "AND", "another metric", "part of a value", "escaped quotes"],
)
async def test_a_search_finds_the_metrics_with_exactly_its_dimensions(cloudwatch: Any, terms: str, found: dict[str, list[float]]):
    assert await find(cloudwatch, f"SEARCH('{EDGE} {terms}', 'Sum', 60)") == found


async def test_empty_ones_may_be_removed_or_not_with_the_same_result(cloudwatch: Any):
    text = f"SEARCH('{EDGE} MetricName=\"Fault\"', 'p50', 60)"
    assert await find(cloudwatch, f"REMOVE_EMPTY({text})") == await find(cloudwatch, text) != {}


async def test_what_was_silent_for_two_weeks_is_not_found(aws: Aws, cloudwatch: Any):
    text = f"SEARCH('{EDGE} MetricName=\"Fault\"', 'Sum', 60)"
    aws.clock = lambda: NOW - 60 + 14 * 86400
    assert len(await find(cloudwatch, text)) == 3
    aws.clock = lambda: NOW - 60 + 14 * 86400 + 1
    assert await find(cloudwatch, text) == {}


async def test_500_are_returned_and_a_message_says_so(aws: Aws, cloudwatch: Any):
    for number in range(501):
        aws.put("Many", "Latency", {"Service": f"s{number}"}, NOW - 60, values={1: 1})
    query = expression("SEARCH('{Many,Service} MetricName=\"Latency\"', 'Sum', 60)")
    answer = await cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=NOW - 60, EndTime=NOW)
    assert len(answer["MetricDataResults"]) == 500
    assert [message["Code"] for message in answer["Messages"]] == ["MaxMetricsExceeded"]


async def test_every_metric_that_is_found_is_billed(aws: Aws, cloudwatch: Any):
    await find(cloudwatch, f"SEARCH('{EDGE} MetricName=\"Latency\" Environment=\"prod\"', 'Sum', 60)")
    assert [(call.queries, call.billed) for call in aws.calls] == [(1, 3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SELECT SUM(Latency) FROM Shop", "does not understand"),
        ("a + b", "does not understand"),
        (f"SEARCH('{EDGE} MetricName=Latency', 'Sum', 60)", "does not understand"),
        (f"SEARCH('{EDGE} MetricName=\"a\" OR MetricName=\"b\"', 'Sum', 60)", "does not understand"),
        (f"SEARCH('{EDGE} MetricName=\"{'a' * 1024}\"', 'Sum', 60)", "longer than 1024"),
        ("a" * 2049, "longer than 2048"),
    ],
    ids=["SQL", "arithmetic", "tokens", "OR", "a long text", "a long expression"],
)
async def test_what_is_beyond_the_double_is_refused(cloudwatch: Any, text: str, message: str):
    with pytest.raises(ClientError, match=message):
        await find(cloudwatch, text)


async def test_a_label_tells_properties_of_a_metric_too(aws: Aws, cloudwatch: Any):
    label = "${PROP('Namespace')} ${PROP('MetricName')} ${PROP('Period')} ${PROP('Dim.Zone')}${PROP('Dim.Service')}"
    queries = [
        question("Latency", "Sum", {"Environment": "prod", "Service": "front"}, Label=label),
        question("Latency", "Sum", {"Environment": "prod", "Service": "front"}, ident="plain"),
    ]
    answer = await cloudwatch.get_metric_data(MetricDataQueries=queries, StartTime=NOW - 60, EndTime=NOW)
    assert [result["Label"] for result in answer["MetricDataResults"]] == ["Shop Latency 60 front", "Latency"]
    assert aws.billed == 1


async def test_a_label_has_five_dynamic_values_at_most(cloudwatch: Any):
    with pytest.raises(ClientError, match="5 dynamic values"):
        await find(cloudwatch, f"SEARCH('{EDGE} MetricName=\"Fault\"', 'Sum', 60)", Label="${PROP('Stat')}" * 6)
