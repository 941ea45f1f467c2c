"""The range of a dashboard, and the instants at which a panel shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metrics_api.errors import BadQuery
from metrics_api.instant import read_time, timestamp
from metrics_api.span import Span
from metrics_api.window import LONGEST, Window

__all__ = ["MOST_INSTANTS", "TimeRange", "fitting_window", "parse_range", "parse_seconds", "parse_time", "parse_window", "span_of"]

MOST_INSTANTS = 1_000
"""Instants of one series: a panel is some 500 to 2 000 points wide, and every instant is an answer that has to be put together."""

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_592_000, "y": 31_536_000}
"""Seconds in the units of Grafana, in which a month has 30 days (grafana/grafana, packages/grafana-data/src/datetime/rangeutil.ts)."""

_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhdwMy])", re.ASCII)
_RELATIVE = re.compile(r"now(?:\s*([+-])\s*(\d{1,9}(?:ms|[smhdwMy])))?", re.ASCII)
_FOREVER = 1e11  # Unix seconds: what is larger is in milliseconds
_LATEST = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second that can be written


@dataclass(frozen=True, slots=True)
class TimeRange:
    """``start`` and ``end`` in Unix seconds. ``ongoing`` ends now, whatever time it is for whoever asks."""

    start: float
    end: float
    ongoing: bool = False

    def past(self, now: float, refresh: int) -> int | None:
        """The instant at its end, in Unix seconds, if that is before the latest of which there is an answer; None for the latest."""
        latest = int(now // refresh) * refresh
        return None if self.ongoing or self.end >= latest else max(int(self.end), 0)


def parse_seconds(text: str) -> float:
    """The seconds of an interval as Grafana writes one (``500ms``, ``30s``, ``1d``). :class:`metrics_api.errors.BadQuery` if it is none."""
    match = _SECONDS.fullmatch(text.strip())
    if match is None:
        raise BadQuery(f'"{text[:40]}" is not an interval: write it as 30s, 5m, 1h or 1d')
    return float(match[1]) * _UNITS[match[2]]


def parse_window(text: str) -> Window:
    """A window, as the API or as Grafana writes one, rounded up to seconds. Raises :class:`metrics_api.errors.BadQuery`."""
    match = _SECONDS.fullmatch(text)
    if match is not None and match[2] in ("ms", "d", "w"):
        seconds = max(math.ceil(parse_seconds(text)), 1)
        if seconds > LONGEST:
            raise BadQuery(f'window "{text}" is out of bounds: 24h is the longest')
        return Window(seconds)
    return Window.parse(text)


def fitting_window(window: Window, span: Span) -> Window:
    """The window by which every request counts at some instant of a span, when nobody says another one; ``window`` is the shortest."""
    return Window(min(max(window.seconds, span.step), LONGEST))


def parse_time(given: Any, now: float, what: str) -> float:
    """Unix seconds of a time: RFC 3339, milliseconds as in ``$__from``, or relative to ``now``. Raises BadQuery with ``what`` it is."""
    text = str(given).strip() if isinstance(given, str | int | float) and not isinstance(given, bool) else ""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        seconds = number / 1_000 if abs(number) > _FOREVER else number
        return _in_bounds(seconds, text, what)
    relative = _RELATIVE.fullmatch(text)
    if relative is not None:
        sign, amount = relative.groups()
        distance = parse_seconds(amount) if amount else 0
        return _in_bounds(now - distance if sign == "-" else now + distance, text, what)
    written = read_time(text)
    if written is None or not 0 <= written[0] <= _LATEST:
        known = "write it as 2026-11-21T22:25:55Z, in milliseconds as $__from has it, or as now-1h"
        raise BadQuery(f'{what} "{text[:40]}" is not a time: {known}')
    whole, fraction = written
    return whole + float(f"0.{fraction[:9]}")


def parse_range(given: Any, raw: Any, now: float) -> TimeRange | None:
    """The range of a request, None when it has none. ``raw`` is what was written into the time picker. Raises BadQuery."""
    if not isinstance(given, Mapping) or given.get("from") is None or given.get("to") is None:
        return None
    start, end = parse_time(given["from"], now, "range.from"), parse_time(given["to"], now, "range.to")
    if end < start:
        raise BadQuery(f"the range ends at {timestamp(int(end))}, before it begins at {timestamp(int(start))}")
    written = given.get("raw") if isinstance(given.get("raw"), Mapping) else raw
    ongoing = "now" in (given["to"], written.get("to") if isinstance(written, Mapping) else None)
    return TimeRange(start, end, ongoing)


def span_of(asked: TimeRange, now: float, interval: float, points: int, most: int = MOST_INSTANTS) -> Span | None:
    """The instants at which a range is shown: multiples of a step in whole seconds, at most ``most`` and none in the future.

    The step is at least the ``interval``, in seconds, and long enough for no more than ``points`` instants. None when all of it is in the
    future.
    """
    end = int(min(asked.end, now))
    start = max(math.ceil(asked.start), 0)
    if asked.start > now:
        return None
    length = end - start
    steps = min(points, most) - 1
    if length <= 0 or steps < 1:
        return Span(end, end, 1)
    # n steps have n + 1 ends, which are the instants.
    step = max(math.ceil(min(interval, 1e9)), -(-length // steps), 1)
    return Span.until(end, length, step) if start + -start % step <= end else Span(end, end, step)


def _in_bounds(seconds: float, text: str, what: str) -> float:
    if not 0 <= seconds <= _LATEST:
        raise BadQuery(f'{what} "{text[:40]}" is not a time between 1970 and 9999')
    return seconds
