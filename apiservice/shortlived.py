"""What is remembered for some seconds, and is out of memory soon after: also when nobody asks for anything any more.

``TTLCache`` lets go of what is over when something else comes in. A server that is asked nothing would hold its largest answers until
somebody asks again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from weakref import ref

from cachetools import TTLCache

__all__ = ["PERIOD", "ShortLived"]

K = TypeVar("K")
V = TypeVar("V")

PERIOD = 1.0
"""Seconds between two looks for what is over, at most. Nobody looks at a cache that is empty."""

_AT_ONCE = 0.005
"""Seconds for which memory is given back before others have their turn: to let go of 100 000 rows takes longer."""


class ShortLived(TTLCache[K, V]):
    """Entries for ``ttl`` seconds each, and of ``maxsize`` together; the event loop of whoever puts them in takes them out.

    It does not keep the cache itself: one that nobody needs any more is gone with all that is in it.
    """

    def __init__(self, maxsize: float, ttl: float, size: Callable[[V], float], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(maxsize, ttl, clock, size)
        self._looking = False

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        # Without an event loop, there is nobody who could look.
        with suppress(RuntimeError):
            self._look_later(asyncio.get_running_loop())

    def _look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._looking:
            loop.call_later(min(self.ttl, PERIOD), _look, ref(self), loop)
            self._looking = True

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go of what is over, and see to it that somebody looks again while there is something left."""
        self._looking = False
        expired = list(self.expire())
        # Counting lets go of what is over by then, so it comes before what takes its time.
        if self:
            self._look_later(loop)
        _let_go(expired, loop)


def _look(cache: ref[ShortLived[K, V]], loop: asyncio.AbstractEventLoop) -> None:
    if (there := cache()) is not None:
        there.look(loop)


def _let_go(expired: list[tuple[K, V]], loop: asyncio.AbstractEventLoop) -> None:
    """Forget one after the other, and let others have their turn in between."""
    end = time.monotonic() + _AT_ONCE
    while expired and time.monotonic() < end:
        expired.pop()
    if expired:
        loop.call_soon(_let_go, expired, loop)
