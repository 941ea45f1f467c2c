"""Checks: what a gate demands, and what one observation says of each demand. Pure.

An observation says nothing of any check when it is not to be judged by: nobody answered, the answer was incomplete, or there were too few
requests. Then the check has no data there, which is neither held nor broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple, Protocol

from metrics_api.objects import TrafficMetrics
from metrics_api.provenance import INCOMPLETE
from metrics_api.resources import GROUP

__all__ = ["Check", "Enough", "Finding", "Observation", "Outcome", "Show", "find"]

STALE = f"{GROUP}/stale"


class Outcome(StrEnum):
    """What is said of a check, by one observation or by all of them."""

    HELD = "held"
    BROKEN = "broken"
    NO_DATA = "no data"


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the traffic.

    ``rows`` are one row, or that of the baseline and then that of the candidate, of the same instant and window. Without rows nobody
    answered as they should have, and ``missing`` says why. ``warnings`` are sentences of the server about the answer.
    """

    rows: tuple[TrafficMetrics, ...] = ()
    missing: str = ""
    warnings: tuple[str, ...] = ()


class Finding(NamedTuple):
    """What an observation says of a check: the value measured, where there is data; ``reason`` says why there is none."""

    outcome: Outcome
    value: Fraction | None = None
    reason: str = ""


class Show(Protocol):
    """Prints a value of a check; ``limit`` says how finely, ``up`` to which side it is rounded."""

    def __call__(self, value: Fraction, limit: Fraction, *, up: bool) -> str:
        """The value as people read it."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """One demand: a value that is at least (``least``) or at most ``limit``.

    ``value`` takes it from the rows of an observation; where it is unknown it returns a sentence that says why. ``rows`` are the indices
    of the rows that it is about, ``unit`` is that of value and limit. A check that only says when there is enough to judge by
    (``condition``) is never broken: it is held, or there is no data.
    """

    name: str
    unit: str
    limit: Fraction
    least: bool
    value: Callable[[Sequence[TrafficMetrics]], Fraction | str]
    show: Show
    rows: tuple[int, ...] = (0,)
    condition: bool = False

    def holds(self, value: Fraction) -> bool:
        """Whether a value is on the right side of the limit, or on it."""
        return value >= self.limit if self.least else value <= self.limit

    def worst(self, values: Sequence[Fraction]) -> Fraction | None:
        """The value furthest to the wrong side; None without values."""
        if not values:
            return None
        return min(values) if self.least else max(values)


@dataclass(frozen=True, slots=True)
class Enough:
    """How much traffic every row of an observation needs to be judged by: requests in its window, and requests per second."""

    requests: Fraction = Fraction(1)
    rate: Fraction = Fraction(0)

    def lacking(self, observation: Observation) -> str:
        """Why an observation cannot be judged by at all; empty when it can."""
        if not observation.rows:
            return observation.missing or "nobody answered"
        for row in observation.rows:
            if reason := self._lacking(row):
                # Which of the two it is about has to be said only where there are two.
                told = reason if len(observation.rows) == 1 else f"{row.resource.name}: {reason}"
                because = [text for text in observation.warnings if INCOMPLETE in row.annotations]
                return f"{told} ({'; '.join(because)})" if because else told
        return ""

    def _lacking(self, row: TrafficMetrics) -> str:
        if INCOMPLETE in row.annotations:
            return "the answer is incomplete, because a source failed"
        if STALE in row.annotations:
            return "the numbers are older than they should be, because the budget of their source is used up"
        if row.success is None and row.failure is None:
            return "nothing was observed"
        if row.success is None or row.failure is None:
            return f"the source does not tell how many requests {'succeeded' if row.success is None else 'failed'}"
        requests = Fraction(row.success + row.failure, 1000)
        if requests == 0:
            return "no requests"
        if requests < self.requests:
            return f"too few requests to judge: fewer than {float(self.requests):g} in {row.window}"
        if requests / row.window.seconds < self.rate:
            return f"too little traffic to judge: less than {float(self.rate):g} requests per second"
        return ""


def find(check: Check, enough: Enough, observation: Observation) -> Finding:
    """What an observation says of a check."""
    lacking = enough.lacking(observation)
    if lacking:
        # How little traffic there is may be known, and is what the reader of a condition wants to see.
        known = check.value(observation.rows) if check.condition and observation.rows else None
        return Finding(Outcome.NO_DATA, known if isinstance(known, Fraction) else None, lacking)
    value = check.value(observation.rows)
    if isinstance(value, str):
        return Finding(Outcome.NO_DATA, None, value)
    if check.holds(value):
        return Finding(Outcome.HELD, value)
    return Finding(Outcome.NO_DATA if check.condition else Outcome.BROKEN, value, "too little traffic to judge" * check.condition)
