"""Watch: what is there first, and then what changes, told once in a refresh to all who watch the same."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from apiservice.result import Result
from metrics_api import BackendUnavailable, TrafficMetrics
from metrics_api.provenance import STALENESS
from tests.apiservice.asking import status_of
from tests.apiservice.changing import (
    API,
    CART,
    STREAMING,
    WATCH,
    WEB,
    Changing,
    Stream,
    listed,
    moved,
    served,
    watching,
)

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"


@pytest.fixture
def shop() -> Changing:
    return Changing((API, WEB))


async def test_first_there_is_what_there_is_and_then_what_changes(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as stream:
        assert await stream.told(2) == [("ADDED", "api"), ("ADDED", "web")]
        shop.rows = moved(shop.rows, "web", success=99_000)
        event = await stream.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("MODIFIED", "web")
        assert event["object"]["metrics"][3] == {"name": "success_count", "value": "99"}
        assert int(event["object"]["metadata"]["resourceVersion"]) <= shop.instant
        shop.rows = (*shop.rows, CART)
        assert await stream.told(1) == [("ADDED", "cart")]
        shop.rows = (WEB, CART)
        assert sorted(await stream.told(2)) == [("DELETED", "api"), ("MODIFIED", "web")]


async def test_what_stays_within_rounding_is_not_told(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.rows = moved(shop.rows, "web", success=54_100, p99=12_010)
        await shop.polls(3)
        assert await stream.quiet()


async def test_that_numbers_only_grow_older_is_not_told(shop: Changing):
    """A source that has whole minutes says something older with every refresh, until there is a newer minute."""

    def aged(seconds: int) -> tuple[TrafficMetrics, ...]:
        return tuple(replace(row, annotations={STALENESS: f"2m{seconds}s"}) for row in (API, WEB))

    shop.rows = aged(0)
    async with served(shop) as session, watching(session, WATCH) as stream:
        first = await stream.next()
        assert first["object"]["metadata"]["annotations"] == {"metrics.smi-spec.io/staleness": "2m0s"}
        assert await stream.told(1) == [("ADDED", "web")]
        for seconds in (5, 55, 0):
            shop.rows = aged(seconds)
            await shop.polls(2)
        assert await stream.quiet()
        shop.rows = moved(aged(5), "web", success=99_000)
        event = await stream.next()
        assert (event["type"], event["object"]["metadata"]["annotations"][STALENESS]) == ("MODIFIED", "2m5s")


async def test_a_watch_goes_on_from_a_list(shop: Changing):
    async with served(shop) as session:
        version = await listed(session)
        async with watching(session, f"{WATCH}&resourceVersion={version}") as stream:
            assert await stream.quiet()
        async with watching(session, f"{WATCH}&resourceVersion={version}") as stream:
            shop.rows = moved(shop.rows, "web", success=99_000)
            assert await stream.told(1) == [("MODIFIED", "web")]


async def test_what_happened_between_list_and_watch_is_told(shop: Changing):
    async with served(shop) as session:
        version = await listed(session)
        shop.rows = (*moved(shop.rows, "web", success=99_000)[1:], CART)
        async with watching(session, f"{WATCH}&resourceVersion={version}") as stream:
            assert await stream.told(3) == [("MODIFIED", "web"), ("ADDED", "cart"), ("DELETED", "api")]
    assert int(version) in shop.asked


async def test_a_version_of_another_replica_is_as_good(shop: Changing):
    async with served(shop) as one, served(shop) as other:
        version = await listed(one)
        shop.rows = moved(shop.rows, "web", success=99_000)
        async with watching(other, f"{WATCH}&resourceVersion={version}") as stream:
            assert await stream.told(1) == [("MODIFIED", "web")]


async def test_who_comes_back_is_told_what_it_missed(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as first:
        version = (await first.next())["object"]["metadata"]["resourceVersion"]
        await first.next()
        for success in (60_000, 70_000):
            shop.rows = moved(shop.rows, "web", success=success)
            await first.told(1)
        shop.asked.clear()
        async with watching(session, f"{WATCH}&resourceVersion={version}") as second:
            assert await second.told(2) == [("MODIFIED", "web")] * 2
        # It was in the log: nobody was asked about the past.
        assert set(shop.asked) <= {None}


@pytest.mark.parametrize("version", ["1", str(int(time.time()) - 4_000)], ids=["long ago", "an hour ago"])
async def test_a_version_too_old_is_gone(shop: Changing, version: str):
    async with served(shop) as session, watching(session, f"{WATCH}&resourceVersion={version}") as stream:
        event = await stream.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await stream.ended()


@pytest.mark.parametrize("trouble", ["incomplete", "failing", "another window"])
async def test_a_past_nobody_can_tell_is_gone(shop: Changing, trouble: str, monkeypatch: pytest.MonkeyPatch):
    real = Changing.answer

    async def answer(self: Changing, question: Any, instant: int | None = None) -> Result:
        if instant is not None and trouble == "failing":
            raise BackendUnavailable("mesh", "has no history")
        result = await real(self, question, instant)
        if instant is None:
            return result
        window = type(result.window)(7) if trouble == "another window" else result.window
        return Result(result.rows, result.instant, window, incomplete=trouble == "incomplete")

    monkeypatch.setattr(Changing, "answer", answer)
    async with served(shop) as session:
        version = await listed(session)
        async with watching(session, f"{WATCH}&resourceVersion={version}") as stream:
            assert (await stream.next())["object"]["code"] == 410


async def test_the_end_of_the_initial_events_is_marked(shop: Changing):
    async with served(shop) as session, watching(session, f"{STREAMING}&allowWatchBookmarks=true") as stream:
        assert await stream.told(2) == [("ADDED", "api"), ("ADDED", "web")]
        bookmark = await stream.next()
        assert bookmark == {
            "type": "BOOKMARK",
            "object": {
                "kind": "TrafficMetrics",
                "apiVersion": "metrics.smi-spec.io/v1alpha1",
                "metadata": {
                    "resourceVersion": str(shop.history and min(shop.history)),
                    "creationTimestamp": None,
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            },
        }
        shop.rows = moved(shop.rows, "web", success=99_000)
        assert await stream.told(1) == [("MODIFIED", "web")]


async def test_no_bookmark_is_sent_to_who_does_not_understand_them(shop: Changing):
    async with served(shop) as session, watching(session, f"{STREAMING}&timeoutSeconds=1") as stream:
        await stream.told(2)
        assert await stream.ended()


async def test_the_state_can_be_left_out(shop: Changing):
    query = "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan"
    async with served(shop) as session, watching(session, WATCH + query) as stream:
        assert await stream.quiet()


async def test_the_state_is_never_older_than_asked_for(shop: Changing):
    async with served(shop) as session:
        version = await listed(session)
        async with watching(session, f"{STREAMING}&resourceVersion={version}&allowWatchBookmarks=true") as stream:
            await stream.told(2)
            assert int((await stream.next())["object"]["metadata"]["resourceVersion"]) >= int(version)


async def test_a_watch_ends_in_order_when_its_time_is_up(shop: Changing):
    start = time.monotonic()
    async with served(shop) as session, watching(session, f"{WATCH}&timeoutSeconds=1&allowWatchBookmarks=1") as stream:
        await stream.told(2)
        last = await stream.next()
        assert last["type"] == "BOOKMARK"
        assert "annotations" not in last["object"]["metadata"]
        assert await stream.ended()
    assert 0.9 < time.monotonic() - start < 5


async def test_bookmarks_tell_how_far_a_quiet_watch_has_come(shop: Changing, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiservice.watching.stream.BOOKMARK_EVERY", 0.2)
    async with served(shop) as session, watching(session, f"{WATCH}&allowWatchBookmarks=true") as stream:
        await stream.told(2)
        versions = [int((await stream.next())["object"]["metadata"]["resourceVersion"]) for _ in range(2)]
        assert versions[0] < versions[1]


async def test_a_watch_begins_before_there_is_anything_to_tell(shop: Changing):
    shop.rows = ()
    async with served(shop) as session, watching(session, WATCH) as stream:
        headers = stream.response.headers
        assert (headers["Content-Type"], headers["Transfer-Encoding"]) == ("application/json", "chunked")
        assert (headers["Cache-Control"], "Audit-Id" in headers) == ("no-cache, private", True)
        shop.rows = (WEB,)
        assert await stream.told(1) == [("ADDED", "web")]


async def test_the_first_table_alone_defines_the_columns(shop: Changing):
    async with served(shop) as session, watching(session, WATCH, Accept=TABLE) as stream:
        first, second = await stream.next(), await stream.next()
        assert [column["name"] for column in first["object"]["columnDefinitions"]][:3] == ["Name", "Success", "RPS"]
        assert second["object"]["columnDefinitions"] is None
        assert [row["cells"][0] for row in first["object"]["rows"] + second["object"]["rows"]] == ["api", "web"]
        assert first["object"]["metadata"]["resourceVersion"] == first["object"]["rows"][0]["object"]["metadata"]["resourceVersion"]
        shop.rows = moved(shop.rows, "web", success=99_000)
        event = await stream.next()
        assert (event["type"], event["object"]["kind"], event["object"]["columnDefinitions"]) == ("MODIFIED", "Table", None)


async def test_a_bookmark_in_a_table_is_a_row_of_its_metadata(shop: Changing):
    shop.rows = ()
    path = f"{STREAMING}&allowWatchBookmarks=true"
    async with served(shop) as session, watching(session, path, Accept=TABLE) as stream:
        table = (await stream.next())["object"]
        (row,) = table["rows"]
        assert len(row["cells"]) == len(table["columnDefinitions"])
        assert row["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        shop.rows = (WEB,)
        assert (await stream.next())["object"]["columnDefinitions"] is None


async def test_metadata_alone_can_be_watched(shop: Changing):
    async with served(shop) as session, watching(session, WATCH, Accept=METADATA) as stream:
        event = await stream.next()
        assert (event["object"]["kind"], sorted(event["object"])) == ("PartialObjectMetadata", ["apiVersion", "kind", "metadata"])


async def test_a_watch_cannot_be_had_as_yaml(shop: Changing):
    async with served(shop) as session, session.get(WATCH, headers={"Accept": "application/yaml"}) as response:
        assert (await status_of(response))["code"] == 406


async def test_selectors_choose_what_is_watched(shop: Changing):
    query = "&fieldSelector=metadata.name%3Dweb&labelSelector=app%3Dweb"
    async with served(shop) as session, watching(session, WATCH + query) as stream:
        assert await stream.told(1) == [("ADDED", "web")]
        shop.rows = moved(moved(shop.rows, "api", success=1_000), "web", labels={"app": "other"})  # type: ignore[arg-type]
        assert await stream.told(1) == [("DELETED", "web")]


async def test_however_many_watch_one_question_is_asked_in_a_refresh(shop: Changing):
    async with served(shop, refresh=0.25) as session, AsyncExitStack() as stack:
        streams: list[Stream] = [await stack.enter_async_context(watching(session, WATCH)) for _ in range(60)]
        for stream in streams:
            await stream.told(2)
        shop.asked.clear()
        start = time.monotonic()
        shop.rows = moved(shop.rows, "web", success=99_000)
        for stream in streams:
            assert await stream.told(1) == [("MODIFIED", "web")]
        assert len(shop.asked) <= (time.monotonic() - start) / 0.25 + 2


async def test_nothing_is_asked_when_nobody_watches_any_more(shop: Changing):
    async with served(shop) as session:
        async with watching(session, WATCH) as stream:
            await stream.told(2)
            await shop.polls()
        # The server notices when it writes next, or when the connection closes.
        await asyncio.sleep(0.3)
        shop.asked.clear()
        await asyncio.sleep(0.3)
        assert shop.asked == []


async def test_a_head_of_a_watch_is_refused(shop: Changing):
    async with served(shop) as session, session.head(WATCH) as response:
        assert response.status == 405
