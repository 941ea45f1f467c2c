"""A clock that moves when a test says so, and never waits."""

from __future__ import annotations

import asyncio
import datetime as dt

__all__ = ["ManualClock"]


class ManualClock:
    """Begins at the real time of day, so that certificates made for a test are valid; ``slept`` lists every pause asked for, in seconds.

    Whoever pauses goes on at once, and may have paused many times more before a test looks: one that counts what happened meanwhile
    holds the clock first.
    """

    def __init__(self) -> None:
        self._start = dt.datetime.now(dt.UTC)
        self._elapsed = 0.0
        self._going = asyncio.Event()
        self._going.set()
        self.slept: list[float] = []

    def hold(self) -> None:
        """Let nobody's pause end until ``go_on``."""
        self._going.clear()

    def go_on(self) -> None:
        """Let pauses end at once again."""
        self._going.set()

    def advance(self, seconds: float) -> None:
        """Let that much time pass."""
        self._elapsed += seconds

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def now(self) -> dt.datetime:
        """The time of day."""
        return self._start + dt.timedelta(seconds=self._elapsed)

    async def sleep(self, seconds: float) -> None:
        """Pass the time at once, letting others run."""
        self.slept.append(seconds)
        await self._going.wait()
        self.advance(seconds)
        await asyncio.sleep(0)
