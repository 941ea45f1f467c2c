"""Plans are made once for each question: they do not depend on the instant, and the same is asked again in every refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from threading import Lock
from typing import Generic, TypeVar
from weakref import finalize

from backends.dialects.dialect import Dialect
from metrics_api import TrafficQuery, Window

__all__ = ["remembered"]

_T = TypeVar("_T")

_MOST = 512
"""Plans of one dialect; each takes 3 to 8 KiB, and a question has up to eight."""

_NAMES = 32
"""So many names of pods in a question count for one plan more: they take 4 KiB in each, and are others after each rollout."""

_ANY_WINDOW = Window(60)


class _Plans(Generic[_T]):
    """What was made for one dialect: that which was wanted last, as far as there is room."""

    def __init__(self) -> None:
        self._kept: dict[TrafficQuery, _T] = {}
        self._room = _MOST
        self._lock = Lock()

    def get(self, query: TrafficQuery) -> _T | None:
        with self._lock:
            found = self._kept.pop(query, None)
            if found is not None:
                self._kept[query] = found
            return found

    def keep(self, query: TrafficQuery, made: _T) -> None:
        size = _size(query)
        with self._lock:
            if query in self._kept or size > _MOST:
                return
            self._kept[query] = made
            self._room -= size
            while self._room < 0:
                oldest = next(iter(self._kept))
                del self._kept[oldest]
                self._room += _size(oldest)


def remembered(make: Callable[[Dialect, TrafficQuery], _T]) -> Callable[[Dialect, TrafficQuery], _T]:
    """``make``, whose results depend on neither instant nor window and are never changed, done once for each question to a dialect.

    What was made for a dialect is gone with it: it must not refer to the dialect itself. None is nothing that could be remembered.
    """
    kept: dict[int, _Plans[_T]] = {}

    def of(dialect: Dialect) -> _Plans[_T]:
        plans = kept.get(id(dialect))
        if plans is None:
            # It is called before another can have the same id.
            finalize(dialect, kept.pop, id(dialect), None).atexit = False
            plans = kept.setdefault(id(dialect), _Plans())
        return plans

    @wraps(make)
    def get(dialect: Dialect, query: TrafficQuery) -> _T:
        plans, question = of(dialect), replace(query, instant=0, window=_ANY_WINDOW)
        found = plans.get(question)
        if found is None:
            found = make(dialect, query)
            plans.keep(question, found)
        return found

    return get


def _size(query: TrafficQuery) -> int:
    return 1 + len(query.narrowing) // _NAMES
