"""Sparklines: recent values as a row of small bars."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["sparkline"]

_BARS = "▁▂▃▄▅▆▇█"
_NOTHING = " "


def sparkline(values: Sequence[float | None]) -> str:
    """One character per value, from 0 to the largest of them. What is unknown is a gap, and 0 the lowest bar.

    No value may be negative.
    """
    highest = max((value for value in values if value is not None), default=0)
    return "".join(_NOTHING if value is None else _bar(value, highest) for value in values)


def _bar(value: float, highest: float) -> str:
    if not value or not highest:
        return _BARS[0]
    # What is more than nothing stands out from nothing.
    return _BARS[min(max(1, round(value / highest * (len(_BARS) - 1))), len(_BARS) - 1)]
