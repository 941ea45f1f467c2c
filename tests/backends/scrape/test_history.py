"""History out of the scrape source's own memory: as answered at the time, as far back as it reaches, and marked beyond."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from backends.scrape import ScrapeBackend
from backends.scrape.recall import recall
from metrics_api import Answer, BackendForgot, BackendProtocolError, BackendUnavailable, Span, TrafficQuery
from tests.backends.scrape.sources import ask, counting, question, settings, target
from tests.doubles.exporter import exporter

QUERY = question(2, 0)
SPAN = Span(100, 130, 10)


async def test_history_at_each_instant_is_the_answer_of_that_instant():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        first = await ask(source, lambda answer: answer.samples and answer.window == QUERY.window, seconds=2, past=True)
        last = await ask(source, lambda answer: answer.instant > first.instant + 1, seconds=2, past=True)
        history = await source.history(QUERY, Span(first.instant, last.instant, 1))
        assert len(history) == last.instant - first.instant + 1
        for answer in history:
            assert answer.samples
            assert answer == await source.answer(replace(QUERY, instant=answer.instant))


async def test_instants_before_memory_begins_are_marked_and_have_no_rows():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        known = await ask(source, lambda answer: answer.samples, past=True)
        history = await source.history(QUERY, Span(known.instant - 300, known.instant, 100))
    *before, now = history
    assert [(answer.samples, answer.incomplete) for answer in before] == [((), True)] * 3
    assert all('source "mesh" has nothing of some instants' in answer.warnings[0] for answer in before)
    assert now.samples
    assert not now.incomplete


async def test_a_history_of_which_nothing_is_remembered_is_an_error_that_says_when_memory_begins():
    async with exporter(counting) as web, ScrapeBackend(settings(target(web.address))) as source:
        await ask(source, lambda answer: answer.samples, past=True)
        hour_ago = int(time.time()) - 3600
        with pytest.raises(BackendForgot, match="what it has scraped begins at"):
            await source.history(QUERY, Span(hour_ago - 60, hour_ago, 30))


def remembering(errors: dict[int, Exception]) -> Callable[[TrafficQuery], Awaitable[Answer]]:
    """A source that fails at some instants."""

    async def answer(query: TrafficQuery) -> Answer:
        if query.instant in errors:
            raise errors[query.instant]
        return Answer((), query.instant, query.window)

    return answer


async def test_a_gap_in_memory_is_marked():
    gap = {110: BackendUnavailable("mesh", "no target was scraped in the last 30s"), 120: BackendForgot("mesh", "forgot")}
    answers = await recall("mesh", remembering(gap), QUERY, SPAN)
    assert [answer.instant for answer in answers] == [100, 110, 120, 130]
    assert [answer.incomplete for answer in answers] == [False, True, True, False]


async def test_where_nothing_is_remembered_the_last_reason_is_raised():
    gone: dict[int, Exception] = {instant: BackendUnavailable("mesh", f"at {instant}") for instant in SPAN.instants}
    with pytest.raises(BackendUnavailable, match="at 130"):
        await recall("mesh", remembering(gone), QUERY, SPAN)


async def test_any_other_failure_fails_the_history():
    with pytest.raises(BackendProtocolError):
        await recall("mesh", remembering({110: BackendProtocolError("mesh", "broken")}), QUERY, SPAN)


async def test_others_have_their_turn_between_instants():
    turns: list[int] = []

    async def answer(query: TrafficQuery) -> Answer:
        turns.append(query.instant)
        return Answer((), query.instant, query.window)

    async def other() -> None:
        turns.append(0)

    await asyncio.gather(recall("mesh", answer, QUERY, SPAN), other())
    assert turns[:2] == [100, 0]
