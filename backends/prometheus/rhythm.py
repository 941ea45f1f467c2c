"""How often a store gets a sample, as its samples show, and whether a window holds enough of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from backends.dialects import Dialect, Temporality, equal
from backends.prometheus.client import PrometheusClient, Series
from backends.prometheus.promql import selector
from metrics_api import Window, format_duration, together
from metrics_api.diagnosis import Finding, Level

__all__ = ["LOOK_BACK", "Rhythm", "listen", "needed", "rhythm_of"]

LOOK_BACK = 900
"""Seconds of samples looked at."""

_SERIES = 5
_LATE = 2.5
"""Intervals without a sample that are a gap."""

_LEAST, _ENOUGH = 2, 4
"""Samples an increase needs, and those it needs to bear that one is late or missing. Deltas need half: each is an increase by itself."""

_GRACE = 5.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """All in seconds: the ``interval`` between two samples, 0 when there are not two, and the ``age`` of the newest one.

    ``gap`` is the longest time without a sample, where that is too long, or else 0.
    """

    interval: float = 0.0
    gap: float = 0.0
    age: float = 0.0

    def findings(
        self, source: str, window: Window, configured: int, least: int = _LEAST, *, scraped: bool = True
    ) -> Iterator[Finding]:
        """What is wrong with it for ``window``; ``configured`` is the scrapeInterval of the configuration, 0 without one.

        ``least`` is how many samples numbers need. What is not ``scraped`` is sent by those who have it.
        """
        enough = _ENOUGH * least // _LEAST
        make = "scrape" if scraped else "export"
        if not self.interval:
            rarely = f"a series gets a sample less often than every {format_duration(LOOK_BACK // 2)}"
            yield Finding(Level.PROBLEM, source, "interval", rarely, f"{make} more often, every 15s or so")
            return
        every = _spelt(self.interval)
        longer = format_duration(_whole(enough * self.interval))
        advice = f"metrics.window: {longer}, or {make} every {_spelt(max(1, window.seconds // enough))}"
        if window.seconds < least * self.interval:
            words = "the two that numbers need" if least > 1 else "one"
            short = f"a sample comes every {every}, and a window of {window} does not always hold {words}"
            yield Finding(Level.PROBLEM, source, "interval", short, advice)
        elif window.seconds < enough * self.interval:
            short = f"a sample comes every {every}: a window of {window} has no numbers as soon as one is late"
            yield Finding(Level.WARNING, source, "interval", short, advice)
        if configured and not configured / 2 <= self.interval <= configured * 2:
            differs = f"scrapeInterval: {configured}s is configured, and a sample comes every {every}"
            yield Finding(Level.WARNING, source, "interval", differs, "leave scrapeInterval out: it is measured")
        if self.gap:
            slow = (
                "targets answer too slowly: look at up and scrape_duration_seconds"
                if scraped
                else "exports failed, or came late: look at the logs of SDKs and collectors"
            )
            gap = f"samples are missing: one comes every {every}, and once none came for {_spelt(self.gap)}"
            yield Finding(Level.WARNING, source, "gaps", gap, slow)
        if self.age > _LEAST * self.interval + _GRACE:
            late = f"the newest sample is {_spelt(self.age)} old, though one comes every {every}"
            yield Finding(
                Level.WARNING,
                source,
                "age",
                late,
                "the series have ended, or come late: look at "
                + ("remote write and at what is scraped" if scraped else "what sends them"),
            )


def needed(dialect: Dialect) -> int:
    """How many samples of each series a window must hold for the numbers of a dialect."""
    return 1 if all(view.temporality is Temporality.DELTA for view in dialect.views) else _LEAST


async def listen(client: PrometheusClient, series: Sequence[Series], instant: int) -> Rhythm:
    """The rhythm of the samples of a few of ``series``. Raises :class:`metrics_api.errors.BackendError`."""
    chosen = _varied(series)
    runs = await together(*(client.samples(_range(one), instant) for one in chosen))
    return rhythm_of([[moment for moment, _ in run] for found in runs for run in found], instant)


def rhythm_of(runs: Sequence[Sequence[float]], instant: float) -> Rhythm:
    """The rhythm of some series, of each of which the times of its samples are given."""
    distances = [[later - earlier for earlier, later in pairwise(times)] for times in runs if len(times) > 1]
    if not distances:
        return Rhythm()
    interval = median(median(between) for between in distances)
    longest = max(max(between) for between in distances)
    age = instant - max(times[-1] for times in runs if times)
    return Rhythm(_round(interval), _round(longest) if longest > _LATE * interval else 0.0, max(0.0, _round(age)))


def _varied(series: Sequence[Series]) -> list[Series]:
    """A few series, of as many scrape jobs as possible."""
    by_job: dict[str, list[Series]] = {}
    for one in series:
        by_job.setdefault(one.metric.get("job", ""), []).append(one)
    ranks = sorted((rank, job, one) for job, held in by_job.items() for rank, one in enumerate(held[:_SERIES]))
    return [one for _, _, one in ranks[:_SERIES]]


def _range(series: Series) -> str:
    matchers = [equal(label, value) for label, value in series.metric.items() if label != "__name__"]
    return f"{selector(series.metric.get('__name__', ''), matchers)}[{LOOK_BACK}s]"


def _round(seconds: float) -> float:
    return float(round(seconds)) if seconds >= 1 else round(seconds, 1)


def _whole(seconds: float) -> int:
    return int(-(-seconds // 1))


def _spelt(seconds: float) -> str:
    return format_duration(int(seconds)) if seconds >= 1 else f"{seconds:g}s"
