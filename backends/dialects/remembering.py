"""Plans are made once for each question: they do not depend on the instant, and the same is asked again in every refresh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import TypeVar

from backends.dialects.dialect import Dialect
from metrics_api import TrafficQuery, Window

__all__ = ["remembered"]

_T = TypeVar("_T")

_MOST = 512
"""Plans; each takes some ten kilobytes."""

_ANY_WINDOW = Window(60)


def remembered(make: Callable[[Dialect, TrafficQuery], _T]) -> Callable[[Dialect, TrafficQuery], _T]:
    """``make``, whose results depend on neither instant nor window and are never changed, done once for each question to a dialect."""
    kept: dict[tuple[int, TrafficQuery], tuple[Dialect, _T]] = {}

    @wraps(make)
    def get(dialect: Dialect, query: TrafficQuery) -> _T:
        key = id(dialect), replace(query, instant=0, window=_ANY_WINDOW)
        found = kept.get(key)
        if found is None:
            if len(kept) >= _MOST:
                kept.clear()
            # As long as the dialect is kept no other can have its id.
            found = kept[key] = dialect, make(dialect, query)
        return found[1]

    return get
