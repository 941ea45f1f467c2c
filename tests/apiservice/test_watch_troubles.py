"""Watch, when something is in the way: a source, a slow client, the clock, the end of the server."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from apiservice.requestinfo import parse_request
from apiservice.result import Result
from apiservice.watching import Batch, Feed, Feeds
from apiservice.watching.stream import _follow as follow
from metrics_api import BackendUnavailable, ResourceRef, TrafficMetrics
from tests.apiservice.asking import status_of
from tests.apiservice.changing import API, CART, DEPLOYMENTS, STREAMING, WATCH, WEB, Changing, listed, moved, served, watching
from tests.apiservice.memory import parse, total


@pytest.fixture
def shop() -> Changing:
    return Changing((API, WEB))


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
        ahead[0], shop.instant = -1_000.0, shop.instant - 1_000
        async with asyncio.timeout(5):
            while not feed.over:
                assert await feed.news(version) == []
    assert "the clock has gone back" in caplog.text


@pytest.mark.parametrize("rows", [(replace(API, annotations={"metrics.smi-spec.io/stale": "true"}),), (API,), ()])
async def test_a_source_that_is_later_than_another_one_or_must_save_is_no_step_back_and_ends_no_watch(
    rows: tuple[TrafficMetrics, ...], caplog: pytest.LogCaptureFixture
):
    shop = Changing((API,))
    feeds = Feeds(shop, 0.05, time.time)
    async with feeds.following(parse(parse_request("GET", DEPLOYMENTS, {}), {})) as feed:
        told = feed.version
        shop.instant, shop.rows, shop.incomplete = shop.instant - 120, rows, True
        await shop.polls(3)
        assert not feed.over
        assert feed.version == told
    assert "the clock has gone back" not in caplog.text


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
