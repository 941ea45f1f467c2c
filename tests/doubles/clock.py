"""A clock that moves when a test says so, and never waits."""

from __future__ import annotations

import asyncio
import datetime as dt

__all__ = ["ManualClock"]


class ManualClock:
    """Begins at the real time of day, so that certificates made for a test are valid; ``slept`` lists every pause asked for, in seconds."""

    def __init__(self) -> None:
        self._start = dt.datetime.now(dt.UTC)
        self._elapsed = 0.0
        self.slept: list[float] = []

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
        self.advance(seconds)
        await asyncio.sleep(0)
