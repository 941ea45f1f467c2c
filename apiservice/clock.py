"""Time as the server sees it, in one place, so that tests decide when ten seconds have passed."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock"]


class Clock(Protocol):
    """Where lifetimes of caches, pauses between retries and validity of certificates come from."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    def now(self) -> dt.datetime:
        """The time of day, in UTC and aware of it."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        ...


class _SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


SYSTEM_CLOCK: Clock = _SystemClock()
"""The clock of the machine."""
