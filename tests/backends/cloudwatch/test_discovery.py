"""Lists of metrics are complete, asked for seldom, shared, and used while they are renewed or cannot be."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from backends.cloudwatch.discovery import Discovery
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.session import Aws
from metrics_api import BackendRefused, BackendUnavailable
from tests.backends.cloudwatch.opening import opened, renew_double, until
from tests.doubles.cloudwatch import Aws as Double

NAMESPACE = "ApplicationSignals"
INTERVAL = 300
EVERY: dict[str, str | None] = {"Environment": None, "Service": None}


@dataclass
class World:
    """A double, what lists its metrics, and the seconds of that one's clock."""

    double: Double
    aws: Aws
    discovery: Discovery
    now: float = 1000.0

    def publish(self, count: int, *, first: int = 0, age: float = 60, **more: str) -> None:
        for number in range(first, first + count):
            dimensions = {"Environment": "eks:prod/shop", "Service": f"service-{number}"} | more
            self.double.put(NAMESPACE, "Latency", dimensions, time.time() - age, values={10: 1})

    async def metrics(self, *, recent: bool = True) -> tuple[Metric, ...]:
        return await self.discovery.metrics(NAMESPACE, "Latency", EVERY, recent=recent)

    async def again(self) -> tuple[Metric, ...]:
        return await self.discovery.again(NAMESPACE, "Latency", EVERY)

    @property
    def lists(self) -> int:
        """How many pages were asked for."""
        return len(self.double.called("ListMetrics"))

    async def renewed(self, lists: int) -> None:
        await until(lambda: self.lists >= lists and not self.double.under_way and not self.discovery._reading)


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[tuple[Double, Aws]]:
    async with opened(concurrency=4) as pair:
        yield pair


@pytest.fixture
async def world(shared: tuple[Double, Aws]) -> AsyncIterator[World]:
    double, aws = shared
    renew_double(double)
    world = World(double, aws, Discovery("aws", aws, INTERVAL))
    world.discovery = Discovery("aws", aws, INTERVAL, lambda: world.now)
    async with world.discovery:
        yield world
    renew_double(double)


@pytest.mark.parametrize(
    ("dimensions", "found"),
    [
        ({}, "abc"),
        ({"Service": None}, "abc"),
        ({"RemoteService": None}, "bc"),
        ({"Service": "s1"}, "ab"),
        ({"Service": "s1", "RemoteService": None}, "b"),
        ({"Environment": "e", "Service": "s2"}, "c"),
        ({"Service": "s"}, ""),
    ],
    ids=str,
)
async def test_a_dimension_is_asked_for_by_name_and_value_or_by_name_alone(
    world: World, dimensions: dict[str, str | None], found: str
):
    published = {
        "a": {"Environment": "e", "Service": "s1"},
        "b": {"Environment": "e", "Service": "s1", "RemoteService": "s2"},
        "c": {"Environment": "e", "Service": "s2", "RemoteService": "s3"},
    }
    for each in published.values():
        world.double.put(NAMESPACE, "Latency", each, time.time() - 60, values={10: 1})
    world.double.put(NAMESPACE, "Fault", published["a"], time.time() - 60, values={10: 1})
    world.double.put("Other", "Latency", published["a"], time.time() - 60, values={10: 1})
    metrics = await world.discovery.metrics(NAMESPACE, "Latency", dimensions)
    assert set(metrics) == {Metric.of(NAMESPACE, "Latency", published[name]) for name in found}


async def test_every_page_is_read(world: World):
    world.double.listing.page_metrics = 7
    world.publish(50)
    assert len(set(await world.metrics())) == 50
    assert world.lists == 8


@pytest.mark.parametrize("recent", [True, False], ids=["recent", "all"])
async def test_metrics_that_fell_silent_are_listed_when_they_are_asked_for(world: World, recent: bool):  # noqa: FBT001
    world.publish(1)
    world.publish(1, first=1, age=86400)
    assert len(await world.metrics(recent=recent)) == (1 if recent else 2)
    (call,) = world.double.called("ListMetrics")
    assert call.parameters.get("RecentlyActive") == ("PT3H" if recent else None)


async def test_a_list_is_believed_for_the_interval_and_kept_apart_from_others(world: World):
    world.publish(3)
    first = await world.metrics()
    world.publish(1, first=3)
    world.now += INTERVAL - 1
    assert await world.metrics() is first
    assert world.lists == 1
    assert len(await world.metrics(recent=False)) == 4
    assert len(await world.discovery.metrics(NAMESPACE, "Latency", {"Service": "service-1"})) == 1
    assert world.lists == 3


async def test_those_who_ask_at_one_time_share_one_reading(world: World):
    world.publish(3)
    lists = await asyncio.gather(*(world.metrics() for _ in range(20)))
    assert world.lists == 1
    assert all(metrics is lists[0] for metrics in lists)


async def test_an_old_list_is_used_at_once_while_it_is_renewed(world: World):
    world.publish(3)
    await world.metrics()
    world.publish(2, first=3)
    world.now += INTERVAL
    gate = world.double.hold("ListMetrics")
    for _ in range(5):
        assert len(await world.metrics()) == 3
    gate.set()
    await world.renewed(2)
    assert len(await world.metrics()) == 5
    assert world.lists == 2


async def test_a_miss_lists_again_at_most_once_a_minute(world: World):
    world.publish(3)
    await world.metrics()
    world.publish(1, first=3)
    world.now += 59
    assert len(await world.again()) == 3
    assert world.lists == 1
    world.now += 1
    assert [len(each) for each in await asyncio.gather(world.again(), world.again())] == [4, 4]
    assert world.lists == 2
    await world.again()
    assert world.lists == 2
    assert len(await world.metrics()) == 4


async def test_a_miss_in_a_list_nobody_has_read_reads_it(world: World):
    world.publish(3)
    assert len(await world.again()) == 3


async def test_a_list_that_cannot_be_read_is_an_error_each_time(world: World):
    world.double.denied.add("cloudwatch:ListMetrics")
    for ask in (world.metrics, world.again):
        with pytest.raises(BackendRefused, match="cloudwatch:ListMetrics"):
            await ask()
    world.double.recover()
    world.publish(3)
    assert len(await world.metrics()) == 3


async def test_a_list_that_cannot_be_renewed_is_used_for_an_hour_and_logged(world: World, caplog: pytest.LogCaptureFixture):
    world.publish(3)
    await world.metrics()
    world.double.throttle("ListMetrics", None)
    world.now += INTERVAL
    with caplog.at_level(logging.WARNING, "backends"):
        assert len(await world.metrics()) == 3
        await world.renewed(2)
    (record,) = caplog.records
    assert record.getMessage() == (
        "the list of metrics ApplicationSignals Latency is 300 s old, because it cannot be renewed: "
        'source "aws": AWS says there are too many requests for ListMetrics (Throttling)'
    )
    # It is not asked for again with every question, either.
    assert len(await world.metrics()) == len(await world.again()) == 3
    assert not world.discovery._reading
    world.now += 60
    assert len(await world.again()) == 3
    assert world.lists == 3
    world.now += 3600 - INTERVAL - 60
    with pytest.raises(BackendUnavailable):
        await world.metrics()
    with pytest.raises(BackendUnavailable):
        await world.again()


async def test_who_gives_up_does_not_end_the_reading_for_others(world: World):
    world.publish(3)
    gate = world.double.hold("ListMetrics")
    hasty, patient = asyncio.create_task(world.metrics()), asyncio.create_task(world.metrics())
    await until(lambda: world.lists)
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    gate.set()
    assert len(await patient) == 3
    assert world.lists == 1


async def test_a_long_list_goes_on_when_all_have_given_up(world: World):
    world.publish(3)
    gate = world.double.hold("ListMetrics")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await world.metrics()
    gate.set()
    await world.renewed(1)
    assert len(await world.metrics()) == 3
    assert world.lists == 1


async def test_leaving_ends_what_goes_on_in_the_background(world: World):
    world.double.fail("ListMetrics", "hang", None)
    tasks = asyncio.all_tasks()
    asking = asyncio.create_task(world.metrics())
    await until(lambda: world.lists)
    await world.discovery.__aexit__(None, None, None)
    with pytest.raises(BackendUnavailable, match="is closed"):
        await asking
    await until(lambda: not world.double.under_way)
    assert {task for task in asyncio.all_tasks() if "aiohttp" not in repr(task)} <= tasks
    with pytest.raises(BackendUnavailable, match="is closed"):
        await world.metrics()


async def test_pages_without_an_end_are_an_error(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.cloudwatch.discovery._PAGES", 5)
    world.double.listing.page_metrics = 1
    world.publish(6)
    with pytest.raises(BackendRefused, match="more than 5 metrics ApplicationSignals Latency"):
        await world.metrics()
    assert world.lists == 5
    monkeypatch.setattr("backends.cloudwatch.discovery._PAGES", 6)
    assert len(await world.metrics()) == 6


async def test_a_long_list_is_read_again_for_a_miss_less_often(world: World):
    world.double.listing.page_metrics = 1
    world.publish(40)
    await world.metrics()
    world.now += 61
    await world.again()
    assert world.lists == 40
    world.now += 20
    await world.again()
    assert world.lists == 80


async def test_of_sets_that_are_not_wanted_nothing_is_kept(world: World, monkeypatch: pytest.MonkeyPatch):
    world.publish(2)
    world.publish(4, Operation="GET /")
    wanted = frozenset({frozenset(EVERY)})
    found = await world.discovery.metrics(NAMESPACE, "Latency", EVERY, sets=wanted)
    assert [metric.names for metric in found] == [frozenset(EVERY)] * 2
    assert len(await world.metrics()) == 6
    monkeypatch.setattr("backends.cloudwatch.discovery._MOST", 4)
    world.double.listing.page_metrics = 1
    world.now += 3600 * 24
    with pytest.raises(BackendRefused, match="more than 5 metrics"):
        await world.metrics()
    assert len(await world.discovery.metrics(NAMESPACE, "Latency", EVERY, sets=wanted)) == 2


async def test_a_hundred_thousand_metrics_fit_into_thirty_megabytes(world: World):
    for number in range(3000):
        dimensions = {
            "Environment": f"eks:production/namespace-{number % 20}",
            "Service": f"service-with-a-name-{number % 100}",
            "RemoteService": f"service-with-a-name-{number // 100}",
            "RemoteEnvironment": f"eks:production/namespace-{number // 100 % 20}",
        }
        world.double.put(NAMESPACE, "Latency", dimensions, time.time() - 60, values={10: 1})
    metrics = await world.metrics()
    assert len(metrics) == 3000
    parts = {id(part): part for metric in metrics for part in (metric, metric.dimensions, *metric.dimensions)}
    texts = {id(text): text for metric in metrics for pair in metric.dimensions for text in pair}
    assert sum(map(sys.getsizeof, (metrics, *parts.values(), *texts.values()))) < 300 * len(metrics)


async def test_lists_that_nobody_asks_for_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.cloudwatch.discovery._LISTS", 2)
    world.publish(3)
    for number in (0, 1, 0, 2, 0, 1):
        await world.discovery.metrics(NAMESPACE, "Latency", {"Service": f"service-{number}"})
    services = [call.parameters["Dimensions"][0]["Value"][-1] for call in world.double.called("ListMetrics")]
    assert services == ["0", "1", "2", "1"]
