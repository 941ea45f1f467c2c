"""Gaps: stretches of a window in which a target was not scraped, so that what it counted there is missing from the answer.

An increase is stretched to the edges of a window by half a scrape at most where the nearest one is far away
(:mod:`backends.scrape.increase`): after an outage counts are too low until it has left the window. A gap between two scrapes costs
nothing, because counters went on meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable

from backends.scrape.loop import Watch

__all__ = ["gapped"]

_EARLY = 1.5
"""A scrape that is this many times as far from the start of a window as scrapes are from each other was not the first one due."""

_LATE = 2.2
"""The same for its end, where the newest scrape may still be under way for as long as one lasts."""


def gapped(watches: Iterable[Watch], start: float, end: float, interval: float) -> list[Watch]:
    """The targets of which a part of the window is not known although they were scraped before it; times are in Unix seconds.

    Targets that fail now are left out, because that is said of them anyway, and new ones: what they did before is nobody's loss.
    """
    return [watch for watch in watches if not watch.failure and _is_gapped(watch, start, end, interval)]


def _is_gapped(watch: Watch, start: float, end: float, interval: float) -> bool:
    if watch.history.reach(start) is None:
        return False
    times = [shot.time for shot in watch.history.cut(start, end).snapshots]
    if len(times) < 2:
        return True
    distance = max(interval, (times[-1] - times[0]) / (len(times) - 1))
    return times[0] - start >= _EARLY * distance or end - times[-1] >= _LATE * distance
