"""People who ask all the time, each one thing after the other, and hold every single answer against the facts."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp

from tests.federation.facts import SOURCES
from tests.federation.rig import Rig
from tests.federation.verdict import Question, edges, everywhere, judge, one, within

__all__ = ["QUESTIONS", "Load", "under_load"]

QUESTIONS: Sequence[Question] = (
    everywhere(),
    everywhere("/trafficmetrics"),
    *(within(namespace) for namespace in ("shop", "ledger", "edge", "legacy", "shared")),
    *(
        one(workload)
        for workload in (("shop", "web"), ("ledger", "book"), ("edge", "hall"), ("legacy", "till"), ("shared", "cache"))
    ),
    *(edges(workload) for workload in (("shop", "web"), ("ledger", "book"), ("edge", "hall"), ("shared", "cache"))),
)
_PEOPLE = 4
_ENOUGH = 5
_PAUSE = 0.02
"""Seconds."""


class Load:
    """What was asked so far, and what was wrong with it. ``calm`` is set while every answer has to be whole.

    ``lacking`` is what the last answer said that was not.
    """

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.calm = False
        self.complaints: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.lacking = ""

    async def ask(self, question: Question) -> bool:
        """Whether the answer has everything."""
        calm = self.calm
        try:
            reply = await self._rig.ask(question.path)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.complaints.append(f"{question.path}: no answer at all: {error!r}")
            return False
        verdict = judge(question, reply)
        self.complaints += [f"{question.path}: {complaint}" for complaint in verdict.complaints]
        if not verdict.whole:
            self.lacking = f"{question.path}: {reply.status}, {reply.document.get('message', reply.warnings)}"
        if calm and self.calm and not verdict.whole:
            self.complaints.append(f"nothing is disturbed, and the answer is not whole: {self.lacking}")
        self.outcomes["whole" if verdict.whole else "incomplete" if reply.status == 200 else str(reply.status)] += 1
        return verdict.whole

    async def noticed(self, patience: float = 8.0) -> None:
        """Returns when some answers have lacked something; AssertionError if that takes too long."""
        before = self.outcomes["incomplete"]
        try:
            async with asyncio.timeout(patience):
                while self.outcomes["incomplete"] < before + _ENOUGH:  # noqa: ASYNC110
                    await asyncio.sleep(_PAUSE)
        except TimeoutError:
            raise AssertionError(f"nobody noticed within {patience:g}s: {self.outcomes}") from None

    async def recovered(self, patience: float = 8.0) -> float:
        """After how many seconds from now every question has a whole answer; AssertionError if that takes too long."""
        start = time.monotonic()
        try:
            async with asyncio.timeout(patience):
                await asyncio.gather(*(self._answered(question) for question in QUESTIONS))
        except TimeoutError:
            raise AssertionError(f"not whole after {patience:g}s: {self.lacking or self.complaints}") from None
        return time.monotonic() - start

    async def _answered(self, question: Question) -> None:
        while not await self.ask(question):  # noqa: ASYNC110
            await asyncio.sleep(_PAUSE)

    async def person(self, seed: int) -> None:
        """Asks one thing after the other."""
        choosing = random.Random(seed)
        while True:
            await self.ask(choosing.choice(QUESTIONS))
            await asyncio.sleep(_PAUSE)


@asynccontextmanager
async def under_load(rig: Rig) -> AsyncIterator[Load]:
    """Several people who ask for as long as the context lasts; every answer is whole when it begins, and when it ends."""
    load = Load(rig)
    load.calm = True
    people = [asyncio.ensure_future(load.person(seed)) for seed in range(_PEOPLE)]
    try:
        yield load
    finally:
        for person in people:
            person.cancel()
        ended = await asyncio.gather(*people, return_exceptions=True)
        await rig.restore(*(source.name for source in SOURCES))
        await Load(rig).recovered()
    failures = [error for error in ended if not isinstance(error, asyncio.CancelledError)]
    assert not failures, failures
