"""A cluster that publishes whom it trusts, and who reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiservice.identity import TrustOverrides, TrustSource
from apiservice.kube import KubeClient
from tests.apiservice.trust.published import PUBLISHED
from tests.doubles.clock import ManualClock
from tests.doubles.kube import KubeDouble, running_kube


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        double.publish_trust(**PUBLISHED)
        yield double


@pytest.fixture
async def client(kube: KubeDouble) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(str(kube.kubeconfig)) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def source(client: KubeClient, clock: ManualClock) -> TrustSource:
    return TrustSource(client, TrustOverrides(), clock)
