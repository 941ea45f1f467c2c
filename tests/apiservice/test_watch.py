"""Watch: what is there first, and then what changes, told once in a refresh to all who watch the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from apiservice.app import AppOptions
from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.watching import Batch, Feed, Feeds
from apiservice.watching.stream import _follow as follow
from metrics_api import BackendUnavailable, ResourceRef
from tests.apiservice.asking import SHOP, client, status_of
from tests.apiservice.changing import Changing, Stream, moved, watching
from tests.apiservice.memory import SHOP_API, SHOP_WEB, parse, total

DEPLOYMENTS = f"{SHOP}/deployments"
WATCH = f"{DEPLOYMENTS}?watch=true"
STREAMING = f"{WATCH}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"

API = total(SHOP_API, 90, 10, 8_000)
WEB = total(SHOP_WEB, 54, 6)
CART = total(ResourceRef("Deployment", "shop", "cart"), 20, 0)


@pytest.fixture
def shop() -> Changing:
    return Changing((API, WEB))


@asynccontextmanager
async def served(service: Changing, refresh: float = 0.05) -> AsyncIterator[TestClient[Any, Any]]:
    async with client(service, options=AppOptions("0.1.0", refresh=refresh)) as session:
        yield session


async def listed(session: TestClient[Any, Any]) -> str:
    """The version of a list."""
    async with session.get(DEPLOYMENTS) as response:
        version: str = (await response.json())["metadata"]["resourceVersion"]
        return version


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


async def test_a_source_that_fails_ends_no_watch(shop: Changing, caplog: pytest.LogCaptureFixture):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.failure = BackendUnavailable("mesh", "cannot be reached")
        await shop.polls(4)
        shop.failure = None
        shop.rows = moved(shop.rows, "web", success=99_000)
        assert await stream.told(1) == [("MODIFIED", "web")]
    assert sum("cannot be reached" in record.getMessage() for record in caplog.records) == 1


async def test_a_source_that_fails_at_first_is_told_before_the_watch_begins(shop: Changing):
    shop.failure = BackendUnavailable("mesh", "cannot be reached")
    async with served(shop) as session, session.get(WATCH) as response:
        assert (await status_of(response))["code"] == 503


async def test_who_comes_while_a_source_fails_is_told_so(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.failure = BackendUnavailable("mesh", "cannot be reached")
        await shop.polls()
        async with session.get(WATCH) as response:
            assert (await status_of(response))["code"] == 503
        shop.failure = None
        await shop.polls()
        async with watching(session, WATCH) as other:
            await other.told(2)


async def test_what_an_incomplete_answer_lacks_has_not_gone(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.incomplete, shop.rows = True, (WEB,)
        event = await stream.next()
        assert (event["type"], event["object"]["metadata"]["name"]) == ("MODIFIED", "web")
        assert event["object"]["metadata"]["annotations"] == {"metrics.smi-spec.io/incomplete": "true"}
        await shop.polls()
        shop.incomplete = False
        assert sorted(await stream.told(2)) == [("DELETED", "api"), ("MODIFIED", "web")]


async def test_a_row_that_was_missing_for_a_while_is_told_again(shop: Changing):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.incomplete, shop.rows = True, (API,)
        await stream.told(1)
        version = await listed(session)
        await shop.polls()
        # Who listed meanwhile lacks a row that nobody else has missed.
        async with watching(session, f"{WATCH}&resourceVersion={version}") as late:
            shop.incomplete, shop.rows = False, (API, WEB)
            assert sorted(await late.told(2)) == [("MODIFIED", "api"), ("MODIFIED", "web")]


async def test_a_change_while_the_state_is_being_read_is_told(shop: Changing):
    many = tuple(total(ResourceRef("Deployment", "shop", f"row-{number:05}"), 10, 0) for number in range(20_000))
    shop.rows = many
    async with served(shop) as session, watching(session, WATCH) as stream:
        # It does not read, so the server waits with half of the state.
        await asyncio.sleep(0.4)
        shop.rows = (*many, CART)
        await shop.polls(3)
        told = await stream.told(len(many) + 1)
        assert told[-1] == ("ADDED", "cart")


async def test_a_state_no_older_than_asked_for_is_waited_for(shop: Changing):
    shop.instant = int(time.time())
    async with served(shop, refresh=0.5) as session, watching(session, WATCH) as first:
        await first.told(2)
        ahead = shop.instant + 2
        shop.rows = (*shop.rows, CART)
        path = f"{STREAMING}&resourceVersion={ahead}&allowWatchBookmarks=true"
        async with watching(session, path) as stream:
            assert await stream.told(3) == [("ADDED", name) for name in ("api", "web", "cart")]
            assert int((await stream.next())["object"]["metadata"]["resourceVersion"]) >= ahead


async def test_the_last_bookmark_claims_no_more_than_was_told(monkeypatch: pytest.MonkeyPatch):
    feed = Feed(Result((API,), 100, WEB.window), lambda _: pytest.fail("nothing is asked"))  # type: ignore[arg-type]
    marked: list[int] = []

    class Sent:
        async def end(self, version: int) -> None:
            marked.append(version)

    async def news(_version: int) -> None:
        # The poll comes in the moment the time is up.
        await feed.advance(Result((API, WEB), 105, WEB.window))
        raise TimeoutError

    monkeypatch.setattr(feed, "news", news)
    await follow(feed, Sent(), 100, 1)  # type: ignore[arg-type]
    assert marked == [100]


async def test_a_watch_ends_in_time_however_much_there_is_to_tell(monkeypatch: pytest.MonkeyPatch):
    feed = Feed(Result((API,), 100, WEB.window), lambda _: pytest.fail("nothing is asked"))  # type: ignore[arg-type]
    marked: list[int] = []

    class Sent:
        async def tell(self, *_: object) -> None:
            """Never waits: the client reads at once."""

        async def end(self, version: int) -> None:
            marked.append(version)

    async def news(_version: int) -> list[Batch]:
        return []

    monkeypatch.setattr(feed, "news", news)
    await follow(feed, Sent(), 100, 0.1)  # type: ignore[arg-type]
    assert marked == [100]


async def test_a_watch_ends_when_the_clock_goes_back(caplog: pytest.LogCaptureFixture):
    shop, ahead = Changing((API,)), [100.0]
    feeds = Feeds(shop, 0.05, lambda: time.time() + ahead[0])
    async with feeds.following(parse(parse_request("GET", DEPLOYMENTS, {}), {})) as feed:
        version = feed.version
        ahead[0], shop.instant = 0.0, shop.instant - 1_000
        async with asyncio.timeout(5):
            while not feed.over:
                assert await feed.news(version) == []
    assert "the clock has gone back" in caplog.text


async def test_a_form_that_makes_no_difference_is_not_encoded_for_itself(shop: Changing, monkeypatch: pytest.MonkeyPatch):
    forms = set()
    encoded = Batch.encoded

    def noted(self: Batch, form: Any, *rest: Any) -> Any:
        forms.add(form)
        return encoded(self, form, *rest)

    monkeypatch.setattr(Batch, "encoded", noted)
    async with served(shop) as session:
        for query in ("", "&pretty=true", "&pretty=false", "&includeObject=None", "&includeObject=Object"):
            async with watching(session, WATCH + query) as stream:
                await stream.told(2)
    assert len(forms) == 1


async def test_a_bug_in_a_poll_ends_the_watch_and_is_logged(shop: Changing, caplog: pytest.LogCaptureFixture):
    async with served(shop) as session, watching(session, WATCH) as stream:
        await stream.told(2)
        shop.failure = ZeroDivisionError()
        assert await stream.ended()
        shop.failure = None
        async with watching(session, WATCH) as again:
            await again.told(2)
    assert any(record.exc_info for record in caplog.records)


async def test_watches_end_in_order_when_the_server_goes(shop: Changing):
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(served(shop))
        stream = await stack.enter_async_context(watching(session, WATCH))
        await stream.told(2)
        await session.server.app.shutdown()  # type: ignore[union-attr]
        assert await stream.ended()


async def test_a_watch_that_begins_as_the_server_goes_does_not_hold_it_up(shop: Changing, monkeypatch: pytest.MonkeyPatch):
    answered, real = asyncio.Event(), Changing.answer

    async def answer(self: Changing, question: Any, instant: int | None = None) -> Result:
        self.polled.set()
        await answered.wait()
        return await real(self, question, instant)

    monkeypatch.setattr(Changing, "answer", answer)
    async with served(shop) as session:
        asked = asyncio.create_task(session.get(WATCH))
        await shop.polls(1)
        await session.server.app.shutdown()  # type: ignore[union-attr]
        answered.set()
        async with await asked as response:
            assert (await status_of(response))["code"] == 503
            assert response.headers["Retry-After"] == "1"


async def test_a_head_of_a_watch_is_refused(shop: Changing):
    async with served(shop) as session, session.head(WATCH) as response:
        assert response.status == 405
