"""What a watcher is told: the rows that came, moved or went since the last time.

Rates are never quite the same twice, and a watcher that is told of every thousandth of a request learns nothing. So a row has moved
when one of its numbers is away by more than half a per cent from what was told last, or when anything else about it changed, but for
the time that has passed. What was told is the measure, not the row before: a slow drift is told as soon as it adds up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from metrics_api.objects import Extra, TrafficMetrics
from metrics_api.provenance import STALENESS

__all__ = ["ADDED", "DELETED", "MODIFIED", "Event", "Key", "Rows", "by_key", "difference", "has_moved"]

ADDED = "ADDED"
MODIFIED = "MODIFIED"
DELETED = "DELETED"

_PARTS = 200
"""A number has moved when it changed by more than one part in so many."""

Key = tuple[str, str]
Rows = Mapping[Key, TrafficMetrics]
"""Rows by namespace and name, which is how every client of a watch keeps them."""


class Event(NamedTuple):
    """``kind`` is ADDED, MODIFIED or DELETED; of a row that went, ``row`` is what was told last, as of when it was gone."""

    kind: str
    row: TrafficMetrics


def by_key(rows: Iterable[TrafficMetrics]) -> dict[Key, TrafficMetrics]:
    """The rows by namespace and name, in their order."""
    return {(row.namespace, row.name): row for row in rows}


def difference(
    told: Rows, rows: Sequence[TrafficMetrics], instant: int, *, incomplete: bool = False, unsure: Collection[Key] = ()
) -> list[Event]:
    """The events that lead from what was told to ``rows``, which are as of ``instant`` (Unix seconds).

    A row that an ``incomplete`` answer lacks has not gone: a source that could have told did not. When one of those is there again
    (``unsure``), it is told even if it has not moved.
    """
    events = []
    present = by_key(rows)
    for key, row in present.items():
        before = told.get(key)
        if before is None:
            events.append(Event(ADDED, row))
        elif key in unsure or has_moved(before, row):
            events.append(Event(MODIFIED, row))
    if not incomplete:
        events += [Event(DELETED, replace(row, instant=instant, version=None)) for key, row in told.items() if key not in present]
    return events


def has_moved(before: TrafficMetrics, now: TrafficMetrics) -> bool:
    """Whether ``now`` is worth telling to somebody who knows ``before``."""
    return (
        _differ(before.success, now.success)
        or _differ(before.failure, now.failure)
        or _differ(before.p50, now.p50)
        or _differ(before.p90, now.p90)
        or _differ(before.p99, now.p99)
        or _differ_in_extras(before.extras, now.extras)
        or before.labels != now.labels
        or (before.annotations != now.annotations and _lasting(before.annotations) != _lasting(now.annotations))
        or before.window != now.window
        or before.edge != now.edge
        or before.resource != now.resource
        or before.backend != now.backend
        or before.source != now.source
    )


def _differ_in_extras(before: Sequence[Extra], now: Sequence[Extra]) -> bool:
    """Whether one of them moved, came or went: a source may have a percentile nobody asked for at one time, and none at another."""
    return len(before) != len(now) or any(
        one.name != other.name or _differ(one.micro, other.micro) for one, other in zip(before, now, strict=True)
    )


def _lasting(annotations: Mapping[str, str]) -> dict[str, str]:
    """The annotations without how old the numbers are: those of a source that has whole minutes grow older with every refresh."""
    return {name: text for name, text in annotations.items() if name != STALENESS}


def _differ(before: int | None, now: int | None) -> bool:
    if before is None or now is None:
        return before is not now
    if not before or not now:
        # To nothing and from nothing is always news, however little it is.
        return before != now
    return abs(before - now) * _PARTS > max(before, now)
