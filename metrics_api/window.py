"""Windows: the stretch of time, in whole seconds, that the numbers of an answer cover.

Written as Go writes durations (``30s``, ``1m0s``, ``1h0m0s``), because that is what Kubernetes sends and clients parse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from metrics_api.errors import BadQuery

__all__ = ["LONGEST", "Window", "format_duration", "parse_duration"]

_UNIT = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_LONGEST_TEXT = 64  # characters; every duration Go prints is shorter
_TERM = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")

LONGEST = 24 * 3600
"""The longest window served, in seconds: a longer one is history, and would read the whole store of a source."""


def parse_duration(text: str) -> Fraction:
    """Seconds in a Go duration string (``1h30m``, ``1.5s``, ``0``); exact. :class:`BadQuery` when it is not one."""
    if len(text) > _LONGEST_TEXT:
        raise BadQuery(f'"{text[:20]}..." is not a duration: it is longer than {_LONGEST_TEXT} characters')
    body = text[1:] if text[:1] in ("+", "-") else text
    if body == "0":
        return Fraction(0)
    seconds, position = Fraction(0), 0
    while position < len(body):
        term = _TERM.match(body, position)
        if term is None:
            break
        seconds += Fraction(term[1].rstrip(".")) * _UNIT[term[2]]
        position = term.end()
    if position != len(body) or not body:
        raise BadQuery(f'"{text}" is not a duration: write it as 30s, 5m or 1h30m')
    return -seconds if text[0] == "-" else seconds


def format_duration(seconds: int) -> str:
    """Whole seconds as Go prints a duration: ``30s``, ``1m0s``, ``1h0m0s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A number of whole seconds between 1 and :data:`LONGEST`."""

    seconds: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read a window; :class:`BadQuery` when it is no duration, not in whole seconds, or out of bounds."""
        seconds = parse_duration(text)
        if seconds.denominator != 1:
            raise BadQuery(f'window "{text}" is not in whole seconds: the shortest unit is 1s')
        if not 1 <= seconds <= LONGEST:
            raise BadQuery(f'window "{text}" is out of bounds: it must be from 1s to {format_duration(LONGEST)}')
        return cls(int(seconds))

    def __str__(self) -> str:
        return format_duration(self.seconds)
