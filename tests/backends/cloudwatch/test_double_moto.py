"""The double agrees with moto's server wherever moto does what CloudWatch documents.

moto has no percentiles and no SEARCH, does not page GetMetricData, reads other namespaces too and lists a metric once for each data point.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession

from tests.backends.cloudwatch.conftest import Connect
from tests.doubles.cloudwatch import Aws, run_aws
from tests.doubles.cloudwatch.asking import dimensions, points, question

_PATIENCE = 30.0
"""Seconds moto has to start."""

SERVICE = {"Environment": "eks:prod/shop", "Service": "orders"}
EDGE = SERVICE | {"RemoteService": "stock"}


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of moto's server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(tmp_path_factory.mktemp("moto")) / "moto.log"
    url = f"http://127.0.0.1:{port}"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=file, stderr=file
        ) as process,
    ):
        try:
            _wait(url, process, log)
            yield url
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):  # noqa: S310
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"moto does not start: {log.read_text()}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
async def both(models: AioSession, moto: str) -> AsyncIterator[tuple[list[Any], int]]:
    """A client of the double and one of moto, after the same was published to either, and the minute that all of it ended with."""
    end = int(time.time()) // 3600 * 3600 - 3600
    async with run_aws() as aws, AsyncExitStack() as stack:
        keys = {"aws_access_key_id": aws.identity.access_key, "aws_secret_access_key": aws.identity.secret_key}
        where = keys | {"region_name": aws.region}
        clients = [
            await stack.enter_async_context(models.create_client("cloudwatch", endpoint_url=url, **where))
            for url in (aws.url, moto)
        ]
        for client in clients:
            for minute in range(1, 11):
                values = {"Values": [10, 20, 30, 400], "Counts": [5, 3, 2, minute]}
                common = {"Timestamp": end - 60 * minute} | values
                data = [
                    {"MetricName": "Latency", "Dimensions": dimensions(SERVICE)} | common,
                    {"MetricName": "Latency", "Dimensions": dimensions(EDGE)} | common,
                    {"MetricName": "Fault", "Dimensions": dimensions(EDGE | {"Service": "till"})} | common,
                ]
                await client.put_metric_data(Namespace="Shop", MetricData=data)
        yield clients, end


@pytest.mark.parametrize("stat", ["SampleCount", "Sum", "Average", "Minimum", "Maximum"])
@pytest.mark.parametrize("period", [60, 120, 300])
async def test_statistics_of_a_period_are_the_same(both: Any, stat: str, period: int):
    clients, end = both
    queries = [
        question("Latency", stat, SERVICE, ident="service", period=period),
        question("Latency", stat, EDGE, ident="edge", period=period),
        question("Latency", stat, {"Service": "orders"}, ident="fewer", period=period),
        question("Latency", stat, EDGE | {"More": "x"}, ident="more", period=period),
    ]
    ours, theirs = [
        await client.get_metric_data(MetricDataQueries=queries, StartTime=end - 480, EndTime=end - 60) for client in clients
    ]
    assert [len(points(result)) > 0 for result in ours["MetricDataResults"]] == [True, True, False, False]
    for mine, other in zip(ours["MetricDataResults"], theirs["MetricDataResults"], strict=True):
        assert (mine["Id"], mine["StatusCode"]) == (other["Id"], other["StatusCode"])
        assert list(points(mine)) == list(points(other))
        assert points(mine) == pytest.approx(points(other))


@pytest.mark.parametrize("order", ["TimestampAscending", "TimestampDescending"])
async def test_points_are_scanned_in_the_same_order(both: Any, order: str):
    clients, end = both
    asked = {"MetricDataQueries": [question("Latency", "Sum", SERVICE)], "StartTime": end - 600, "EndTime": end, "ScanBy": order}
    ours, theirs = [await client.get_metric_data(**asked) for client in clients]
    assert len(points(ours["MetricDataResults"][0])) == 10
    assert list(points(ours["MetricDataResults"][0])) == list(points(theirs["MetricDataResults"][0]))


@pytest.mark.parametrize(
    "asked",
    [
        {"Namespace": "Shop"},
        {"Namespace": "Elsewhere"},
        {"Namespace": "Shop", "MetricName": "Fault"},
        {"Namespace": "Shop", "Dimensions": [{"Name": "RemoteService"}]},
        {"Namespace": "Shop", "Dimensions": [{"Name": "Service", "Value": "orders"}]},
        {"Namespace": "Shop", "Dimensions": [{"Name": "Service", "Value": "orders"}, {"Name": "RemoteService"}]},
        {"Namespace": "Shop", "Dimensions": [{"Name": "Service", "Value": "nobody"}]},
    ],
    ids=["a namespace", "another namespace", "a name", "a dimension", "a value", "both", "no such value"],
)
async def test_the_same_metrics_are_listed(both: Any, asked: dict[str, Any]):
    clients, _ = both
    ours, theirs = [[page async for page in client.get_paginator("list_metrics").paginate(**asked)] for client in clients]

    def found(pages: list[dict[str, Any]]) -> list[Any]:
        return [
            (one["Namespace"], one["MetricName"], frozenset((pair["Name"], pair["Value"]) for pair in one["Dimensions"]))
            for page in pages
            for one in page["Metrics"]
        ]

    assert len(found(ours)) == len(set(found(ours)))
    assert set(found(ours)) == set(found(theirs))


async def test_sts_answers_with_the_same_members(aws: Aws, connect: Connect, moto: str):
    answers = []
    for url in (aws.url, moto):
        async with connect("sts", url=url) as client:
            answers.append(await client.get_caller_identity())
            aws.issuer.web_tokens["token"] = role = "arn:aws:iam::111122223333:role/traffic"
            token = {"RoleArn": role, "RoleSessionName": "session", "WebIdentityToken": "token"}
            answers.append(await client.assume_role_with_web_identity(**token))
    for ours, theirs in zip(answers[:2], answers[2:], strict=True):
        assert set(ours) <= set(theirs)
    assert set(answers[1]["Credentials"]) == set(answers[3]["Credentials"])
    assert answers[1]["AssumedRoleUser"]["Arn"] == answers[3]["AssumedRoleUser"]["Arn"]
