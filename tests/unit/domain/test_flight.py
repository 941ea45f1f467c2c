"""What several ask at the same time is asked once."""

from __future__ import annotations

import asyncio

import pytest

from metrics_api.flight import SingleFlight


class Work:
    """Counts its runs, and waits for the test before it ends with ``outcome``."""

    def __init__(self, outcome: str | Exception = "done") -> None:
        self.outcome = outcome
        self.runs = 0
        self.go = asyncio.Event()

    async def __call__(self) -> str:
        self.runs += 1
        await self.go.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def start(flight: SingleFlight[str], work: Work, key: str = "key") -> asyncio.Task[str]:
    return asyncio.ensure_future(flight.once(key, work))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_at_once_get_the_answer_of_one() -> None:
    flight, work = SingleFlight[str](), Work()
    asking = [start(flight, work) for _ in range(5)]
    await settle()
    work.go.set()
    assert await asyncio.gather(*asking) == ["done"] * 5
    assert work.runs == 1


async def test_other_keys_and_later_questions_are_asked_anew() -> None:
    flight, work = SingleFlight[str](), Work()
    work.go.set()
    await flight.once("a", work)
    await flight.once("b", work)
    await flight.once("a", work)
    assert work.runs == 3


async def test_a_failure_is_everybodys_and_is_not_kept() -> None:
    flight, work = SingleFlight[str](), Work(ValueError("no"))
    asking = [start(flight, work) for _ in range(3)]
    await settle()
    work.go.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no"] * 3
    assert work.runs == 1
    with pytest.raises(ValueError, match="no"):
        await flight.once("key", work)
    assert work.runs == 2


async def test_when_the_one_who_asks_goes_away_the_next_takes_over() -> None:
    flight, work = SingleFlight[str](), Work()
    first, *others = [start(flight, work) for _ in range(3)]
    await settle()
    first.cancel()
    await settle()
    assert work.runs == 2
    work.go.set()
    assert await asyncio.gather(*others) == ["done"] * 2
    assert first.cancelled()
    assert work.runs == 2


async def test_one_who_waits_may_go_away_alone() -> None:
    flight, work = SingleFlight[str](), Work()
    first, second, third = [start(flight, work) for _ in range(3)]
    await settle()
    second.cancel()
    await settle()
    work.go.set()
    assert [await first, await third] == ["done"] * 2
    assert work.runs == 1
