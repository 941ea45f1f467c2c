"""The budget: how many metrics may be requested in a minute, what has been requested, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from backends.cloudwatch.cost import dollars_per_month
from metrics_api import BackendError, BackendRefused, BackendUnavailable

__all__ = ["Budget", "Reservation"]

_MINUTE = 60
_REMEMBERED = 60
"""Minutes of which it is remembered what was requested in them."""

_PATIENCE = 10
"""Seconds after which to ask again, at most: clients of Kubernetes do so ten times before they show why, and that is over a minute."""

_LEAST_ELAPSED = 300
"""Seconds that an estimate covers at least: the first questions after a start, which nothing is known for yet, are not what goes on."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """The right to request ``metrics``, out of the budget of a ``minute`` (whole minutes since 1970)."""

    minute: int
    metrics: int


class Budget:
    """A ceiling of metrics requested in each minute of the clock, reserved before they are; ``clock`` gives Unix seconds.

    ``refused`` counts the questions that found it used up; see :class:`metrics_api.usage.Usage`.
    """

    def __init__(self, name: str, ceiling: int, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._ceiling = ceiling
        self._clock = clock
        self._began = clock()
        self._by_minute: dict[int, int] = {}
        self._billed = 0
        self.refused = 0

    @property
    def ceiling(self) -> int:
        """Metrics that may be requested in a minute."""
        return self._ceiling

    @property
    def billed(self) -> int:
        """Metrics requested so far."""
        return self._billed

    @property
    def left(self) -> int:
        """Metrics that may still be requested in this minute."""
        return max(self._ceiling - self._by_minute.get(self._minute(), 0), 0)

    @property
    def spent(self) -> str:
        """What was requested in this minute, for a sentence whose subject is the source."""
        return f"has requested {self._ceiling - self.left} of the {self._ceiling} metrics that its budget allows in a minute"

    def reserve(self, metrics: int) -> Reservation | None:
        """Take ``metrics`` out of the budget of this minute; None when so many are not left."""
        if metrics > self.left:
            return None
        minute = self._minute()
        self._add(minute, metrics)
        return Reservation(minute, metrics)

    def settle(self, reservation: Reservation, billed: int) -> None:
        """Say how many of the metrics of a reservation were requested: what was not goes back, what was more counts."""
        self._add(reservation.minute, billed - reservation.metrics)

    def refusal(self, metrics: int) -> BackendError:
        """Why ``metrics`` cannot be requested now, and when or how they can."""
        if metrics > self._ceiling:
            return BackendRefused(
                self._name,
                f"would have to request {metrics} metrics for this answer, and its budget allows {self._ceiling} in a minute; "
                f"set budget to {metrics} or more, or ask for less: one namespace, one object, or a shorter history",
            )
        wait = _MINUTE - int(self._clock() % _MINUTE)
        return BackendUnavailable(
            self._name,
            f"{self.spent}, and this answer needs {metrics} more; ask again in {wait}s, ask less often, or raise budget",
            retry_after=min(wait, _PATIENCE),
        )

    @property
    def monthly_dollars(self) -> float:
        """What a month costs that goes on like the last hour, or like the time since the start when that is shorter."""
        now = self._clock()
        oldest = int(now // _MINUTE) - _REMEMBERED
        lately = sum(metrics for minute, metrics in self._by_minute.items() if minute > oldest)
        elapsed = min(max(now - self._began, _LEAST_ELAPSED), _MINUTE * _REMEMBERED)
        return dollars_per_month(lately, elapsed)

    def _minute(self) -> int:
        return int(self._clock() // _MINUTE)

    def _add(self, minute: int, metrics: int) -> None:
        self._billed += metrics
        self._by_minute[minute] = self._by_minute.get(minute, 0) + metrics
        if len(self._by_minute) > _REMEMBERED:
            del self._by_minute[min(self._by_minute)]
