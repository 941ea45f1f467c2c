"""Does it grow? Statistics of what a server held at its points of rest, and in between.

Memory is never the same twice, so what counts is the slope of a line through it, and how sure that slope is. Descriptors and tasks are
whole numbers, which come back exactly or do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

__all__ = ["WARMING", "Slope", "growing", "grows", "is_leak", "slope"]

WARMING = 0.15
"""The share of a run that is left out: caches fill, pools come to be, and garbage waits for its first collection."""

_T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09)
"""Student's t for 95 % of both sides, by degrees of freedom from 1; 2 beyond."""
_SHARE = 0.05
"""Of its size that memory may seem to grow in an hour, before it counts: less cannot be told from what an allocator does."""
_SLACK = 2


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast a value grows, in its unit per hour, with the bounds between which the slope is at 95 %, and the ``mean`` of the value."""

    hourly: float
    least: float
    most: float
    mean: float


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """The line through points (seconds, value), by least squares; at least three of them.

    Values close to each other are alike, so they tell less than as many independent ones would: they count as so many as
    (1 - r) / (1 + r) of them, where r is the correlation of each residual with the next (Bayley and Hammersley, 1946).

    Raises:
        ValueError: when there are fewer points, or all at one time.

    """
    if len(points) < 3:
        raise ValueError("a line with an error needs three points")
    middle, mean = fmean(at for at, _ in points), fmean(value for _, value in points)
    spread = sum((at - middle) ** 2 for at, _ in points)
    if not spread:
        raise ValueError("the points are all at one time")
    rise = sum((at - middle) * (value - mean) for at, value in points) / spread
    residuals = [value - mean - rise * (at - middle) for at, value in points]
    squares = sum(one * one for one in residuals)
    alike = sum(one * other for one, other in pairwise(residuals)) / squares if squares > 1e-12 else 0.0
    alike = min(max(alike, 0.0), 0.99)
    count = max(3.0, len(points) * (1 - alike) / (1 + alike))
    error = math.sqrt(squares / (count - 2) / spread)
    reach = _t(int(count - 2)) * error
    return Slope(rise * 3600, (rise - reach) * 3600, (rise + reach) * 3600, mean)


def _t(freedom: int) -> float:
    return _T[freedom - 1] if freedom <= len(_T) else 2.0


def grows(line: Slope) -> bool | None:
    """Whether memory grows by more in an hour than a twentieth of what it is; None where these points cannot tell."""
    if line.hourly <= _SHARE * line.mean:
        return False
    return True if line.least > 0 else None


def is_leak(counts: Sequence[int]) -> bool:
    """Whether whole numbers, one of each point of rest, grow: the least of the last third is beyond the most of the first.

    One or two more are none: connections to sources are kept for a moment, in case there is more to ask.
    """
    third = math.ceil(len(counts) / 3)
    return len(counts) > 1 and min(counts[-third:]) > max(counts[:third]) + _SLACK


def growing(counts: Sequence[Mapping[str, int]]) -> list[str]:
    """The kinds of whole numbers that grow."""
    kinds = sorted({kind for each in counts for kind in each})
    return [kind for kind in kinds if is_leak([each.get(kind, 0) for each in counts])]
