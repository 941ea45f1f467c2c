"""Calls to AWS go to the right place, are bounded in number and time, are counted, and block nobody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from blockbuster import blockbuster_ctx

from backends.cloudwatch import credentials
from backends.cloudwatch.session import Aws
from metrics_api import BackendTimeout, BackendUnavailable, BadConfiguration
from tests.backends.cloudwatch.opening import settings, until
from tests.doubles.cloudwatch import Aws as Double

DEAD = "http://127.0.0.1:1"


async def listed(aws: Aws) -> Any:
    return await aws.call("cloudwatch", "list_metrics", Namespace="Any")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are repeated without waiting."""

    async def wait(*_: object) -> None:
        return None

    monkeypatch.setattr("aiobotocore.endpoint.AioEndpoint._sleep", wait)


@pytest.mark.parametrize(
    ("configured", "variables", "profile"),
    [
        ("eu-west-1", {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-2"}, "us-west-1"),
        ("", {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-2"}, "us-west-1"),
        ("", {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-1"}, "us-west-1"),
        ("", {}, "eu-west-1"),
    ],
    ids=["configuration", "AWS_REGION", "AWS_DEFAULT_REGION", "profile"],
)
@pytest.mark.usefixtures("aws")
async def test_the_region_is_that_of_the_first_who_tells(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    configured: str,
    variables: dict[str, str],
    profile: str,
):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config").write_text(f"[default]\nregion = {profile}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    async with Aws(settings(region=configured)) as session:
        assert session.region == "eu-west-1"
        # The double accepts signatures for this region alone.
        await listed(session)
    assert session.region == ""


async def test_without_a_region_it_does_not_start_and_says_what_to_set(aws: Double, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(BadConfiguration) as caught:
        async with Aws(settings()):
            pass
    assert caught.value.problems == ('source "aws": no AWS region is configured; set region, or AWS_REGION or AWS_DEFAULT_REGION',)
    assert aws.calls == []


@pytest.mark.parametrize("region", ["eu west", "eu-west-1.evil.example", "-", "x" * 70])
@pytest.mark.usefixtures("aws")
async def test_what_is_no_region_is_refused_at_the_start(region: str):
    with pytest.raises(BadConfiguration, match="is not the name of an AWS region"):
        async with Aws(settings(region=region)):
            pass


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_CLOUDWATCH"])
async def test_the_endpoint_of_the_environment_is_asked(aws: Double, monkeypatch: pytest.MonkeyPatch, variable: str):
    monkeypatch.setenv("AWS_ENDPOINT_URL", DEAD)
    monkeypatch.setenv(variable, aws.url)
    async with Aws(settings()) as session:
        await listed(session)
    assert len(aws.calls) == 1


async def test_the_endpoint_of_the_configuration_is_asked_for_every_service(aws: Double, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", DEAD)
    monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", DEAD)
    async with Aws(settings(endpoint_url=aws.url)) as session:
        await listed(session)
        now = int(time.time())
        await session.call("xray", "get_service_graph", StartTime=now - 60, EndTime=now)
        await session.call("application-signals", "list_services", StartTime=now - 3600, EndTime=now)
    assert [call.operation for call in aws.calls] == ["ListMetrics", "GetServiceGraph", "ListServices"]
    assert session.calls == {"ListMetrics": 1, "GetServiceGraph": 1, "ListServices": 1}


async def test_nothing_is_asked_before_it_is_needed_nor_after_it_was_closed(aws: Double):
    async with Aws(settings()) as session:
        assert session.calls == {}
    assert aws.calls == []
    with pytest.raises(BackendUnavailable, match="is closed"):
        await listed(session)


async def test_no_more_calls_are_under_way_than_configured(aws: Double):
    aws.slow("ListMetrics", 0.02)
    aws.slow("GetServiceGraph", 0.02)
    async with Aws(settings(concurrency=3)) as session:
        graphs = (session.call("xray", "get_service_graph", StartTime=0, EndTime=60) for _ in range(6))
        await asyncio.gather(*(listed(session) for _ in range(6)), *graphs)
        assert await made(session) == 2
    assert aws.busiest == 3
    assert session.calls == {"ListMetrics": 6, "GetServiceGraph": 6}


async def made(session: Aws) -> int:
    """How many clients there are."""
    async with session._clients.using() as clients:
        return len(clients.by_service)


async def test_waiting_for_others_is_part_of_the_time_of_a_call(aws: Double):
    async with Aws(settings(concurrency=1, timeout=1)) as session:
        await listed(session)
        aws.fail("ListMetrics", "hang", None)
        began = time.monotonic()
        outcomes = await asyncio.gather(*(listed(session) for _ in range(5)), return_exceptions=True)
        assert time.monotonic() - began < 2
    assert {type(outcome) for outcome in outcomes} == {BackendTimeout}
    assert {str(outcome) for outcome in outcomes} == {'source "aws": AWS did not answer ListMetrics within 1s'}


async def test_what_is_slow_is_not_asked_again_because_what_is_asked_is_paid_for(aws: Double):
    async with Aws(settings(timeout=1)) as session:
        await listed(session)
        aws.fail("ListMetrics", "hang", None)
        with pytest.raises(BackendTimeout):
            await listed(session)
    assert len(aws.calls) == 2


async def test_a_call_that_is_given_up_makes_room_for_others(aws: Double):
    async with Aws(settings(concurrency=1, timeout=5)) as session:
        await listed(session)
        aws.fail("ListMetrics", "hang")
        hanging = asyncio.create_task(listed(session))
        await until(lambda: len(aws.calls) == 2)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        async with asyncio.timeout(3):
            await listed(session)
        await until(lambda: not aws.under_way)
    assert [call.given_up for call in aws.calls] == [False, True, False]


@pytest.mark.parametrize("cancelled_after", [0, 0.01, 0.05, 0.1])
@pytest.mark.usefixtures("aws")
async def test_one_who_gives_up_while_the_client_is_made_does_not_keep_others_from_it(cancelled_after: float):
    async with Aws(settings()) as session:
        first, second = asyncio.create_task(listed(session)), asyncio.create_task(listed(session))
        await asyncio.sleep(cancelled_after)
        first.cancel()
        await second
        assert await made(session) == 1
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], asyncio.CancelledError | dict)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(("fault", "throttled"), [("throttle", 2), ("drop", 0), ("error", 0), ("html", 0)])
async def test_what_is_turned_away_or_breaks_off_is_asked_again_and_each_time_counts(aws: Double, fault: Any, throttled: int):
    async with Aws(settings()) as session:
        aws.fail("ListMetrics", fault, 2)
        await listed(session)
        assert session.calls == {"ListMetrics": 3}
        assert session.throttled == throttled
    assert len(aws.calls) == 3


@pytest.mark.usefixtures("at_once")
async def test_a_service_that_throttles_on_and_on_is_asked_three_times(aws: Double):
    aws.throttle("GetServiceGraph", None)
    async with Aws(settings()) as session:
        with pytest.raises(BackendUnavailable, match="too many requests for GetServiceGraph") as caught:
            await session.call("xray", "get_service_graph", StartTime=0, EndTime=60)
        assert session.calls == {"GetServiceGraph": 3}
        assert session.throttled == 3
    assert caught.value.retry_after == 3
    assert len(aws.calls) == 3


@pytest.mark.usefixtures("aws")
async def test_nothing_blocks_the_loop():
    now = int(time.time())
    # As in a new process, in which nothing has been read yet.
    credentials._models.cache_clear()
    with blockbuster_ctx():
        async with Aws(settings()) as session:
            await listed(session)
            await session.call("xray", "get_service_graph", StartTime=now - 60, EndTime=now)
            await session.call("application-signals", "list_services", StartTime=now - 3600, EndTime=now)


@pytest.fixture
async def heard() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """The address of a CloudWatch that has no metrics, and what it has heard."""
    requests: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        return web.json_response({"Metrics": []}, content_type="application/x-amz-json-1.0")

    app = web.Application()
    app.router.add_post("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", requests
    await runner.cleanup()


@pytest.mark.usefixtures("aws")
async def test_aws_is_told_who_asks(heard: tuple[str, list[web.Request]]):
    url, requests = heard
    async with Aws(settings(endpoint_url=url)) as session:
        assert (await listed(session))["Metrics"] == []
    assert " trafficmetrics/" in requests[0].headers["User-Agent"]
    assert "/eu-west-1/monitoring/aws4_request" in requests[0].headers["Authorization"]
