"""One answer for each instant, however many want it."""

from __future__ import annotations

import asyncio

import pytest

from apiservice.answers import Answers
from apiservice.result import Result
from metrics_api import BackendUnavailable, Edge, Expired, ResourceRef, TrafficMetrics, Window


class Source:
    def __init__(self, rows: int = 1) -> None:
        self.asked: list[tuple[str, int]] = []
        self.rows = rows
        self.failure: Exception | None = None

    async def answer(self, question: str, instant: int) -> Result:
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
    assert (await Answers(Source(), 5, Clock()).answer("q")).instant == 1000


async def test_who_asks_the_same_shares_the_answer() -> None:
    source = Source()
    answers = Answers(source, 5, Clock())
    results = await asyncio.gather(*(answers.answer("q") for _ in range(50)))
    assert await answers.answer("q") is results[0]
    assert all(result is results[0] for result in results)
    assert source.asked == [("q", 1000)]


async def test_another_question_and_another_instant_are_asked() -> None:
    source, clock = Source(), Clock()
    answers = Answers(source, 5, clock)
    await answers.answer("q")
    await answers.answer("other")
    clock.now = 1005.0
    await answers.answer("q")
    await answers.answer("q", 990)
    assert source.asked == [("q", 1000), ("other", 1000), ("q", 1005), ("q", 990)]


async def test_an_instant_nobody_was_told_is_not_asked_about() -> None:
    source = Source()
    with pytest.raises(Expired, match="never given out"):
        await Answers(source, 5, Clock()).answer("q", 1001)
    assert source.asked == []


async def test_a_failure_is_not_kept() -> None:
    source = Source()
    source.failure = BackendUnavailable("mesh", "cannot be reached")
    answers = Answers(source, 5, Clock())
    with pytest.raises(BackendUnavailable):
        await answers.answer("q")
    source.failure = None
    assert (await answers.answer("q")).instant == 1000


async def test_an_answer_too_large_to_keep_is_given_all_the_same() -> None:
    source = Source(rows=50_000)
    answers = Answers(source, 5, Clock())
    for _ in range(2):
        assert len((await answers.answer("q")).rows) == 50_000
    assert len(source.asked) == 2
