"""Times and steps as Prometheus' clients write them: Unix seconds with a fraction, RFC 3339, and durations such as ``1h30m``.

Source: prometheus/prometheus, web/api/v1/api.go (``parseTime``, ``parseDuration``, ``queryRange``); prometheus/common, model/time.go.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from apiservice.surfaces.prometheus.failures import parameter
from metrics_api.instant import read_time
from metrics_api.span import MOST_INSTANTS, Span

__all__ = ["Moments", "parse_length", "parse_moment", "parse_range", "written"]

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LENGTH = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_UNITS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_LARGEST = 2**53
_QUOTED = 40


@dataclass(frozen=True, slots=True)
class Moments:
    """The moments of a range query: from ``start`` on, ``step`` apart, ``count`` of them; all in milliseconds."""

    start: int
    step: int
    count: int

    def span(self, now: float) -> Span | None:
        """The instants whose numbers are wanted: each moment without its fraction of a second, as far as it has come; None if none has.

        ``now`` is in Unix seconds.
        """
        past = self.past(now)
        if not past:
            return None
        start, step = self.start // 1000, max(self.step // 1000, 1)
        return Span(start, start + (past - 1) * step, step)

    def past(self, now: float) -> int:
        """How many of them have come."""
        if self.start < 0 or self.start // 1000 > now:
            return 0
        return self.count if not self.step else min(self.count, (int(now) - self.start // 1000) * 1000 // self.step + 1)

    def at(self, place: int) -> int:
        """One of them, in milliseconds."""
        return self.start + place * self.step


def parse_moment(name: str, text: str) -> int:
    """Milliseconds of a time, rounded down. Raises a 400 :class:`apiservice.surfaces.prometheus.failures.Failure`."""
    if _NUMBER.fullmatch(text):
        seconds = float(text)
        if abs(seconds) * 1000 < _LARGEST:
            return math.floor(round(seconds * 1000, 3))
    elif (read := read_time(text)) is not None:
        since, fraction = read
        return since * 1000 + int(fraction.ljust(3, "0")[:3])
    raise parameter(name, f'cannot parse "{text[:_QUOTED]}" to a valid timestamp')


def parse_length(name: str, text: str) -> int:
    """Milliseconds of a duration, or of a number of seconds. Raises as above."""
    if _NUMBER.fullmatch(text):
        milliseconds = float(text) * 1000
        if abs(milliseconds) < _LARGEST:
            return round(milliseconds)
    elif text and (match := _LENGTH.fullmatch(text)) is not None:
        total = sum(int(part[:20]) * unit for part, unit in zip(match.groups("0"), _UNITS, strict=True))
        if total < _LARGEST:
            return total
    raise parameter(name, f'cannot parse "{text[:_QUOTED]}" to a valid duration')


def parse_range(start: str, end: str, step: str) -> Moments:
    """The moments of a range query. Raises as above, also for what Prometheus refuses, in its words, and for a step that is not whole."""
    first, last, length = parse_moment("start", start), parse_moment("end", end), parse_length("step", step)
    if last < first:
        raise parameter("end", "end timestamp must not be before start time")
    if length <= 0:
        raise parameter("step", "zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (last - first) // length + 1 > MOST_INSTANTS:
        problem = f"exceeded maximum resolution of {MOST_INSTANTS:,} points per timeseries. Try decreasing the query resolution (?step=XX)"
        raise parameter("step", problem)
    if length % 1000:
        raise parameter("step", f'"{step[:_QUOTED]}" is not a whole number of seconds, which the instants of this API are apart')
    return Moments(first, length, (last - first) // length + 1)


def written(milliseconds: int) -> float | int:
    """A time as JSON has it: seconds, without a fraction that is none."""
    return milliseconds / 1000 if milliseconds % 1000 else milliseconds // 1000
