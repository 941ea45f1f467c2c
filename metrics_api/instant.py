"""Instants: the end of the window, in whole Unix seconds, read from RFC 3339 and written as Kubernetes writes a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from metrics_api.errors import BadQuery

__all__ = ["parse_instant", "read_time", "timestamp"]

# A space before the offset is a "+" that was put into a URL as it is: nothing else can stand there.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+\- ])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUOTED = 40  # characters of what was asked that an error repeats


def parse_instant(text: str, now: float) -> int:
    """Unix seconds of an RFC 3339 time, rounded down. ``now``, in Unix seconds too, is the latest it may be.

    Raises :class:`BadQuery` when it is no such time, in the future, or before 1970.
    """
    read = read_time(text)
    asked = text[:_QUOTED]
    if read is None:
        raise _not_a_time(asked)
    instant, _ = read
    if instant < 0:
        raise BadQuery(f'time "{asked}" is before 1970')
    if instant > now:
        raise BadQuery(f'time "{asked}" is in the future: at this server it is {timestamp(int(now))}')
    return instant


def read_time(text: str) -> tuple[int, str] | None:
    """The Unix seconds of an RFC 3339 time and the digits of its fraction of a second, however many; None when it is no such time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    date, time, fraction, sign, hours, minutes = match.groups()
    try:
        local = datetime.fromisoformat(f"{date}T{time}+00:00")
    except ValueError:
        return None
    offset = 0 if sign is None else (int(hours) * 60 + int(minutes)) * 60
    since = local - _EPOCH
    return since.days * 86_400 + since.seconds - (-offset if sign == "-" else offset), fraction or ""


def timestamp(instant: int) -> str:
    """Unix seconds as Kubernetes writes a time: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _not_a_time(asked: str) -> BadQuery:
    return BadQuery(f'time "{asked}" is not an RFC 3339 time: write it as 2026-11-21T22:25:55Z or 2026-11-21T23:25:55+01:00')
