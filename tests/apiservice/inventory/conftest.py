"""A kube-apiserver that tests change, and a store that remembers what reflectors tell it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apiservice.inventory.kinds import WATCHED, Watched
from apiservice.inventory.records import Record
from apiservice.inventory.reflector import Reflector
from apiservice.kube import KubeClient
from tests.doubles.clock import ManualClock
from tests.doubles.collection import until
from tests.doubles.kube import KubeDouble, running_kube

__all__ = ["Told", "running", "watched_as"]


def watched_as(kind: str) -> Watched:
    return next(each for each in WATCHED if each.kind == kind)


class Told:
    """A store for one kind: ``records`` by name, ``states`` in the order they were told and ``at`` when, ``replaced`` how often.

    ``holding``: the clock is held as soon as a state is told.
    """

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.holding = False
        self.at: list[float] = []
        self.records: dict[str, Record] = {}
        self.states: list[tuple[str, str]] = []
        self.replaced = 0

    def replace(self, kind: str, records: Sequence[Record]) -> None:  # noqa: ARG002
        self.records = {record.name: record for record in records}
        self.replaced += 1

    def put(self, kind: str, record: Record) -> None:
        assert record.kind == kind
        self.records[record.name] = record

    def remove(self, kind: str, namespace: str, name: str) -> None:
        assert (kind, namespace) == (self.records[name].kind, self.records[name].namespace)
        del self.records[name]

    def fail(self, kind: str, reason: str) -> None:  # noqa: ARG002
        self._state("fail", reason)

    def absent(self, kind: str, reason: str) -> None:  # noqa: ARG002
        self._state("absent", reason)

    def stale(self, kind: str, reason: str) -> None:  # noqa: ARG002
        self._state("stale", reason)

    def fresh(self, kind: str) -> None:  # noqa: ARG002
        self._state("fresh", "")

    def _state(self, state: str, reason: str) -> None:
        self.states.append((state, reason))
        self.at.append(self._clock.monotonic())
        if self.holding:
            self._clock.hold()

    async def until_named(self, *names: str) -> None:
        """Return once these are all there are."""
        await until(lambda: sorted(self.records) == sorted(names))


@asynccontextmanager
async def running(reflector: Reflector) -> AsyncIterator[asyncio.Task[None]]:
    """The reflector at work; it is over afterwards."""
    task = asyncio.ensure_future(reflector.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeDouble]:
    async with running_kube(tmp_path) as double:
        yield double


@pytest.fixture
async def client(kube: KubeDouble) -> AsyncIterator[KubeClient]:
    async with KubeClient.connect(str(kube.kubeconfig), call_timeout=5) as client:
        yield client


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def told(clock: ManualClock) -> Told:
    return Told(clock)
