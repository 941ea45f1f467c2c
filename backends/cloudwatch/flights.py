"""Requests for metrics that are under way, and who waits for which of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from backends.cloudwatch.batches import MOST_QUERIES, batches
from backends.cloudwatch.budget import Reservation
from backends.cloudwatch.memory import Page
from backends.cloudwatch.metric import Metric, Wanted
from backends.cloudwatch.moment import Moment

__all__ = ["Flight", "Flights", "departures"]


@dataclass(eq=False, slots=True)
class Flight:
    """One request under way: what is ``missing`` in each moment, all of it in one ``wanted``, and what came of it.

    What is in it fails together. ``moments`` follow one another in time, and are as far apart as they are long, or a multiple of that.
    ``elsewhere`` says that the data points are not of these moments, ``incomplete`` that some of the ``warnings`` mean missing values.
    """

    missing: Mapping[Moment, Wanted]
    wanted: Wanted
    reservation: Reservation = Reservation(0, 0)
    pages: Mapping[Moment, Page] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    elsewhere: bool = False
    error: Exception | None = None

    @property
    def moments(self) -> list[Moment]:
        """The moments in which something is missing."""
        return list(self.missing)

    def brings(self, moment: Moment, metric: Metric, statistic: str) -> bool:
        """Whether it will tell a statistic of a metric in a moment it is for."""
        return statistic in self.missing[moment].get(metric, ())


def departures(missing: Mapping[Moment, Wanted]) -> list[Flight]:
    """The requests that read what is missing in some moments, so that as little as possible is paid.

    A metric costs the same however many data points are read of it, so periods that follow each other without a gap are read at once.
    """
    groups: dict[tuple[int, int], dict[Moment, Wanted]] = {}
    for moment in sorted(missing, key=lambda moment: moment.end):
        groups.setdefault((moment.seconds, moment.end % moment.seconds), {})[moment] = missing[moment]
    return [
        Flight(dict(_parts(group, wanted)), wanted)
        for group in groups.values()
        for wanted in batches(_together(group.values()), MOST_QUERIES)
    ]


class Flights:
    """The requests under way, found by the moments they are for."""

    def __init__(self) -> None:
        self._flying: dict[Moment, list[Flight]] = {}

    def __contains__(self, moment: object) -> bool:
        return moment in self._flying

    def toward(self, moment: Moment) -> Sequence[Flight]:
        """Those that will tell something of a moment."""
        return self._flying.get(moment, ())

    def add(self, flight: Flight) -> None:
        """Have a request found."""
        for moment in flight.missing:
            self._flying.setdefault(moment, []).append(flight)

    def remove(self, flight: Flight) -> None:
        """Have it found no more."""
        for moment in flight.missing:
            flying = self._flying[moment]
            flying.remove(flight)
            if not flying:
                del self._flying[moment]


def _together(every: Iterable[Wanted]) -> Wanted:
    """All statistics of all metrics."""
    # Of moments that nothing is known of, the same is missing.
    first, *others = {id(wanted): wanted for wanted in every}.values()
    if not others:
        return first
    together: dict[Metric, dict[str, None]] = {}
    for wanted in (first, *others):
        for metric, statistics in wanted.items():
            together.setdefault(metric, {}).update(dict.fromkeys(statistics))
    return {metric: tuple(statistics) for metric, statistics in together.items()}


def _parts(missing: Mapping[Moment, Wanted], metrics: Iterable[Metric]) -> Iterator[tuple[Moment, Wanted]]:
    """What is missing of some metrics, in each moment in which any of them is."""
    parts: dict[int, Wanted] = {}
    for moment, wanted in missing.items():
        part = parts.get(id(wanted))
        if part is None:
            part = parts[id(wanted)] = {metric: wanted[metric] for metric in metrics if metric in wanted}
        if part:
            yield moment, part
