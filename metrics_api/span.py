"""Spans: the instants of a history, evenly spaced."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_api.errors import BadQuery

__all__ = ["MOST_INSTANTS", "Span"]

MOST_INSTANTS = 11_000
"""How many instants a history may have: Prometheus refuses more points per series (prometheus/prometheus, web/api/v1/api.go)."""


@dataclass(frozen=True, slots=True)
class Span:
    """The instants from ``start`` to ``end``, ``step`` apart; all three are whole Unix seconds.

    ``start`` is the first instant. ``end`` is the last one if it lies a whole number of steps later, else it lies after the last one, as in
    Prometheus' ``query_range``. :class:`BadQuery` when there would be no instant, or more than :data:`MOST_INSTANTS`.
    """

    start: int
    end: int
    step: int

    def __post_init__(self) -> None:
        if self.start < 0:
            raise BadQuery(f"a history cannot start at {self.start}: it must be in Unix seconds, which are not negative")
        if self.end < self.start:
            raise BadQuery(f"a history cannot end at {self.end}, before it starts at {self.start}")
        if self.step < 1:
            raise BadQuery(f"a history cannot have a step of {self.step}s: the shortest is 1s")
        if len(self.instants) > MOST_INSTANTS:
            raise BadQuery(
                f"a history of {self.end - self.start}s with a step of {self.step}s has {len(self.instants)} instants: "
                f"{MOST_INSTANTS} is the most; take a longer step, or ask for parts of it"
            )

    @classmethod
    def until(cls, instant: int, length: int, step: int) -> Span:
        """The ``length`` seconds up to ``instant``, at the multiples of ``step`` among them.

        Some stores answer for multiples of the step whatever they are asked, and asking at the same instants again lets a store answer from
        what it remembers. :class:`BadQuery` when there is no such multiple.
        """
        if step < 1:
            return cls(instant, instant, step)
        end, earliest = instant - instant % step, max(instant - length, 0)
        start = earliest + -earliest % step
        if start > end:
            raise BadQuery(f"the {length}s up to {instant} hold no multiple of {step}s: take a shorter step or a longer history")
        return cls(start, end, step)

    @property
    def instants(self) -> range:
        """The instants, ascending."""
        return range(self.start, self.end + 1, self.step)
