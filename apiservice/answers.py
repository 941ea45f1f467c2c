"""An answer is made once for the instant it is of, however many want it.

Instants are multiples of the refresh, so that everybody who asks the same within one refresh, on every replica, means the same instant
and gets the same numbers. A question about the past says itself which instant it means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from apiservice.result import Result
from apiservice.shortlived import ShortLived
from metrics_api import Expired
from metrics_api.flight import Sharing, SingleFlight

__all__ = ["Answers"]

_ROWS_KEPT = 50_000
"""Rows that answers may hold together; one takes about 1 KiB."""

_LONGEST = 10.0
"""Seconds an answer is kept at most: it also says which objects exist, which is not known to the refresh."""


class _Service(Protocol):
    async def answer(self, question: Any, instant: int) -> Result: ...


class Answers:
    """Shares the answers of ``service``, and tells ``sharing``. ``refresh`` is in whole seconds; ``clock`` is Unix time."""

    def __init__(
        self, service: _Service, refresh: int, clock: Callable[[], float] = time.time, sharing: Sharing | None = None
    ) -> None:
        self._sharing = sharing or Sharing()
        self._service = service
        self._refresh = refresh
        self._clock = clock
        self._kept: ShortLived[Hashable, Result] = ShortLived(_ROWS_KEPT, min(refresh, _LONGEST), lambda kept: 1 + len(kept.rows))
        self._flights: SingleFlight[Result] = SingleFlight()

    async def answer(self, question: Any, instant: int | None = None) -> Result:
        """The answer as of the instant the question names, else of ``instant`` (Unix seconds), else of the latest one.

        Raises the errors of :mod:`metrics_api.errors`. An ``instant`` that is no multiple of the refresh is
        :class:`metrics_api.errors.Expired`: nobody can have been told it.
        """
        if question.instant is not None:
            instant = int(question.instant)
        elif instant is None:
            instant = int(self._clock() // self._refresh) * self._refresh
        elif instant % self._refresh:
            raise Expired(f"version {instant} was never given out: list without resourceVersion")
        key = question, instant
        kept = self._kept.get(key)
        if kept is not None:
            self._sharing.held()
            return kept
        return await self._flights.once(key, partial(self._ask, question, instant), self._sharing.joined)

    async def _ask(self, question: Any, instant: int) -> Result:
        self._sharing.missed()
        result = replace(await self._service.answer(question, instant), asked=instant)
        # The instants of a history are kept together, by whoever asked for it; here they would be in the way of what many ask.
        if question.span is None and len(result.rows) < _ROWS_KEPT:
            self._kept[question, instant] = result
        return result
