"""What ended lately: remembered for some minutes, and never more of it than so many."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["KEPT", "MOST", "Recent"]

KEPT = 600.0
"""Seconds: longer than the windows people look at, and than an answer may be old."""

MOST = 20_000
"""What ends in 200 seconds where a hundred objects end in each; some 20 MB."""

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Recent(Generic[_K, _V]):
    """Values by key, in the order in which they ended.

    ``clock`` gives seconds that only grow; ``kept`` is in seconds. Of more than ``most`` the oldest are overdue at once.
    """

    def __init__(self, clock: Callable[[], float], kept: float = KEPT, most: int = MOST) -> None:
        self._clock = clock
        self._kept = kept
        self._most = most
        self._ended: OrderedDict[_K, tuple[float, _V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ended)

    def add(self, key: _K, value: _V) -> None:
        """It has ended just now."""
        self._ended.pop(key, None)
        self._ended[key] = (self._clock(), value)

    def discard(self, key: _K) -> _V | None:
        """It goes on after all: the value, if it was remembered."""
        held = self._ended.pop(key, None)
        return None if held is None else held[1]

    def get(self, key: _K) -> _V | None:
        """The value, unless it ended too long ago. Nothing is changed by asking, so any thread may."""
        held = self._ended.get(key)
        return held[1] if held is not None and self._clock() - held[0] <= self._kept else None

    def overdue(self) -> Iterator[tuple[_K, _V]]:
        """Forget what ended too long ago, and what is too much; tells what that was."""
        oldest = self._clock() - self._kept
        while self._ended:
            key, (when, value) = next(iter(self._ended.items()))
            if when >= oldest and len(self._ended) <= self._most:
                return
            del self._ended[key]
            yield key, value
