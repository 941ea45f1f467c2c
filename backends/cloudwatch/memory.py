"""What was read of late, moment by moment, so that nothing is paid for twice."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from backends.cloudwatch.metric import Metric, Values, Wanted
from backends.cloudwatch.moment import Moment

__all__ = ["Memory", "Page"]

_SETTLED = 900
"""Seconds after which no more numbers arrive. CloudWatch promises none, and keeps on adding to a data point that others read already."""


@dataclass(slots=True)
class Page:
    """What is known of one moment: ``values`` by metric and statistic, None where CloudWatch has no data point.

    ``told`` are sentences about some of the metrics, ``size`` is how many values there are. ``begun`` and ``used`` are when it was begun,
    and last of use, in Unix seconds.
    """

    begun: float
    used: float
    values: dict[Metric, dict[str, float | None]] = field(default_factory=dict)
    told: list[tuple[frozenset[Metric], tuple[str, ...]]] = field(default_factory=list)
    size: int = 0

    def knows(self, wanted: Wanted) -> bool:
        """Whether all that is wanted is known."""
        values = self.values
        return all(statistic in values.get(metric, ()) for metric, statistics in wanted.items() for statistic in statistics)

    def keep(self, metric: Metric, statistic: str, value: float | None) -> None:
        """Remember a value; what is remembered already stays, so that an answer given once is given again."""
        values = self.values.setdefault(metric, {})
        if statistic not in values:
            values[statistic] = value
            self.size += 1

    def recall(self, wanted: Wanted) -> tuple[Values, tuple[str, ...]]:
        """What is known of what is wanted, and what is told about it."""
        found: dict[tuple[Metric, str], float] = {}
        for metric, statistics in wanted.items():
            if (known := self.values.get(metric)) is not None:
                for statistic in statistics:
                    if (value := known.get(statistic)) is not None:
                        found[metric, statistic] = value
        told = dict.fromkeys(text for metrics, texts in self.told if not metrics.isdisjoint(wanted) for text in texts)
        return found, tuple(told)


class Memory:
    """Pages of the moments asked about last: ``most`` values in all, and none that was of no use for ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._pages: OrderedDict[Moment, Page] = OrderedDict()

    def __len__(self) -> int:
        return sum(page.size for page in self._pages.values())

    def page(self, moment: Moment, now: float, *, growing: bool = False) -> Page:
        """The page of a moment, a new one if nothing is known of it.

        One that was begun before all numbers had arrived is not believed any more when they have, unless it is just ``growing``.
        """
        page = self._pages.get(moment)
        if page is None or (not growing and page.begun < moment.end + _SETTLED <= now):
            return Page(now, now)
        page.used = now
        self._pages.move_to_end(moment)
        return page

    def hold(self, moment: Moment, page: Page) -> None:
        """Remember what will be known of a moment."""
        self._pages[moment] = page
        self._pages.move_to_end(moment)

    def before(self, moment: Moment, seconds: int) -> Iterator[tuple[Moment, Page]]:
        """Pages of moments as long as this one that ended at most ``seconds`` before it, the newest first."""
        ends = [kept.end for kept in self._pages if kept.seconds == moment.seconds and 0 < moment.end - kept.end <= seconds]
        for end in sorted(ends, reverse=True):
            earlier = Moment(end, moment.seconds)
            yield earlier, self._pages[earlier]

    def forget(self, now: float, needed: Container[Moment] = ()) -> None:
        """Drop what is too much or too old, the page of no use for longest first; those of ``needed`` moments stay."""
        size = len(self)
        for moment, page in list(self._pages.items()):
            if size <= self._most and now - page.used <= self._seconds:
                break
            if moment not in needed:
                del self._pages[moment]
                size -= page.size
