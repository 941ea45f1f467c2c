"""A source whose credentials cannot be had when it is opened is open, and it is told who does not give them, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from backends.cloudwatch.backend import CloudWatchBackend
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import BackendUnavailable, TrafficQuery, Window
from metrics_api.diagnosis import Diagnosis, Level
from tests.backends.cloudwatch.promql import source_of
from tests.doubles.cloudwatch import Aws

DEAD = "http://127.0.0.1:1"
QUERY = TrafficQuery(("Deployment",), Window(60), 1_790_000_000, namespace="shop")
NO_STS = (
    f"the AWS credentials cannot be retrieved from {DEAD}/ (EndpointConnectionError)",
    "may we connect to who gives them? check the network, and for STS its VPC endpoint and AWS_ENDPOINT_URL_STS",
)
NO_AGENT = (
    "the AWS credentials cannot be retrieved from container-role",
    "does the agent that gives them, of EKS Pod Identity say, run on this node, and does it know this pod?",
)

Pod = Callable[[Aws, Path], Mapping[str, str]]


@pytest.fixture(params=[(Aws.web_identity, NO_STS), (Aws.pod_identity, NO_AGENT)], ids=["service-account-role", "pod-identity"])
def told(request: pytest.FixtureRequest, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[str, str]:
    """A role that nobody gives the credentials of, and what is told of that: what is wrong, and what to do."""
    pod, told = request.param
    monkeypatch.setattr("aiobotocore.utils.AioContainerMetadataFetcher.SLEEP_TIME", 0)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in pod(aws, tmp_path).items():
        monkeypatch.setenv(name, f"{DEAD}/" if name == "AWS_CONTAINER_CREDENTIALS_FULL_URI" else value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", DEAD)
    return told


def told_by(diagnosis: Diagnosis) -> list[tuple[Level, str, str, str]]:
    return [(finding.level, finding.check, finding.what, finding.advice) for finding in diagnosis.findings]


async def test_a_question_fails_with_who_gives_no_credentials(aws: Aws, told: tuple[str, str]):
    async with CloudWatchBackend(CloudWatchSettings("aws", "application-signals", cluster="prod")) as source:
        with pytest.raises(BackendUnavailable) as caught:
            await source.answer(QUERY)
    assert caught.value.message == f'source "aws": {"; ".join(told)}'
    assert not aws.calls


async def test_the_doctor_says_who_gives_no_credentials_and_nothing_else(aws: Aws, told: tuple[str, str]):
    diagnosis = await CloudWatchBackend(CloudWatchSettings("aws", "application-signals", cluster="prod")).diagnose(Window(60))
    assert told_by(diagnosis) == [(Level.PROBLEM, "credentials", *told)]
    assert diagnosis.summary == "application-signals in eu-west-1"
    assert not aws.calls


async def test_a_source_that_asks_by_promql_is_open_all_the_same(aws: Aws, told: tuple[str, str]):
    async with source_of(aws.url) as source:
        with pytest.raises(BackendUnavailable) as caught:
            await source.answer(QUERY)
    assert caught.value.message == f'source "otlp": {"; ".join(told)}'
    assert told_by(await source_of(aws.url).diagnose(Window(60))) == [(Level.PROBLEM, "reach", *told)]
    assert not aws.calls
