"""The double's X-Ray and Application Signals, asked by real clients."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.backends.cloudwatch.conftest import Connect
from tests.doubles.cloudwatch import Aws, edge, node, on_kubernetes, outcomes

NOW = 1_800_000_000
HOUR = 3600


@pytest.fixture
async def xray(connect: Connect) -> AsyncIterator[Any]:
    async with connect("xray") as client:
        yield client


@pytest.fixture
async def signals(connect: Connect) -> AsyncIterator[Any]:
    async with connect("application-signals") as client:
        yield client


async def graph(client: Any, **further: Any) -> list[dict[str, Any]]:
    return [
        page
        async for page in client.get_paginator("get_service_graph").paginate(**{"StartTime": NOW - 60, "EndTime": NOW} | further)
    ]


async def test_a_graph_comes_as_it_was_drawn(aws: Aws, xray: Any):
    seen = outcomes(ok=5, errors=2, throttled=1, faults=3, seconds=1.5)
    aws.graph.services = [
        node(0, "front", seen, {0.1: 10, 0.5: 1}, [edge(1, outcomes(ok=4), {0.2: 4}), edge(2, EdgeType="link")], Root=True),
        node(1, "orders", Type="AWS::EKS::Container"),
    ]
    (page,) = await graph(xray)
    front, orders = page["Services"]
    assert (front["ReferenceId"], front["Name"], front["Names"], front["Root"]) == (0, "front", ["front"], True)
    assert front["SummaryStatistics"] == {
        "OkCount": 5,
        "ErrorStatistics": {"ThrottleCount": 1, "OtherCount": 2, "TotalCount": 3},
        "FaultStatistics": {"OtherCount": 3, "TotalCount": 3},
        "TotalCount": 11,
        "TotalResponseTime": 1.5,
    }
    assert front["ResponseTimeHistogram"] == [{"Value": 0.1, "Count": 10}, {"Value": 0.5, "Count": 1}]
    assert [(one["ReferenceId"], one["SummaryStatistics"]["OkCount"], one.get("EdgeType")) for one in front["Edges"]] == [
        (1, 4, None),
        (2, 0, "link"),
    ]
    assert "ResponseTimeHistogram" not in front["Edges"][1]
    assert (orders["Type"], "SummaryStatistics" in orders) == ("AWS::EKS::Container", False)
    assert page["StartTime"] == dt.datetime.fromtimestamp(NOW - 60, dt.UTC)


async def test_a_graph_comes_in_pages_and_depends_on_the_range_and_the_group(aws: Aws, xray: Any):
    aws.graph.services = lambda start, end: [node(number, f"s{number}") for number in range(int(end - start) // 60)]
    aws.graph.groups["shop"] = [node(7, "orders")]
    aws.graph.page_services, aws.graph.old_groups = 2, True
    found = await graph(xray, StartTime=NOW - 300)
    assert [[one["Name"] for one in page["Services"]] for page in found] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert found[0]["ContainsOldGroupVersions"] is True
    assert [one["Name"] for one in (await graph(xray, GroupName="shop"))[0]["Services"]] == ["orders"]
    assert len((await graph(xray, GroupName="Default"))[0]["Services"]) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"StartTime": NOW - 6 * HOUR - 1}, "longer than 6 hours"),
        ({"StartTime": NOW}, "before end time"),
        ({"StartTime": None}, "required"),
        ({"GroupName": "elsewhere"}, "does not exist"),
        ({"NextToken": "graph-9"}, "next token"),
    ],
    ids=["a long range", "an empty range", "no start", "no such group", "no such token"],
)
async def test_a_question_without_a_graph_is_invalid(xray: Any, parameters: dict[str, Any], message: str):
    asked = {name: value for name, value in ({"StartTime": NOW - 60, "EndTime": NOW} | parameters).items() if value is not None}
    with pytest.raises(ClientError, match=message) as refused:
        await xray.get_service_graph(**asked)
    assert refused.value.response["Error"]["Code"] == "InvalidRequestException"


async def test_six_hours_are_not_too_long(xray: Any):
    assert (await graph(xray, StartTime=NOW - 6 * HOUR))[0]["Services"] == []


async def services(client: Any, start: float = NOW - HOUR, end: float = NOW, **further: Any) -> list[dict[str, Any]]:
    return [page async for page in client.get_paginator("list_services").paginate(StartTime=start, EndTime=end, **further)]


async def test_a_service_has_its_key_its_platform_and_its_metrics(aws: Aws, signals: Any):
    aws.signals.add("orders", "eks:prod/shop", on_kubernetes("prod", "shop", "orders"), {"Telemetry.Agent": "x"})
    aws.signals.add("till", "k8s:lab/shop", on_kubernetes("lab", "shop", "till", eks=False))
    (page,) = await services(signals)
    orders, till = page["ServiceSummaries"]
    assert orders["KeyAttributes"] == {"Type": "Service", "Name": "orders", "Environment": "eks:prod/shop"}
    assert orders["AttributeMaps"] == [
        {"PlatformType": "AWS::EKS", "EKS.Cluster": "prod", "K8s.Namespace": "shop", "K8s.Workload": "orders"},
        {"Telemetry.Agent": "x"},
    ]
    assert [one["MetricName"] for one in orders["MetricReferences"]] == ["Latency", "Fault", "Error"]
    assert till["AttributeMaps"][0]["K8s.Cluster"] == "lab"


@pytest.mark.parametrize(("asked", "served", "pages"), [(None, 100, 3), (100, 100, 2), (100, 10, 12), (60, 100, 2)])
async def test_services_come_in_pages(aws: Aws, signals: Any, asked: int | None, served: int, pages: int):
    for number in range(120):
        aws.signals.add(f"s{number}", "generic:default")
    aws.signals.page_services = served
    found = await services(signals, **({} if asked is None else {"MaxResults": asked}))
    names = [one["KeyAttributes"]["Name"] for page in found for one in page["ServiceSummaries"]]
    assert names == [f"s{number}" for number in range(120)]
    assert len(found) == pages


@pytest.mark.parametrize(
    ("start", "end", "rounded", "found"),
    [
        (NOW - 1799, NOW + 1799, (NOW, NOW), []),
        (NOW - 1801, NOW, (NOW - HOUR, NOW), ["always", "before"]),
        (NOW, NOW + 1800, (NOW, NOW + HOUR), ["always", "after"]),
        (NOW - HOUR, NOW + HOUR, (NOW - HOUR, NOW + HOUR), ["always", "before", "after"]),
    ],
    ids=["to nothing", "down", "up", "whole hours"],
)
async def test_a_range_is_rounded_to_hours(
    aws: Aws, signals: Any, start: int, end: int, rounded: tuple[int, int], found: list[str]
):
    aws.signals.add("always", "e")
    aws.signals.add("before", "e", seen=(NOW - 600, NOW))
    aws.signals.add("after", "e", seen=(NOW, NOW + 600))
    (page,) = await services(signals, start, end)
    assert (page["StartTime"].timestamp(), page["EndTime"].timestamp()) == rounded
    assert [one["KeyAttributes"]["Name"] for one in page["ServiceSummaries"]] == found


@pytest.mark.parametrize(
    "parameters",
    [{"MaxResults": 0}, {"MaxResults": 101}, {"StartTime": NOW + 2 * HOUR}, {"NextToken": "services-9"}],
    ids=["no results", "too many results", "an end before the start", "no such token"],
)
async def test_a_question_without_services_is_invalid(signals: Any, parameters: dict[str, Any]):
    with pytest.raises(ClientError) as refused:
        await signals.list_services(**{"StartTime": NOW - HOUR, "EndTime": NOW} | parameters)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
