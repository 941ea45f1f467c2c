"""AWS for the tests of this folder: our own double on a free port, and an environment in which clients find it and nothing else."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session

from tests.backends.cloudwatch.promql import settle
from tests.doubles.cloudwatch import Aws, Identity, run_aws
from tests.doubles.cloudwatch_promql import PromqlEndpoint, run_promql
from tests.doubles.instrumented import export
from tests.doubles.stores import prometheus3

Connect = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aws]:
    """An AWS of its own for a test; the environment has the credentials, the region and the endpoint."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    async with run_aws() as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


@pytest.fixture(scope="session")
def models() -> AioSession:
    """A session for all tests, because it reads the models of services once."""
    return get_session()


@pytest.fixture
def connect(aws: Aws, models: AioSession) -> Connect:
    """Makes a client of a service; it tries once. Keyword arguments: who signs, the region, the endpoint."""

    def make(service: str, identity: Identity | None = None, region: str = "", url: str = "") -> AbstractAsyncContextManager[Any]:
        who = identity or aws.identity
        return models.create_client(
            service,
            region_name=region or aws.region,
            endpoint_url=url or aws.url,
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            aws_session_token=who.token or None,
            # Spoken is HTTP; reading the authorities of the machine would take longer than all the rest of a test.
            verify=False,
            config=AioConfig(retries={"total_max_attempts": 1}, read_timeout=5, parameter_validation=False),
        )

    return make


@pytest.fixture
async def cloudwatch(connect: Connect) -> AsyncIterator[Any]:
    """A real client of CloudWatch that tries once and does not check parameters: that is the double's part."""
    async with connect("cloudwatch") as client:
        yield client


@pytest.fixture(scope="session")
def instrumented(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus 3 that has got what instrumented applications export."""
    with prometheus3(tmp_path_factory.mktemp("prometheus3")) as url:
        export(url)
        yield url


@pytest.fixture
async def endpoint(instrumented: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PromqlEndpoint]:
    """CloudWatch's PromQL endpoint, which lets that Prometheus answer; the environment has what it takes to ask it."""
    async with run_promql(instrumented) as double:
        settle(monkeypatch, double)
        yield double
