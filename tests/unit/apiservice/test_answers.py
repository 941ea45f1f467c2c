"""One answer for each instant, however many want it."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest

from apiservice.answers import Answers
from apiservice.result import Result
from metrics_api import BackendUnavailable, Edge, Expired, ResourceRef, Span, TrafficMetrics, Window


class Asked(NamedTuple):
    text: str
    instant: int | None = None
    span: Span | None = None


Q = Asked("q")


class Source:
    def __init__(self, rows: int = 1) -> None:
        self.asked: list[tuple[Asked, int]] = []
        self.rows = rows
        self.failure: Exception | None = None

    async def answer(self, question: Asked, instant: int) -> Result:
        self.asked.append((question, instant))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        row = TrafficMetrics("web", "shop", ResourceRef("Deployment", "shop", "web"), Edge(), instant, Window(30))
        return Result((row,) * self.rows, instant, Window(30))


class Clock:
    now = 1003.7

    def __call__(self) -> float:
        return self.now


async def test_now_is_the_last_multiple_of_the_refresh() -> None:
    assert (await Answers(Source(), 5, Clock()).answer(Q)).instant == 1000


async def test_who_asks_the_same_shares_the_answer() -> None:
    source = Source()
    answers = Answers(source, 5, Clock())
    results = await asyncio.gather(*(answers.answer(Q) for _ in range(50)))
    assert await answers.answer(Q) is results[0]
    assert all(result is results[0] for result in results)
    assert source.asked == [(Q, 1000)]


async def test_another_question_and_another_instant_are_asked() -> None:
    source, clock = Source(), Clock()
    answers = Answers(source, 5, clock)
    await answers.answer(Q)
    await answers.answer(Asked("other"))
    clock.now = 1005.0
    await answers.answer(Q)
    await answers.answer(Q, 990)
    assert source.asked == [(Q, 1000), (Asked("other"), 1000), (Q, 1005), (Q, 990)]


async def test_an_instant_nobody_was_told_is_not_asked_about() -> None:
    source = Source()
    with pytest.raises(Expired, match="never given out"):
        await Answers(source, 5, Clock()).answer(Q, 1001)
    assert source.asked == []


async def test_the_instants_of_a_history_are_not_kept() -> None:
    """Whoever asked for it keeps it whole; here its many instants would drive out what many ask."""
    source = Source()
    answers = Answers(source, 5, Clock())
    question = Asked("q", 990, Span(900, 1000, 10))
    await answers.answer(question)
    await answers.answer(question)
    assert source.asked == [(question, 990)] * 2


async def test_a_failure_is_not_kept() -> None:
    source = Source()
    source.failure = BackendUnavailable("mesh", "cannot be reached")
    answers = Answers(source, 5, Clock())
    with pytest.raises(BackendUnavailable):
        await answers.answer(Q)
    source.failure = None
    assert (await answers.answer(Q)).instant == 1000


async def test_an_answer_too_large_to_keep_is_given_all_the_same() -> None:
    source = Source(rows=50_000)
    answers = Answers(source, 5, Clock())
    for _ in range(2):
        assert len((await answers.answer(Q)).rows) == 50_000
    assert len(source.asked) == 2


@pytest.mark.parametrize("instant", [0, 7, 1001], ids=["the first", "long past", "no multiple of the refresh"])
async def test_a_question_about_the_past_is_answered_for_its_instant_whatever_the_refresh(instant: int) -> None:
    source = Source()
    answers = Answers(source, 5, Clock())
    then = Asked("q", instant)
    assert (await answers.answer(then)).instant == instant
    # A page that is asked for again names the instant, too.
    await answers.answer(then, instant)
    assert source.asked == [(then, instant)]


async def test_answers_about_the_past_take_bounded_memory_too() -> None:
    answers = Answers(Source(rows=10_000), 5, Clock())
    for instant in range(20):
        await answers.answer(Asked("q", instant))
    assert sum(len(kept.rows) for kept in answers._kept.values()) <= 50_000
