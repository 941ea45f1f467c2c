"""A store is kept in step with kube-apiserver, whatever becomes of a watch; against a double on a real TLS socket."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from apiservice.inventory import reflector as module
from apiservice.inventory.reflector import Reflector
from apiservice.kube import KubeClient
from tests.apiservice.inventory.conftest import Told, running, watched_as
from tests.doubles.clock import ManualClock
from tests.doubles.collection import Collection, until
from tests.doubles.kube import Failure, KubeDouble

RESYNC = 300.0


@pytest.fixture
def pods(kube: KubeDouble) -> Collection:
    return Collection(kube, "/api/v1/pods")


@pytest.fixture
async def reflector(client: KubeClient, told: Told, clock: ManualClock, pods: Collection) -> Reflector:
    pods.put("web-1")
    return Reflector(client, watched_as("Pod"), told, clock, resync=RESYNC)


@pytest.fixture
async def followed(reflector: Reflector, told: Told, pods: Collection) -> AsyncIterator[Collection]:
    """The pods, listed and watched."""
    async with running(reflector):
        await pods.until_watched(1)
        await told.until_named("web-1")
        yield pods


def seconds(low: float, high: float, slept: float) -> bool:
    return low <= slept <= high


# In step


async def test_what_changes_is_told_in_the_order_it_happens(followed: Collection, told: Told):
    followed.put("web-2", spec={"nodeName": "n1"})
    await told.until_named("web-1", "web-2")
    followed.put("web-2", spec={"nodeName": "n2"})
    followed.delete("web-1")
    await told.until_named("web-2")
    assert told.records["web-2"].node == "n2"  # type: ignore[attr-defined]
    assert (len(followed.lists), told.replaced, told.states) == (1, 1, [])


async def test_a_list_is_read_in_pages_and_watched_from_its_version(reflector: Reflector, told: Told, pods: Collection):
    for number in range(1200):
        pods.put(f"pod-{number}")
    async with running(reflector):
        await pods.until_watched(1)
        await until(lambda: len(told.records) == 1201)
        assert [query["limit"] for query in pods.pages] == ["500"] * 3
        assert (told.replaced, len(pods.lists)) == (1, 1)
        assert pods.watches[0]["resourceVersion"] == "1301"
        assert pods.watches[0]["allowWatchBookmarks"] == "true"


@pytest.mark.parametrize(("kind", "path", "partial"), [("Pod", "/api/v1/pods", False), ("Service", "/api/v1/services", True)])
async def test_only_metadata_is_asked_for_where_that_is_enough(
    client: KubeClient, kube: KubeDouble, told: Told, clock: ManualClock, kind: str, path: str, *, partial: bool
):
    async with running(Reflector(client, watched_as(kind), told, clock)):
        await Collection(kube, path).until_watched(1)
    wanted = [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]
    assert kube.accepted == (wanted if partial else ["application/json"] * 2)


# Watches that end


async def test_a_watch_that_ends_goes_on_where_it_stopped(followed: Collection, told: Told, clock: ManualClock):
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    followed.send(None)
    followed.put("web-3")
    await told.until_named("web-1", "web-2", "web-3")
    assert [query["resourceVersion"] for query in followed.watches] == ["101", "102"]
    assert (len(followed.lists), clock.slept) == (1, [])


async def test_a_connection_that_breaks_goes_on_where_it_stopped(followed: Collection, told: Told, clock: ManualClock):
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    followed.send(b"")
    await followed.until_watched(2)
    followed.delete("web-1")
    await told.until_named("web-2")
    assert (len(followed.lists), followed.watches[1]["resourceVersion"]) == (1, "102")
    clock.advance(100)
    followed.send(b"")
    await followed.until_watched(3)
    assert [seconds(0.8, 1.2, each) for each in clock.slept] == [True, True]
    assert told.states == []


async def test_a_bookmark_moves_the_place_to_go_on_from(followed: Collection, told: Told):
    version = followed.bookmark()
    followed.compact()
    followed.send(None)
    await followed.until_watched(2)
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    assert followed.watches[1]["resourceVersion"] == str(version)
    assert len(followed.lists) == 1


async def test_attempts_that_fail_become_rarer(reflector: Reflector, pods: Collection, clock: ManualClock):
    pods.refusal = 500
    async with running(reflector):
        await until(lambda: len(clock.slept) >= 9)
    for slept, least in zip(clock.slept, [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30], strict=False):
        assert seconds(least, 1.5 * least, slept), clock.slept


@pytest.mark.parametrize("works", ["an-event", "a-long-watch"])
async def test_pauses_are_short_again_after_a_watch_that_worked(followed: Collection, told: Told, clock: ManualClock, works: str):
    followed.watch_refusals = [500] * 3
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    followed.send(None)
    await followed.until_watched(5)
    await until(lambda: followed.open)
    if works == "an-event":
        followed.put("web-3")
        await told.until_named("web-1", "web-2", "web-3")
        followed.send(b"")
    else:
        clock.advance(100)
        followed.watch_refusals = [500]
        followed.send(None)
    await until(lambda: len(clock.slept) == 4)
    assert seconds(3.2, 4.8, clock.slept[2]), clock.slept
    assert seconds(0.8, 1.2, clock.slept[3]), clock.slept


async def test_a_watch_that_ends_as_soon_as_it_begins_is_not_begun_all_the_time(
    reflector: Reflector, pods: Collection, clock: ManualClock
):
    async with running(reflector):
        for number in range(1, 4):
            await pods.until_watched(number)
            await until(lambda: pods.open)
            pods.send(None)
        await pods.until_watched(4)
    for slept, least in zip(clock.slept, [0.8, 1.6, 3.2], strict=True):
        assert seconds(least, 1.5 * least, slept), clock.slept


# What is not remembered


async def test_what_kube_apiserver_forgot_is_listed_again(followed: Collection, told: Told):
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    followed.lose("web-1")
    followed.compact(unseen=1)
    followed.send(None)
    await told.until_named("web-2")
    assert (len(followed.lists), told.states) == (2, [])


async def test_a_watch_refused_with_410_is_followed_by_a_list(followed: Collection, told: Told):
    followed.watch_refusals.append(410)
    followed.lose("web-1")
    followed.put("web-2")
    followed.send(None)
    await told.until_named("web-2")
    assert (len(followed.lists), told.states) == (2, [])


async def test_a_list_whose_next_page_is_gone_begins_again(reflector: Reflector, told: Told, pods: Collection, kube: KubeDouble):
    for number in range(600):
        pods.put(f"pod-{number}")
    answer = pods.answer
    broken = iter([410])

    async def forgetful(request: web.Request) -> web.StreamResponse:
        pods.refusal = next(broken, 0) if "continue" in request.query else 0
        return await answer(request)

    kube.handlers[pods.path] = forgetful
    async with running(reflector):
        await until(lambda: len(told.records) == 601)
    assert len(pods.lists) == 2


async def test_everything_is_listed_again_from_time_to_time(followed: Collection, told: Told, clock: ManualClock):
    followed.lose("web-1")
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    clock.advance(0.7 * RESYNC)
    followed.send(None)
    await followed.until_watched(2)
    assert len(followed.lists) == 1
    # No watch lasts longer than until the next list.
    assert int(followed.watches[1]["timeoutSeconds"]) <= 0.5 * RESYNC
    clock.advance(0.5 * RESYNC)
    followed.put("web-3")
    await until(lambda: "web-3" in told.records)
    followed.send(None)
    await told.until_named("web-2", "web-3")
    assert (len(followed.lists), told.replaced) == (2, 2)


async def test_a_watch_goes_on_when_it_cannot_be_made_sure_of(
    followed: Collection, told: Told, kube: KubeDouble, clock: ManualClock
):
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    clock.advance(2 * RESYNC)
    kube.fail(followed.path, Failure(504))
    followed.send(None)
    await followed.until_watched(2)
    followed.delete("web-1")
    await told.until_named("web-2")
    assert (len(followed.lists), followed.watches[1]["resourceVersion"], told.states) == (1, "102", [])


@pytest.mark.parametrize(
    ("event", "lists"),
    [
        # It would come again.
        pytest.param(b'{"type":"MODIFIED","object":{"metadata":7}}\n', 2, id="object"),
        pytest.param(b"garbage\n", 1, id="line"),
    ],
)
async def test_after_what_cannot_be_read_nothing_is_missed(followed: Collection, told: Told, event: bytes, lists: int):
    followed.send(event)
    followed.put("web-2")
    await told.until_named("web-1", "web-2")
    assert (len(followed.lists), told.states) == (lists, [])


# What may not be read, or is not there


async def test_a_kind_that_may_not_be_listed_says_so_until_it_may(
    reflector: Reflector, told: Told, pods: Collection, clock: ManualClock
):
    pods.refusal = 403
    async with running(reflector):
        await until(lambda: bool(told.states) and bool(clock.slept))
        state, reason = told.states[0]
        assert (state, told.replaced) == ("fail", 0)
        assert reason.startswith(
            "pods cannot be listed: GET /api/v1/pods: 403 Forbidden: told to answer 403; grant list and watch on pods"
        )
        assert seconds(30, 60, clock.slept[0])
        pods.refusal = 0
        await told.until_named("web-1")


async def test_a_kind_that_may_be_listed_and_not_watched_is_not_known(reflector: Reflector, told: Told, pods: Collection):
    pods.watch_refusals = [403] * 1000
    async with running(reflector):
        await pods.until_watched(2)
        assert told.states[0][0] == "fail"
        assert told.states[0][1].startswith("pods cannot be watched: ")
        assert told.replaced == 0
        pods.watch_refusals.clear()
        await told.until_named("web-1")


async def test_what_is_listed_is_known_although_the_watch_does_not_work_yet(reflector: Reflector, told: Told, pods: Collection):
    pods.watch_refusals = [500] * 1000
    told.holding = True
    async with running(reflector):
        await told.until_named("web-1")
        await until(lambda: told.states)
        assert (told.states[0][0], len(pods.lists)) == ("stale", 1)


async def test_rights_that_are_taken_away_end_what_is_known(followed: Collection, told: Told):
    followed.refusal = 403
    followed.send(None)
    await until(lambda: bool(told.states))
    assert told.states[0][0] == "fail"
    followed.refusal = 0
    await until(lambda: told.replaced == 2)


async def test_a_kind_the_cluster_does_not_have_is_found_when_it_is_installed(
    client: KubeClient, kube: KubeDouble, told: Told, clock: ManualClock
):
    async with running(Reflector(client, watched_as("HTTPRoute"), told, clock)):
        await until(lambda: bool(told.states) and bool(clock.slept))
        assert told.states[0] == ("absent", "httproutes.gateway.networking.k8s.io are not installed in this cluster")
        assert seconds(60, 90, clock.slept[0])
        routes = Collection(kube, "/apis/gateway.networking.k8s.io/v1beta1/httproutes")
        routes.put("canary", spec={"rules": [{"backendRefs": [{"name": "web-v2", "weight": 10}]}]})
        await told.until_named("canary")
        assert told.records["canary"].split.backends[0].weight == 10  # type: ignore[attr-defined]


async def test_the_newest_version_there_is_is_read(client: KubeClient, kube: KubeDouble, told: Told, clock: ManualClock):
    root = "/apis/split.smi-spec.io"
    old, older = (Collection(kube, f"{root}/{version}/trafficsplits") for version in ("v1alpha2", "v1alpha1"))
    async with running(Reflector(client, watched_as("TrafficSplit"), told, clock, resync=RESYNC)):
        await old.until_watched(1)
        assert [kube.calls[f"{root}/{version}/trafficsplits"] for version in ("v1alpha4", "v1alpha3")] == [1, 1]
        # The definition is replaced by one that serves another version alone.
        old.refusal = 404
        new = Collection(kube, f"{root}/v1alpha4/trafficsplits")
        new.put("canary")
        old.send(None)
        await told.until_named("canary")
    assert (older.pages, [state for state, _ in told.states]) == ([], [])


# Out of touch


async def test_what_is_known_is_kept_and_stale_after_a_minute_without_contact(followed: Collection, told: Told, clock: ManualClock):
    told.holding = True
    followed.refusal = 500
    followed.send(b"")
    await until(lambda: bool(told.states))
    assert told.states[0][0] == "stale"
    assert told.states[0][1].startswith("pods cannot be watched: GET /api/v1/pods: 500")
    assert seconds(60, 110, told.at[0])
    assert (list(told.records), len(followed.lists)) == (["web-1"], 1)
    told.holding = False
    followed.put("web-2")
    followed.refusal = 0
    clock.go_on()
    await told.until_named("web-1", "web-2")
    assert (told.states[-1], len(followed.lists)) == (("fresh", ""), 1)
    followed.send(None)
    followed.delete("web-1")
    await told.until_named("web-2")
    assert [state for state, _ in told.states].count("fresh") == 1


async def test_a_cluster_that_does_not_answer_fails_only_after_a_minute(reflector: Reflector, told: Told, pods: Collection):
    pods.refusal = 503
    async with running(reflector):
        await until(lambda: bool(told.states))
        assert told.states[0][0] == "fail"
        assert seconds(60, 110, told.at[0])
        pods.refusal = 0
        await told.until_named("web-1")


async def test_a_silent_watch_is_begun_again(followed: Collection, told: Told, clock: ManualClock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_SILENCE", 0.05)
    # A second passes each time somebody looks, so however often a watch is begun again before the test looks, it has lasted.
    seconds_passed = itertools.count()
    monkeypatch.setattr(clock, "monotonic", lambda: float(next(seconds_passed)))
    followed.put("web-2")
    followed.send(None)
    await followed.until_watched(3)
    followed.delete("web-1")
    await told.until_named("web-2")
    assert (len(followed.lists), clock.slept, told.states) == (1, [], [])


async def test_a_kube_apiserver_that_is_busy_is_given_the_time_it_asks_for(
    reflector: Reflector, pods: Collection, kube: KubeDouble, clock: ManualClock
):
    kube.fail(pods.path, Failure(429, headers={"Retry-After": "7"}))
    async with running(reflector):
        await pods.until_watched(1)
    assert [seconds(7, 10.5, each) for each in clock.slept] == [True]


async def test_a_reflector_that_is_cancelled_leaves_nothing_behind(reflector: Reflector, told: Told, pods: Collection):
    before = asyncio.all_tasks()
    async with running(reflector) as task:
        await pods.until_watched(1)
        await told.until_named("web-1")
    assert task.cancelled()
    # The double notices when it writes.
    await until(lambda: pods.bookmark() and not pods.open)
    await until(lambda: not asyncio.all_tasks() - before)
