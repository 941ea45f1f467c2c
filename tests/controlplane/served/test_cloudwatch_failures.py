"""What an operator meets with CloudWatch as the source: the command as people start it, and an AWS that does not do as it should."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.served.mesh import FLOWS
from tests.controlplane.served.server import GV
from tests.controlplane.served.signals import environment_of, spans_of
from tests.controlplane.served.standalone import TIMEOUT, Running, run, running
from tests.doubles.cloudwatch import Aws, Spoiled, run_aws
from tests.doubles.cloudwatch_mesh import Service, Spans, publish

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
async def aws() -> AsyncIterator[Aws]:
    """An AWS with an hour of the same traffic."""
    async with run_aws() as double:
        minute = int(time.time()) // 60 * 60
        publish(double, range(minute - 1800, minute + 600, 60), spans_of(FLOWS))
        publish(double, [minute - 600], [Spans(Service(environment_of("late"), f"late-{at}"), {5.0: 60}) for at in range(8)])
        yield double


@pytest.fixture
def whole(aws: Aws) -> Iterator[Aws]:
    """The same; whatever is broken in it is whole again afterwards."""
    yield aws
    aws.recover()


@pytest.fixture(scope="module")
async def server(aws: Aws, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server that has a fixed key."""
    async with running(aws, tmp_path_factory.mktemp("server"), aws.environment(), {}) as started:
        assert (await started.deployments()).status == 200
        yield started


_windows = itertools.count(2)


def another() -> str:
    """A window that nobody has asked for."""
    return f"window={next(_windows)}m"


KEY = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-of-forty-letters-which-none-shows"}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        pytest.param(
            KEY, 'source "signals": no AWS region is configured; set region, or AWS_REGION or AWS_DEFAULT_REGION', id="region"
        ),
        pytest.param(
            {"AWS_REGION": "eu-west-1"}, 'source "signals": there are no AWS credentials; give the pod a role', id="credentials"
        ),
        pytest.param(
            {"AWS_REGION": "eu-west-1", "AWS_PROFILE": "prod"},
            'the files of AWS have no profile "prod"; give the pod a role',
            id="profile",
        ),
        pytest.param({**KEY, "AWS_REGION": "Ireland!"}, '"Ireland!" is not the name of an AWS region', id="a wrong region"),
    ],
)
async def test_without_region_or_credentials_it_does_not_start_and_says_what_to_do(
    tmp_path: Path, variables: Mapping[str, str], told: str
):
    code, _, err = await run(tmp_path, "serve", variables=variables)
    assert code == 2
    assert told in err
    assert "Traceback" not in err
    assert KEY["AWS_SECRET_ACCESS_KEY"] not in err


async def test_credentials_that_cannot_be_had_yet_do_not_keep_the_server_from_starting(whole: Aws, tmp_path: Path):
    whole.fail("AssumeRoleWithWebIdentity", "drop", None)
    async with running(whole, tmp_path, whole.web_identity(tmp_path), {"region": "eu-west-1"}) as started:
        reply = await started.deployments(another())
        assert (reply.status, reply.document["reason"]) == (503, "ServiceUnavailable")
        assert "the AWS credentials cannot be retrieved from http://127.0.0.1" in reply.document["message"]
        assert "give the pod a role" not in reply.document["message"]
        health = await started.get("/readyz?verbose")
        assert (health.status, "[~]source-signals failed: not required" in health.body.decode()) == (200, True)
        whole.recover()
        async with asyncio.timeout(30):
            while (await started.deployments(another())).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
        assert "[+]source-signals ok" in (await started.get("/readyz?verbose")).body.decode()


async def test_what_is_not_allowed_is_named(server: Running, whole: Aws):
    whole.denied.add("cloudwatch:GetMetricData")
    reply = await server.deployments(another())
    assert (reply.status, reply.document["kind"], reply.document["reason"]) == (503, "Status", "ServiceUnavailable")
    assert (
        'source "signals": AWS does not allow cloudwatch:GetMetricData; allow this action in the IAM policy of the role or user'
        in reply.document["message"]
    )
    assert "arn:aws" not in reply.document["message"]


async def test_throttled_is_503_with_a_time_to_come_back(server: Running, whole: Aws):
    whole.throttle("GetMetricData", times=None)
    reply = await server.deployments(another())
    assert (reply.status, reply.headers["Retry-After"]) == (503, "3")
    assert "AWS says there are too many requests for GetMetricData" in reply.document["message"]


async def test_throttled_once_is_no_failure(server: Running, whole: Aws):
    whole.throttle("GetMetricData", times=1)
    reply = await server.deployments(another())
    assert (reply.status, len(reply.document["items"]) > 2) == (200, True)


async def test_too_slow_is_504(server: Running, whole: Aws):
    whole.slow("GetMetricData", 3 * TIMEOUT)
    began = time.monotonic()
    reply = await server.deployments(another())
    assert (reply.status, reply.document["reason"]) == (504, "Timeout")
    assert f"AWS did not answer GetMetricData within {TIMEOUT}s" in reply.document["message"]
    assert time.monotonic() - began < 2 * TIMEOUT


async def test_what_aws_says_of_the_whole_answer_marks_it_as_incomplete(server: Running, whole: Aws):
    whole.data.messages.append(("Internal", "some of it broke"))
    reply = await server.deployments(another())
    assert reply.status == 200
    assert {item["metadata"]["annotations"]["metrics.smi-spec.io/incomplete"] for item in reply.document["items"]} == {"true"}
    assert any("some of it broke (Internal)" in warning for warning in reply.headers.getall("Warning"))


async def test_a_metric_that_aws_fails_to_read_is_an_error_and_never_no_failures(server: Running, whole: Aws):
    whole.data.spoiled["Fault"] = Spoiled("InternalError", [("Internal", "it broke")])
    reply = await server.deployments(another())
    assert reply.status == 503
    assert "CloudWatch failed to read Sum of ApplicationSignals Fault (InternalError)" in reply.document["message"]


async def test_the_server_stays_ready_while_its_source_fails(server: Running, whole: Aws):
    whole.throttle("GetMetricData", times=None)
    await server.deployments(another())
    reply = await server.get("/readyz?verbose")
    assert reply.status == 200
    assert "[~]source-signals failed: not required" in reply.body.decode()
    whole.recover()
    assert (await server.deployments(another())).status == 200
    assert "[+]source-signals ok" in (await server.get("/readyz?verbose")).body.decode()


async def test_metrics_count_what_was_asked_of_aws(server: Running, whole: Aws):
    whole.throttle("GetMetricData", times=1)
    assert (await server.deployments(another())).status == 200
    told = samples((await server.get("/metrics")).body.decode())
    source = 'source="signals"'
    assert told[f'trafficmetrics_source_api_calls_total{{operation="ListMetrics",{source}}}'] >= 1
    assert told[f'trafficmetrics_source_api_calls_total{{operation="GetMetricData",{source}}}'] >= 2
    assert told[f"trafficmetrics_source_throttled_total{{{source}}}"] >= 1
    assert told[f"trafficmetrics_source_metrics_requested_total{{{source}}}"] > 0
    assert told[f"trafficmetrics_source_budget_refusals_total{{{source}}}"] == 0
    assert told[f"trafficmetrics_source_estimated_monthly_cost_dollars{{{source}}}"] > 0


def _provenance(item: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What an object says of its source, the dialect, how late its numbers are, and whether they need be."""
    annotations = item["metadata"]["annotations"]
    return tuple(annotations.get(f"metrics.smi-spec.io/{name}") for name in ("source", "dialect", "staleness", "stale"))


async def test_over_the_budget_numbers_are_stale_and_marked_and_then_there_are_none(aws: Aws, tmp_path: Path):
    async with running(aws, tmp_path, aws.environment(), {"budget": 8}) as poor:
        # All in one minute of the clock, or the budget is new.
        if time.time() % 60 > 45:
            await asyncio.sleep(60.5 - time.time() % 60)
        minute = int(time.time()) // 60 * 60 - 1200
        first = await poor.get(f"{GV}/namespaces/shop/deployments?time={_text(minute)}")
        assert (first.status, "Warning" in first.headers) == (200, False)
        assert {_provenance(item) for item in first.document["items"]} == {("signals", "application-signals", "0s", None)}
        later = await poor.get(f"{GV}/namespaces/shop/deployments?time={_text(minute + 120)}")
        assert later.status == 200
        assert {_provenance(item) for item in later.document["items"]} == {("signals", "application-signals", "2m0s", "true")}
        assert {item["timestamp"] for item in later.document["items"]} == {_text(minute)}
        assert any(
            "the numbers are 2m0s older than they could be; raise budget, or ask less often" in text
            for text in later.headers.getall("Warning")
        )
        refused = await poor.get(f"{GV}/namespaces/shop/deployments?time={_text(minute + 180)}")
        assert (refused.status, int(refused.headers["Retry-After"]) <= 60) == (503, True)
        assert "metrics that its budget allows in a minute" in refused.document["message"]
        impossible = await poor.get(f"{GV}/namespaces/late/deployments?time={_text(minute + 180)}")
        assert impossible.status == 503
        assert "set budget to 16 or more" in impossible.document["message"]
        told = samples((await poor.get("/metrics")).body.decode())
        assert told['trafficmetrics_source_budget_refusals_total{source="signals"}'] == 3


@pytest.mark.parametrize("way", ["web_identity", "pod_identity"])
async def test_credentials_of_a_role_are_renewed_before_they_expire(aws: Aws, tmp_path: Path, way: str):
    aws.issuer.lifetime = 3
    try:
        variables = getattr(aws, way)(tmp_path)
        async with running(aws, tmp_path, variables, {"region": "eu-west-1"}) as server:
            assert (await server.deployments(another())).status == 200
            before = len(aws.issuer.issued)
            await asyncio.sleep(3.1)
            assert aws.issuer.issued[before - 1].expires < time.time()  # type: ignore[operator]
            assert (await server.deployments(another())).status == 200
            assert len(aws.issuer.issued) > before
    finally:
        aws.issuer.lifetime = None


async def test_expired_credentials_that_nobody_renews_say_so(server: Running, whole: Aws):
    whole.identity.expires = time.time() - 1
    try:
        reply = await server.deployments(another())
    finally:
        whole.identity.expires = None
    assert reply.status == 503
    assert "the AWS credentials have expired" in reply.document["message"]
    assert "use a role, whose credentials are renewed" in reply.document["message"]


async def test_the_doctor_shows_what_is_there_and_what_it_costs(aws: Aws, tmp_path: Path):
    code, out, err = await run(tmp_path, "doctor", variables=aws.environment())
    assert (code, err) == (0, "")
    first = out.splitlines()[0]
    assert first.startswith("signals: application-signals in eu-west-1 as arn:aws:iam::111122223333:user/reader")
    assert "workloads" in out
    assert "$" in out


@pytest.mark.parametrize("action", ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics"])
async def test_the_doctor_names_the_action_that_is_missing(whole: Aws, tmp_path: Path, action: str):
    whole.denied.add(action)
    code, out, err = await run(tmp_path, "doctor", variables=whole.environment())
    assert (code, err) == (1, "")
    assert f"AWS does not allow {action}" in out
    assert "-> allow this action in the IAM policy of the role or user that is used" in out


async def test_the_doctor_says_what_else_is_wrong(aws: Aws, tmp_path: Path):
    code, out, _ = await run(tmp_path, "doctor", variables=aws.environment(), cluster="production")
    assert code == 1
    assert "prod" in out
    assert "cluster" in out


async def test_the_doctor_writes_json_for_programs(aws: Aws, tmp_path: Path):
    code, out, _ = await run(tmp_path, "doctor", "-o", "json", variables=aws.environment())
    (source,) = json.loads(out)["sources"]
    assert (code, source["facts"]["type"], source["facts"]["source"]) == (0, "cloudwatch", "application-signals")


def samples(page: str) -> dict[str, float]:
    """The samples of a page of metrics, by name and labels."""
    lines = (line.rpartition(" ") for line in page.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def _text(instant: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))
