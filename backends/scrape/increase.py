"""The increase of a counter over a window, as Prometheus computes it.

Counters are sampled at moments that are not the edges of a window, so what was counted between the samples is stretched to the edges:
all the way where a sample is about as near as samples are to each other, else by half of that distance, and never to before the moment
at which the counter would have been zero.

Source: prometheus/prometheus, promql/functions.go, extrapolatedRate (3.x: windows are open on the left).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Stretch", "increase"]

_NEAR = 1.1
"""A sample is near an edge of the window if it is no further from it than this many times the mean distance of samples."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What turns the growth between the first and the last sample into the increase over the window.

    ``whole`` is the factor to both edges, ``tail`` the factor to the end alone. ``zero`` is how far the start is, in units of the
    sampled time: a counter that grew by more than ``first / zero`` was zero inside the window.
    """

    whole: float
    tail: float
    zero: float

    @classmethod
    def of(cls, first: float, last: float, count: int, start: float, end: float) -> Stretch:
        """For ``count`` samples, at least two, from ``first`` to ``last`` in a window from ``start`` to ``end``; times in seconds."""
        sampled = last - first
        distance = sampled / (count - 1)
        before, after = first - start, end - last
        if before >= _NEAR * distance:
            before = distance / 2
        if after >= _NEAR * distance:
            after = distance / 2
        return cls((sampled + before + after) / sampled, (sampled + after) / sampled, before / sampled)

    def apply(self, first: float, growth: float) -> float:
        """The increase of a counter whose first sample was ``first`` and which grew by ``growth``, resets allowed for."""
        if growth > 0 and first < self.zero * growth:
            return first + growth * self.tail
        return growth * self.whole


def increase(samples: Sequence[tuple[float, float]], start: float, end: float) -> float | None:
    """The increase over the window above ``start`` up to and including ``end``.

    ``samples`` are pairs of time and value, ascending and all inside the window. None when there are fewer than two.
    """
    if len(samples) < 2:
        return None
    growth = samples[-1][1] - samples[0][1]
    previous = samples[0][1]
    for _, value in samples:
        if value < previous:
            growth += previous
        previous = value
    return Stretch.of(samples[0][0], samples[-1][0], len(samples), start, end).apply(samples[0][1], growth)
