"""Amounts on the command line of a gate and in its verdicts: read exactly, and shown so that what is shown never contradicts the verdict.

Everything is a :class:`fractions.Fraction`: at a threshold the rounding of a float would decide (0.995 - 0.990 is more than 0.005 to one).
"""

from __future__ import annotations

import re
from fractions import Fraction

from metrics_api.errors import BadQuery
from metrics_api.window import parse_duration

__all__ = [
    "read_count",
    "read_number",
    "read_percent",
    "read_span",
    "show_latency",
    "show_percent",
    "show_points",
    "show_rate",
    "spaced",
]

_DECIMAL = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)
_MOST_DIGITS = 9  # behind the point, as many as can be written on the command line


def read_number(option: str, text: str) -> Fraction:
    """A number such as ``12`` or ``0.5``, not negative. Raises :class:`metrics_api.errors.BadQuery` naming the option."""
    if not _DECIMAL.fullmatch(text):
        raise BadQuery(f'{option} "{text}" is not a number: write it as 12 or 0.5')
    return Fraction(text)


def read_count(option: str, text: str) -> int:
    """A whole number, not negative. Raises :class:`metrics_api.errors.BadQuery`."""
    number = read_number(option, text)
    if number.denominator != 1:
        raise BadQuery(f'{option} "{text}" is not a whole number')
    return int(number)


def read_percent(option: str, text: str, most: int | None = 100) -> Fraction:
    """A share from a percentage, written with or without its sign: 0.995 for ``99.5`` and ``99.5%``.

    Raises :class:`metrics_api.errors.BadQuery` for what is none, or is above ``most`` percent.
    """
    bare = text.removesuffix("%")
    if not _DECIMAL.fullmatch(bare) or (most is not None and Fraction(bare) > most):
        raise BadQuery(f'{option} "{text}" is not a percentage: write it as 99.5{"" if most is None else f", from 0 to {most}"}')
    return Fraction(bare) / 100


def read_span(option: str, text: str) -> Fraction:
    """Seconds from a duration such as ``300ms`` or ``2m``, above 0. Raises :class:`metrics_api.errors.BadQuery`."""
    try:
        seconds = parse_duration(text)
    except BadQuery as error:
        raise BadQuery(f'{option} "{text}" is not a duration: write it as 300ms, 30s or 2m') from error
    if seconds <= 0:
        raise BadQuery(f'{option} "{text}" has to be above 0: write it as 300ms, 30s or 2m')
    return seconds


def show_percent(value: Fraction, limit: Fraction, *, up: bool) -> str:
    """A share as a percentage with at least two digits behind the point; rounded up or down."""
    return f"{_text(value * 100, max(2, _digits(limit * 100)), up=up)}%"


def show_points(value: Fraction, limit: Fraction, *, up: bool) -> str:
    """A difference of shares in percentage points, as :func:`show_percent`."""
    return f"{_text(value * 100, max(2, _digits(limit * 100)), up=up)} points"


def show_latency(value: Fraction, limit: Fraction, *, up: bool) -> str:
    """A latency in the unit that suits the limit, without zeros at its end."""
    scale, unit, least = (1000, "ms", 1) if limit < 1 else (1, "s", 2)
    text = _text(value * scale, max(least, _digits(limit * scale)), up=up)
    return f"{text.rstrip('0').rstrip('.')}{unit}"


def show_rate(value: Fraction, limit: Fraction, *, up: bool) -> str:
    """A plain number, without zeros at its end."""
    return _text(value, max(2, _digits(limit)), up=up).rstrip("0").rstrip(".")


def spaced(number: Fraction) -> str:
    """A count of requests as people read it: ``12 043``, rounded to the nearest."""
    return f"{round(number):,}".replace(",", " ")


def _text(number: Fraction, digits: int, *, up: bool) -> str:
    """The number with so many digits behind the point, rounded to the worse side: so it never looks better than it is."""
    scaled = number * 10**digits
    whole = -(-scaled.numerator // scaled.denominator) if up else scaled.numerator // scaled.denominator
    sign, size = ("-", -whole) if whole < 0 else ("", whole)
    head, tail = divmod(size, 10**digits)
    return f"{sign}{head}.{tail:0{digits}d}"


def _digits(number: Fraction) -> int:
    """How many digits behind the point a limit has: with as many, what is measured shows on the side of it where it is."""
    return next((digits for digits in range(_MOST_DIGITS) if (number * 10**digits).denominator == 1), _MOST_DIGITS)
