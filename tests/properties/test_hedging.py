"""Asking twice what takes long: the first success wins, whatever the two take and whichever fails, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiservice.federation.hedging import hedged
from tests.doubles.virtual_time import run_virtually


class Failed(Exception):
    """What one asking failed with."""


@dataclass
class Asked:
    """Two askings: what each takes, in seconds, and whether it succeeds; ``ended`` says how those ended that began."""

    takes: tuple[float, float]
    succeeds: tuple[bool, bool] = (True, True)
    cleaning: float = 0.0
    began: list[float] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    hedges: int = 0

    async def __call__(self) -> str:
        number = len(self.began)
        self.began.append(asyncio.get_running_loop().time())
        self.ended.append("under way")
        try:
            await asyncio.sleep(self.takes[number])
        except asyncio.CancelledError:
            await asyncio.sleep(self.cleaning)
            self.ended[number] = "cancelled"
            raise
        if not self.succeeds[number]:
            self.ended[number] = "failed"
            raise Failed(f"asking {number}")
        self.ended[number] = "succeeded"
        return f"asking {number}"

    def hedge(self) -> None:
        self.hedges += 1

    async def outcome(self, after: float) -> str:
        try:
            return await hedged(self, after, self.hedge)
        except Failed as error:
            return f"{error} failed"


# No two moments of a run are the same, whichever askings there are: the whole part is random, and the rest tells whose it is.
seconds = st.integers(0, 20)


@given(seconds, seconds, st.integers(0, 10), st.booleans(), st.booleans())
def test_the_first_success_wins(first: int, second: int, after: int, succeeds: bool, again: bool) -> None:  # noqa: FBT001
    one, other, patience = first + 0.25, second + 0.125, float(after)
    asked = Asked((one, other), (succeeds, again))
    outcome, took = run_virtually(asked.outcome(patience))
    ends = patience + other
    if not after or one < patience:
        expected = ("asking 0" if succeeds else "asking 0 failed", one)
    elif succeeds and (not again or one < ends):
        expected = ("asking 0", one)
    elif again:
        expected = ("asking 1", ends)
    else:
        expected = ("asking 0 failed", max(one, ends))
    assert (outcome, took) == expected
    hedges = after > 0 and one > patience
    assert (asked.hedges, asked.began) == (hedges, [0.0, patience][: 1 + hedges])
    assert "under way" not in asked.ended


@given(seconds, seconds, st.integers(0, 10), seconds, st.booleans())
def test_whoever_cancels_it_cancels_both(first: int, second: int, after: int, cancelled: int, succeeds: bool) -> None:  # noqa: FBT001
    asked = Asked((first + 0.25, second + 0.125), (succeeds, succeeds), cleaning=1.0)
    at = cancelled + 0.0625

    async def cancel() -> bool:
        task = asyncio.create_task(asked.outcome(after))
        await asyncio.wait([task], timeout=at)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    was_cancelled, _ = run_virtually(cancel())
    assert "under way" not in asked.ended
    assert len(asked.began) <= 1 + (0 < after < at)
    if was_cancelled:
        assert "cancelled" in asked.ended


def test_the_one_that_lost_has_ended_when_the_other_is_told() -> None:
    asked = Asked((9.0, 1.0), cleaning=0.5)
    assert run_virtually(asked.outcome(2.0)) == ("asking 1", 3.5)
    assert asked.ended == ["cancelled", "succeeded"]


def test_cancelling_it_twice_leaves_nothing_behind_either() -> None:
    asked = Asked((9.0, 9.0), cleaning=1.0)

    async def cancel() -> None:
        task = asyncio.create_task(asked.outcome(2.0))
        for pause in (3.0, 0.5):
            await asyncio.sleep(pause)
            task.cancel()
        await asyncio.wait([task])

    _, took = run_virtually(cancel())
    assert (took, asked.ended) == (4.0, ["cancelled", "cancelled"])


@pytest.mark.parametrize("after", [0.0, 1.0, 20.0], ids=["never", "in-time", "too-late"])
def test_a_question_that_ends_by_itself_as_cancelled_is_cancelled(after: float) -> None:
    async def ask() -> str:
        await asyncio.sleep(10)
        raise asyncio.CancelledError

    async def caught() -> bool:
        try:
            await hedged(ask, after, lambda: None)
        except asyncio.CancelledError:
            return True
        return False

    assert run_virtually(caught())[0]


@pytest.mark.parametrize("after", [1.0, 20.0], ids=["both-failed", "one-failed"])
def test_an_error_is_gone_when_nobody_wants_it_any_more(after: float) -> None:
    kept: list[weakref.ref[BaseException]] = []

    async def ask() -> str:
        await asyncio.sleep(10)
        error = Failed()
        kept.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def look() -> None:
        with suppress(Failed):
            await hedged(ask, after, lambda: None)

    gc.disable()
    try:
        run_virtually(look())
        assert [reference() for reference in kept] == [None] * (2 if after == 1.0 else 1)
    finally:
        gc.enable()
