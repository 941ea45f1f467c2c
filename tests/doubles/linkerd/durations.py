"""Durations as Go reads and writes them (``time.ParseDuration``, ``Duration.String``)."""

from __future__ import annotations

import re

__all__ = ["format_duration", "parse_duration"]

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Seconds; ValueError, worded as Go's, for what is none. ``1d`` is none, and neither is the empty text."""
    rest, seconds, at = text[1:] if text[:1] in ("+", "-") else text, 0.0, 0
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while at < len(rest):
        part = _PART.match(rest, at)
        if part is None:
            raise ValueError(_complaint(text, rest[at:]))
        seconds += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return -seconds if text.startswith("-") else seconds


def format_duration(seconds: float) -> str:
    """Whole units before the seconds: ``1m0s``, ``1h0m0s``; below a second in milliseconds."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return (f"{hours:g}h" if hours else "") + (f"{minutes:g}m" if hours or minutes else "") + f"{rest:g}s"


def _complaint(text: str, rest: str) -> str:
    number = re.match(r"\d+\.?\d*|\.\d+", rest)
    if number is None:
        return f'time: invalid duration "{text}"'
    unit = re.match(r"[^\d.]*", rest[number.end() :])
    if unit is None or not unit[0]:
        return f'time: missing unit in duration "{text}"'
    return f'time: unknown unit "{unit[0]}" in duration "{text}"'
