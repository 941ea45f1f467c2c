"""Whatever goes wrong between us and AWS is one of a few errors, which says what to do; nothing of the SDK comes through."""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest
from aiohttp import web

from backends.cloudwatch.session import Aws
from metrics_api import BackendError, BackendProtocolError, BackendRefused, BackendTimeout, BackendUnavailable
from tests.backends.cloudwatch.opening import opened, renew_double, settings
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import Identity

Pair = tuple[Double, Aws]

NOW = int(time.time())
CALLS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "GetMetricData": (
        "cloudwatch",
        "get_metric_data",
        {
            "MetricDataQueries": [
                {"Id": "q", "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}}
            ],
            "StartTime": NOW - 60,
            "EndTime": NOW,
        },
    ),
    "ListMetrics": ("cloudwatch", "list_metrics", {}),
    "GetServiceGraph": ("xray", "get_service_graph", {"StartTime": NOW - 60, "EndTime": NOW}),
    "ListServices": ("application-signals", "list_services", {"StartTime": NOW - 3600, "EndTime": NOW}),
}
every_operation = pytest.mark.parametrize("operation", CALLS)


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[Pair]:
    async with opened(timeout=1) as pair:
        yield pair


@pytest.fixture
def pair(shared: Pair) -> Iterator[Pair]:
    yield shared
    renew_double(shared[0])


async def failure(aws: Aws, operation: str = "ListMetrics") -> BackendError:
    service, method, parameters = CALLS[operation]
    with pytest.raises(BackendError) as caught:
        await aws.call(service, method, **parameters)
    assert caught.value.backend == "aws"
    assert caught.value.message.startswith('source "aws": ')
    return caught.value


@every_operation
@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("throttle", BackendUnavailable, "AWS says there are too many requests for {}"),
        ("error", BackendUnavailable, "AWS failed to answer {} (HTTP 500)"),
        ("html", BackendUnavailable, "AWS failed to answer {} (HTTP 502)"),
        ("half", BackendUnavailable, "broke off"),
        ("drop", BackendUnavailable, "broke off"),
        ("garbage", BackendProtocolError, "answered {} with something that is not its protocol"),
    ],
)
async def test_what_goes_wrong_is_named(pair: Pair, operation: str, fault: Any, error: type[BackendError], words: str):
    double, aws = pair
    # Twice, because aiohttp by itself repeats a GET that breaks off on a connection that was used before.
    double.fail(operation, fault, 2)
    caught = await failure(aws, operation)
    assert type(caught) is error
    assert words.format(operation) in caught.message
    assert caught.retry_after == (3 if fault == "throttle" else 1)


async def test_no_answer_is_a_timeout(pair: Pair):
    double, aws = pair
    double.fail("GetMetricData", "hang")
    caught = await failure(aws, "GetMetricData")
    assert type(caught) is BackendTimeout
    assert caught.message == 'source "aws": AWS did not answer GetMetricData within 1s'


@every_operation
@pytest.mark.parametrize("query_errors", [True, False], ids=["query-codes", "json-codes"])
async def test_the_action_that_is_not_allowed_is_named_as_iam_calls_it(pair: Pair, operation: str, query_errors: bool):  # noqa: FBT001
    double, aws = pair
    double.query_errors = query_errors
    action = f"{CALLS[operation][0]}:{operation}"
    double.denied.add(action)
    try:
        caught = await failure(aws, operation)
    finally:
        double.query_errors = True
    assert type(caught) is BackendRefused
    assert caught.message == (
        f'source "aws": AWS does not allow {action}; allow this action in the IAM policy of the role or user that is used'
    )


def _another_secret(double: Double) -> None:
    double.identities[double.identity.access_key] = Identity(double.identity.access_key, "another secret")


def _no_such_key(double: Double) -> None:
    double.identities.clear()


def _expired(double: Double) -> None:
    double.identity.expires = time.time() - 1


def _elsewhere(double: Double) -> None:
    double.region = "us-east-1"


@every_operation
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _another_secret,
            "AWS does not accept the signature .*; check the secret access key, the region, and the clock of this machine",
        ),
        (
            _elsewhere,
            "AWS does not accept the signature .*; check the secret access key, the region, and the clock of this machine",
        ),
        (_no_such_key, "AWS does not know the credentials .*; check the access key, the session token and the region"),
        (_expired, "the AWS credentials have expired .*; use a role, whose credentials are renewed, or set new ones"),
    ],
    ids=["wrong-secret", "wrong-region", "unknown-key", "expired"],
)
async def test_what_is_wrong_with_the_credentials_is_named(
    pair: Pair, operation: str, change: Callable[[Double], None], words: str
):
    double, aws = pair
    change(double)
    try:
        caught = await failure(aws, operation)
    finally:
        double.region, double.identity.expires = "eu-west-1", None
        double.identities[double.identity.access_key] = double.identity
    assert type(caught) is BackendRefused
    assert re.search(words, caught.message)


async def test_what_the_api_refuses_is_told_to_the_log_and_not_to_the_reader(pair: Pair, caplog: pytest.LogCaptureFixture):
    _, aws = pair
    caplog.set_level(logging.INFO, "backends")
    with pytest.raises(BackendRefused) as caught:
        await aws.call("cloudwatch", "list_metrics", RecentlyActive="PT3H", Dimensions=[{"Name": f"d{n}"} for n in range(11)])
    assert caught.value.message == ('source "aws": AWS refused ListMetrics (InvalidParameterValue); what it says is in the log')
    assert "must not have a size greater than 10" in caplog.text


async def test_what_the_sdk_refuses_is_told_to_the_log_and_not_to_the_reader(pair: Pair, caplog: pytest.LogCaptureFixture):
    double, aws = pair
    caplog.set_level(logging.INFO, "backends")
    with pytest.raises(BackendRefused) as caught:
        await aws.call("cloudwatch", "get_metric_data", MetricDataQueries="none", StartTime=0, EndTime=60)
    assert caught.value.message == 'source "aws": GetMetricData cannot be asked like this; what is wrong is in the log'
    assert "Invalid type for parameter MetricDataQueries" in caplog.text
    assert double.calls == []


@pytest.mark.usefixtures("shared")
async def test_an_address_where_nobody_listens_is_named():
    async with Aws(settings(endpoint_url="http://127.0.0.1:1"), attempts=1) as aws:
        caught = await failure(aws)
    assert type(caught) is BackendUnavailable
    assert caught.message == ('source "aws": cannot be reached at http://127.0.0.1:1/; check region, endpointUrl and the network')


@pytest.mark.usefixtures("shared")
async def test_an_address_that_the_sdk_does_not_take_is_told(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    async with Aws(settings(endpoint_url="http://my_proxy:8080"), attempts=1) as aws:
        caught = await failure(aws)
    assert type(caught) is BackendRefused
    assert "cannot be asked like this; check endpointUrl, and AWS_ENDPOINT_URL" in caught.message
    assert "Invalid endpoint: http://my_proxy:8080" in caplog.text


@pytest.mark.usefixtures("shared")
async def test_an_address_that_does_not_take_connections_is_a_timeout():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        # The kernel holds one connection more than the backlog, and does not answer further ones.
        with socket.create_connection(address), socket.socket() as second:
            second.setblocking(False)
            second.connect_ex(address)
            async with Aws(settings(endpoint_url=f"http://127.0.0.1:{address[1]}", timeout=1), attempts=1) as aws:
                caught = await failure(aws)
    assert type(caught) is BackendTimeout


@pytest.fixture
async def other() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """The address of something else than AWS, and what it answers."""
    answers: dict[str, Any] = {}

    async def answer(_: web.Request) -> web.Response:
        return web.Response(**answers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    await runner.cleanup()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"text": "<html>sign in</html>", "content_type": "text/html"}, BackendProtocolError, "something that is not its protocol"),
        ({"text": "[]", "content_type": "application/json"}, BackendProtocolError, "something that is not its protocol"),
        ({"text": ""}, BackendProtocolError, "something that is not its protocol"),
        ({"body": b"\xff\xfe\x00"}, BackendProtocolError, "something that is not its protocol"),
        ({"status": 302, "headers": {"Location": "http://elsewhere/"}}, BackendRefused, r"is redirected elsewhere \(HTTP 302\)"),
        ({"status": 404, "text": "<html>not found</html>"}, BackendRefused, r"HTTP 404.*; does endpointUrl point to"),
        ({"status": 403, "text": "no"}, BackendRefused, "HTTP 403"),
        ({"status": 429, "text": "slow down"}, BackendUnavailable, "too many requests"),
        ({"status": 503, "text": "{}"}, BackendUnavailable, "HTTP 503"),
    ],
    ids=["html", "list", "empty", "binary", "redirect", "404", "403", "429", "503"],
)
@pytest.mark.parametrize("operation", ["ListMetrics", "GetServiceGraph"])
@pytest.mark.usefixtures("shared")
async def test_an_address_of_something_else_is_recognised(
    other: tuple[str, dict[str, Any]],
    operation: str,
    answer: dict[str, Any],
    error: type[BackendError],
    words: str,
):
    url, answers = other
    answers |= answer
    async with Aws(settings(endpoint_url=url), attempts=1) as aws:
        caught = await failure(aws, operation)
    assert type(caught) is error
    assert re.search(words, caught.message), caught.message
