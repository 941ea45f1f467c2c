"""What goes wrong between a real client and the double, when a test says so."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    HTTPClientError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)

from tests.backends.cloudwatch.conftest import Connect
from tests.backends.cloudwatch.test_double_identity import ASKS
from tests.doubles.authority import Authority
from tests.doubles.cloudwatch import Aws, Fault, run_aws

OPERATIONS = {
    "cloudwatch": "ListMetrics",
    "xray": "GetServiceGraph",
    "application-signals": "ListServices",
    "sts": "GetCallerIdentity",
}


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("cloudwatch", "Throttling", 400),
        ("xray", "ThrottledException", 429),
        ("application-signals", "ThrottlingException", 429),
        ("sts", "Throttling", 400),
    ],
)
async def test_a_service_throttles_in_its_own_way(aws: Aws, connect: Connect, service: str, code: str, status: int):
    aws.throttle(OPERATIONS[service], 2)
    async with connect(service) as client:
        for _ in range(2):
            with pytest.raises(ClientError, match="Rate exceeded") as refused:
                await ASKS[service](client)
            assert refused.value.response["Error"]["Code"] == code
        await ASKS[service](client)
    assert [call.status for call in aws.calls] == [status, status, 200]


async def test_a_client_that_retries_gets_over_one_throttling(aws: Aws, models: AioSession):
    aws.throttle("ListMetrics")
    async with models.create_client(
        "cloudwatch", config=AioConfig(retries={"mode": "standard", "total_max_attempts": 2})
    ) as client:
        assert (await client.list_metrics())["Metrics"] == []
    assert [call.error for call in aws.calls] == ["Throttling", ""]


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("error", ClientError, "InternalServiceError"),
        ("html", ClientError, "502"),
        ("drop", ConnectionClosedError, ""),
        ("half", (ResponseStreamingError, HTTPClientError), ""),
    ],
)
async def test_each_fault_is_seen_by_the_client(aws: Aws, cloudwatch: Any, fault: Fault, error: Any, code: str):
    aws.fail("ListMetrics", fault)
    with pytest.raises(error) as failed:
        await cloudwatch.list_metrics()
    if isinstance(failed.value, ClientError):
        assert failed.value.response["Error"]["Code"] == code
    assert (await cloudwatch.list_metrics())["Metrics"] == []


async def test_a_body_that_is_no_json_leaves_the_client_with_an_answer_that_lacks_everything(aws: Aws, cloudwatch: Any):
    aws.fail("ListMetrics", "garbage")
    assert "Metrics" not in await cloudwatch.list_metrics()


async def test_what_hangs_is_given_up_by_the_client(aws: Aws, models: AioSession):
    aws.fail("ListMetrics", "hang")
    config = AioConfig(retries={"total_max_attempts": 1}, read_timeout=0.1)
    async with models.create_client("cloudwatch", config=config) as client:
        with pytest.raises(ReadTimeoutError):
            await client.list_metrics()
    await aws.until(lambda aws: not aws.under_way)
    assert [(call.status, call.given_up) for call in aws.calls] == [(0, True)]


async def test_slow_answers_come_when_their_time_is_over(aws: Aws, cloudwatch: Any):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await cloudwatch.list_metrics()
    quick = loop.time() - begun
    aws.slow("ListMetrics", 0.3)
    begun = loop.time()
    await cloudwatch.list_metrics()
    assert quick < 0.3 <= loop.time() - begun


async def test_what_is_held_waits_for_its_event_and_is_counted(aws: Aws, cloudwatch: Any):
    gate = aws.hold("ListMetrics")
    asked = [asyncio.ensure_future(cloudwatch.list_metrics()) for _ in range(3)]
    await aws.until(lambda aws: aws.under_way == 3)
    assert [call.status for call in aws.calls] == [0, 0, 0]
    gate.set()
    await asyncio.gather(*asked)
    assert (aws.under_way, aws.busiest) == (0, 3)


async def test_faults_are_of_one_operation_and_end_when_told(aws: Aws, connect: Connect):
    aws.fail("ListMetrics", "error", times=None)
    async with connect("cloudwatch") as client, connect("xray") as xray:
        for _ in range(3):
            with pytest.raises(ClientError):
                await client.list_metrics()
        await ASKS["xray"](xray)
        aws.recover()
        await client.list_metrics()


async def test_behind_tls_a_client_must_trust_who_signed_its_certificate(models: AioSession, tmp_path: Path):
    authority = Authority("aws-ca")
    (tmp_path / "ca.crt").write_text(authority.pem)
    async with run_aws(context=authority.server_context("127.0.0.1", directory=tmp_path)) as aws:
        keys = {"aws_access_key_id": aws.identity.access_key, "aws_secret_access_key": aws.identity.secret_key}
        where = keys | {"endpoint_url": aws.url, "region_name": aws.region}
        config = AioConfig(retries={"total_max_attempts": 1})
        async with models.create_client("cloudwatch", verify=str(tmp_path / "ca.crt"), config=config, **where) as client:
            assert (await client.list_metrics())["Metrics"] == []
        async with models.create_client("cloudwatch", config=config, **where) as client:
            with pytest.raises(SSLError):
                await client.list_metrics()
