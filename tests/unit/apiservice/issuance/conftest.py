"""A cluster in memory, and one replica in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import Cluster, Replica


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def replica(cluster: Cluster, clock: ManualClock) -> Iterator[Replica]:
    replica = Replica(cluster, clock)
    yield replica
    replica.close()
