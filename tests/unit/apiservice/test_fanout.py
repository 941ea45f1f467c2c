"""Asking several sources: each for itself, under one deadline, and nobody waits for what cannot change the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from apiservice.federation.fanout import Fanout, Gathered
from apiservice.federation.observer import Observer
from metrics_api import (
    ANY_WORKLOAD,
    EVERYTHING,
    Answer,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    Direction,
    Merge,
    ResourceRef,
    Sample,
    Side,
    Source,
    Terms,
    TrafficQuery,
    Unsupported,
    Window,
)
from tests.unit.apiservice.unopened import Unopened

NOW, MINUTE = 120, Window(60)
WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
LIST = TrafficQuery(("Deployment",), MINUTE, NOW, namespace="shop")
ONE = replace(LIST, name="web")


@dataclass
class Scripted(Unopened):
    """A source that answers what it is told to, after ``seconds``; ``asked`` are the queries it got."""

    name: str
    rows: dict[ResourceRef, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: Callable[[str], Exception] | None = None
    refuses: str | None = None
    asked: list[TrafficQuery] = field(default_factory=list)

    async def answer(self, query: TrafficQuery) -> Answer:
        self.asked.append(query)
        await asyncio.sleep(self.seconds)
        if self.error is not None:
            raise self.error(self.name)
        told = [
            Sample(resource, EVERYTHING, Direction.FROM, Side.SERVER, count, 0, None, source=self.name)
            for resource, count in self.rows.items()
        ]
        return Answer(tuple(told), query.instant, query.window)


class Counting(Observer):
    """What the fan-out told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def skipped(self, source: str, reason: str) -> None:
        self.told.append(("skipped", source, reason))

    def circuit(self, source: str, *, is_open: bool) -> None:
        self.told.append(("circuit", source, is_open))

    def hedged(self, source: str) -> None:
        self.told.append(("hedged", source))

    def incomplete(self) -> None:
        self.told.append(("incomplete",))


def down(name: str) -> Exception:
    return BackendUnavailable(name, "is down")


def fan_out(*sources: Scripted | Source, keep: float = 0.01, observer: Observer | None = None, deadline: float = 20.0) -> Fanout:
    return Fanout([each if isinstance(each, Source) else Source(each) for each in sources], observer, keep, deadline=deadline)


def counts(gathered: Gathered) -> dict[str, float | None]:
    return {sample.resource.name: sample.success for sample in gathered.samples}


# --- coverage -----------------------------------------------------------------------------------


async def test_a_source_that_does_not_cover_a_namespace_is_not_asked_about_it():
    pay = Scripted("pay", {WEB: 9}, seconds=60)
    observer = Counting()
    fanout = fan_out(Source(pay, Terms(namespaces=("pay",))), Scripted("shop", {WEB: 5}), observer=observer)
    assert counts(await fanout.gather(LIST)) == {"web": 5}
    assert pay.asked == []
    assert observer.told == [("skipped", "pay", "coverage")]


async def test_a_source_of_one_namespace_is_asked_about_that_alone():
    pay = Scripted("pay", {WEB._replace(namespace="pay"): 9, WEB: 100})
    gathered = await fan_out(Source(pay, Terms(namespaces=("pay",)))).gather(replace(LIST, namespace=""))
    assert [asked.namespace for asked in pay.asked] == ["pay"]
    assert [sample.resource.namespace for sample in gathered.samples] == ["pay"]


async def test_the_total_of_a_namespace_is_asked_of_those_that_cover_it():
    pay, shop = Scripted("pay"), Scripted("shop", {ResourceRef("Namespace", "", "shop"): 5})
    fanout = fan_out(Source(pay, Terms(namespaces=("pay",))), Source(shop, Terms(namespaces=("sh*",))))
    await fanout.gather(TrafficQuery(("Namespace",), MINUTE, NOW, name="shop"))
    assert (len(pay.asked), len(shop.asked)) == (0, 1)


async def test_a_node_is_told_by_the_pods_that_are_covered():
    """A source that covers some namespaces would tell of a whole node, those of others included."""
    shop = Scripted("shop")
    fanout = fan_out(Source(shop, Terms(namespaces=("shop",))))
    node = TrafficQuery(("Node",), MINUTE, NOW, name="node-a")
    with pytest.raises(Unsupported, match="it covers some namespaces, and a node is in none"):
        await fanout.gather(node)
    await fanout.gather(replace(node, members=("Pod", "Workload")))
    assert [(asked.kinds, asked.name) for asked in shop.asked] == [(("Pod",), "")]


async def test_a_namespace_that_nobody_covers_is_an_error_that_says_so():
    fanout = fan_out(Source(Scripted("a"), Terms(namespaces=("pay",))), Scripted("b", refuses="it knows no Deployments"))
    with pytest.raises(Unsupported) as caught:
        await fanout.gather(LIST)
    assert caught.value.message == 'source "a": it covers pay, and not "shop"; source "b": it knows no Deployments'


# --- what is not waited for ---------------------------------------------------------------------


async def test_a_source_behind_one_that_told_of_a_name_is_not_waited_for():
    observer = Counting()
    fanout = fan_out(Scripted("first", {WEB: 5}, seconds=0.01), Scripted("slow", {WEB: 9}, seconds=60), observer=observer)
    async with asyncio.timeout(5):
        gathered = await fanout.gather(ONE)
    assert (counts(gathered), gathered.incomplete, gathered.warnings) == ({"web": 5}, False, ())
    assert observer.told == [("skipped", "slow", "decided")]


@pytest.mark.parametrize(("kind", "seconds"), [("Deployment", 0.5), ("StatefulSet", 5.0)], ids=["it is", "another one"])
async def test_a_name_that_is_told_without_its_kind_decides_where_it_is_known_to_be_the_one(kind: str, seconds: float):
    bare = WEB._replace(kind=ANY_WORKLOAD)
    slow = Scripted("slow", {WEB: 9}, seconds=0.6)
    fanout = fan_out(Scripted("first", {bare: 5}), slow)
    loop = asyncio.get_running_loop()
    start = loop.time()
    gathered = await fanout.gather(ONE, lambda ref: ref._replace(kind=kind) if ref.kind == ANY_WORKLOAD else ref)
    assert loop.time() - start < seconds
    assert len(gathered.samples) == (1 if kind == "Deployment" else 2)


@pytest.mark.parametrize(
    ("query", "first"),
    [
        pytest.param(ONE, {}, id="a name the first source has nothing of"),
        pytest.param(LIST, {WEB: 5}, id="a list, which others may have more rows of"),
        pytest.param(replace(ONE, edges=True), {WEB: 5}, id="edges"),
        pytest.param(replace(ONE, kinds=("Deployment", "Job")), {WEB: 5}, id="a name of several kinds"),
        pytest.param(ONE, {ResourceRef("Pod", "shop", "web-1"): 5}, id="members, which others may know more of"),
    ],
)
async def test_otherwise_every_source_is_waited_for(query: TrafficQuery, first: dict[ResourceRef, float]):
    fanout = fan_out(Scripted("first", first), Scripted("slow", {API: 9}, seconds=0.05))
    assert counts(await fanout.gather(query))["api"] == 9


async def test_a_slow_source_before_the_others_is_waited_for():
    fanout = fan_out(Scripted("slow", {WEB: 9}, seconds=0.05), Scripted("quick", {WEB: 5}))
    assert counts(await fanout.gather(ONE)) == {"web": 9}


async def test_disjoint_sources_are_all_waited_for():
    terms = Terms(merge=Merge.SUM)
    fanout = fan_out(Source(Scripted("a", {WEB: 5}), terms), Source(Scripted("b", {WEB: 9}, seconds=0.05), terms))
    assert [sample.share for sample in (await fanout.gather(ONE)).samples] == ["a", "b"]


# --- one deadline -------------------------------------------------------------------------------


async def test_what_is_not_there_at_the_deadline_is_missing_and_that_is_said():
    observer = Counting()
    fanout = fan_out(Scripted("slow", {API: 9}, seconds=60), Scripted("quick", {WEB: 5}), deadline=0.1, observer=observer)
    gathered = await fanout.gather(LIST)
    assert (counts(gathered), gathered.incomplete) == ({"web": 5}, True)
    assert gathered.warnings == ('source "slow": did not answer within 0.1s, in which all sources have to',)
    assert fanout.trouble("slow") == gathered.warnings[0]
    assert ("incomplete",) in observer.told


async def test_when_nobody_answers_in_time_it_is_a_timeout():
    with pytest.raises(BackendTimeout):
        await fan_out(Scripted("slow", seconds=60), deadline=0.05).gather(LIST)


# --- circuits -----------------------------------------------------------------------------------


def at(instant: int) -> TrafficQuery:
    """Another question each time, so that no answer is remembered."""
    return replace(LIST, instant=instant)


async def test_a_source_that_fails_again_and_again_is_left_alone_for_a_while():
    far, observer = Scripted("far", error=down), Counting()
    fanout = fan_out(far, Scripted("near", {WEB: 5}), keep=60, observer=observer)
    for instant in range(5):
        gathered = await fanout.gather(at(instant))
        assert (counts(gathered), gathered.incomplete) == ({"web": 5}, True)
    assert len(far.asked) == 3
    assert observer.told.count(("skipped", "far", "circuit")) == 2
    assert ("circuit", "far", True) in observer.told
    (warning,) = gathered.warnings
    assert warning == 'source "far": was not asked: it failed 3 times in a row, last: is down; it is tried again in 5s'


async def test_a_refusal_opens_no_circuit():
    far = Scripted("far", error=lambda name: BackendRefused(name, "wants other credentials"))
    fanout = fan_out(far, Scripted("near"), keep=60)
    for instant in range(6):
        await fanout.gather(at(instant))
    assert len(far.asked) == 6


async def test_a_source_that_is_well_again_takes_part_in_the_very_answer_that_finds_out():
    far, observer = Scripted("far", {API: 9}, error=down), Counting()
    fanout = fan_out(far, Scripted("near", {WEB: 5}), keep=0.1, observer=observer)
    for instant in range(4):
        await fanout.gather(at(instant))
    far.error = None
    await asyncio.sleep(0.06)  # half of a refresh
    several = await asyncio.gather(*(fanout.gather(at(instant)) for instant in range(10, 20)))
    assert [(counts(gathered), gathered.incomplete) for gathered in several] == [({"api": 9, "web": 5}, False)] * 10
    assert ("circuit", "far", False) in observer.told
    assert fanout.trouble("far") is None
    await fanout.close()


async def test_whoever_tries_a_source_that_hangs_waits_for_a_moment_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.federation.asking._PATIENCE", 0.1)
    far = Scripted("far", {API: 9}, error=down)
    fanout = fan_out(far, Scripted("near", {WEB: 5}), keep=0.02)
    for instant in range(3):
        await fanout.gather(at(instant))
    far.error, far.seconds = None, 60
    await asyncio.sleep(0.02)
    async with asyncio.timeout(2):
        gathered = await fanout.gather(at(10))
        assert (counts(gathered), gathered.incomplete) == ({"web": 5}, True)
        await fanout.gather(at(11))
    assert len(far.asked) == 4
    await fanout.close()
    assert not [task for task in asyncio.all_tasks() if "_one" in repr(task.get_coro())]


async def test_a_question_that_nobody_waits_for_any_more_is_no_failure():
    slow = Scripted("slow", {WEB: 9}, seconds=60)
    fanout = fan_out(Scripted("first", {WEB: 5}), slow, keep=0.001)
    for instant in range(5):
        await fanout.gather(replace(ONE, instant=instant))
    assert len(slow.asked) == 5
    assert fanout.trouble("slow") is None


# --- hedging ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "times"), [(0.0, 1), (0.02, 2)], ids=["off by default", "on"])
async def test_a_question_that_takes_long_is_asked_a_second_time_where_that_is_wanted(after: float, times: int):
    slow, observer = Scripted("slow", {WEB: 5}, seconds=0.1), Counting()
    fanout = fan_out(Source(slow, Terms(hedge_after=after)), observer=observer)
    assert counts(await fanout.gather(LIST)) == {"web": 5}
    assert len(slow.asked) == times
    assert observer.told == [("hedged", "slow")] * (times - 1)
