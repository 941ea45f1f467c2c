"""Which metrics there are: the lists of CloudWatch, read to their ends, kept for some minutes, and used while they are renewed.

Source of the protocol: Amazon CloudWatch API Reference, "ListMetrics".
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from backends.cloudwatch.metric import Metric
from backends.cloudwatch.session import Aws
from metrics_api import BackendError, BackendProtocolError, BackendRefused, BackendUnavailable

__all__ = ["LISTED_FOR", "RECENT", "Discovery", "Sets"]

_LOG = logging.getLogger(__name__)

Sets = frozenset[frozenset[str]]
"""Sets of dimensions, by their names."""

LISTED_FOR = 14 * 86400 - 3600
"""Seconds for which CloudWatch lists a metric that nothing is published for any more: two weeks, and some slack."""

RECENT = 3 * 3600 - 600
"""Seconds: what was published within three hours is listed apart from what was published within two weeks."""

_AGAIN = 60
"""Seconds between two readings of a list in which something is missed, or which could not be read."""
_AGAIN_A_PAGE = 2
"""Seconds more for each page of a long list, of which each is a call."""
_OLDEST = 3600
"""Seconds for which a list may be used that cannot be renewed, if it is not believed for longer than a tenth of that."""
_LISTS = 1000
"""Lists that are kept: those that nobody has asked for longest are forgotten."""
_PAGES = 2000
"""Pages of 500 metrics that are read of a list. At the 25 calls a second that AWS allows they take more than a minute."""
_MOST = 200_000
"""Metrics that are kept of a list, which take some 30 MB."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """What a list is of; ``dimensions`` have the value None where any value will do.

    Of what AWS lists only metrics with one of these ``sets`` of dimensions are kept, or all where there are none.
    """

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str | None]]
    recent: bool
    sets: Sets = frozenset()

    @property
    def parameters(self) -> dict[str, Any]:
        """As the API has it."""
        dimensions = [{"Name": name, "Value": value} if value is not None else {"Name": name} for name, value in self.dimensions]
        # The only value there is; AWS is up to fifty minutes too generous with it.
        recently = {"RecentlyActive": "PT3H"} if self.recent else {}
        return {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions, **recently}


_Read = tuple[tuple[Metric, ...], int]
"""The metrics of a list, and how many pages it had."""


@dataclass(slots=True)
class _Listing:
    """A list as it was ``since`` then, not to be renewed before ``again``; both in seconds of the clock. It had so many ``pages``."""

    metrics: tuple[Metric, ...]
    pages: int
    since: float
    again: float


class Discovery:
    """The metrics there are, for the source called ``name``; leaving it, an async context manager, ends what goes on in the background.

    A list is believed for ``interval`` seconds, and then used until it has been renewed. ``clock`` gives seconds since any time.
    """

    def __init__(self, name: str, aws: Aws, interval: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._aws = aws
        self._interval = interval
        self._clock = clock
        self._listings: OrderedDict[_Filter, _Listing] = OrderedDict()
        self._reading: dict[_Filter, asyncio.Task[_Read]] = {}
        self._open = False

    async def __aenter__(self) -> Self:
        self._open = True
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open = False
        while reading := list(self._reading.values()):
            for task in reading:
                task.cancel()
            await asyncio.wait(reading)
        self._listings.clear()

    async def metrics(
        self, namespace: str, name: str, dimensions: Mapping[str, str | None], *, recent: bool = True, sets: Sets = frozenset()
    ) -> tuple[Metric, ...]:
        """The metrics that have these dimensions, and maybe others: with this value, or, where that is None, with any.

        With ``sets`` those alone that have the very names of one of them; with ``recent`` those alone that had data in the last three
        hours or so. At most ten dimensions. New metrics may take a quarter of an hour to be listed. Raises
        :class:`metrics_api.errors.BackendError`.
        """
        asked = _Filter(namespace, name, frozenset(dimensions.items()), recent, sets)
        now = self._clock()
        if (known := self._known(asked, now)) is None:
            return await self._coming(asked)
        if now >= known.since + self._interval and now >= known.again:
            _ = self._task(asked)
        return known.metrics

    async def again(
        self, namespace: str, name: str, dimensions: Mapping[str, str | None], *, recent: bool = True, sets: Sets = frozenset()
    ) -> tuple[Metric, ...]:
        """As :meth:`metrics`, for who misses something there: no older than a minute, where that is possible."""
        asked = _Filter(namespace, name, frozenset(dimensions.items()), recent, sets)
        now = self._clock()
        known = self._known(asked, now)
        if known is not None and (now < known.since + max(_AGAIN, _AGAIN_A_PAGE * known.pages) or now < known.again):
            return known.metrics
        try:
            return await self._coming(asked)
        except BackendError:
            if known is None:
                raise
            return known.metrics

    def _known(self, asked: _Filter, now: float) -> _Listing | None:
        known = self._listings.get(asked)
        if known is None or now >= known.since + max(_OLDEST, 10 * self._interval):
            return None
        self._listings.move_to_end(asked)
        return known

    async def _coming(self, asked: _Filter) -> tuple[Metric, ...]:
        task = self._task(asked)
        # Whoever asks may give up; the list is still wanted by the others, and by who asks next.
        await asyncio.wait([task])
        if task.cancelled():
            raise BackendUnavailable(self._name, "is closed")
        return task.result()[0]

    def _task(self, asked: _Filter) -> asyncio.Task[_Read]:
        if not self._open:
            raise BackendUnavailable(self._name, "is closed")
        if (task := self._reading.get(asked)) is None:
            task = self._reading[asked] = asyncio.create_task(self._read(asked))
            task.add_done_callback(lambda task: self._keep(asked, task))
        return task

    def _keep(self, asked: _Filter, task: asyncio.Task[_Read]) -> None:
        del self._reading[asked]
        if task.cancelled():
            return
        now, error = self._clock(), task.exception()
        if error is None:
            self._listings[asked] = _Listing(*task.result(), now, now)
            self._listings.move_to_end(asked)
            if len(self._listings) > _LISTS:
                self._listings.popitem(last=False)
        elif (known := self._listings.get(asked)) is not None:
            known.again = now + _AGAIN
            _LOG.warning(
                "the list of metrics %s %s is %d s old, because it cannot be renewed: %s",
                asked.namespace,
                asked.name,
                now - known.since,
                error,
            )

    async def _read(self, asked: _Filter) -> _Read:
        parameters = asked.parameters
        found: dict[Metric, None] = {}
        pairs: dict[tuple[str, str], tuple[str, str]] = {}
        for number in range(1, _PAGES + 1):
            page = await self._aws.call("cloudwatch", "list_metrics", **parameters)
            try:
                # Each dimension once, in however many metrics it is: there may be a hundred thousand.
                found.update((_metric(asked, listed, pairs), None) for listed in page.get("Metrics", ()) if _is_kept(asked, listed))
            except KeyError as error:
                raise BackendProtocolError(self._name, "lists metrics that have no dimensions as there should be") from error
            token = page.get("NextToken")
            if not token:
                return tuple(found), number
            if len(found) > _MOST:
                break
            if token == parameters.get("NextToken"):
                raise BackendProtocolError(self._name, "lists metrics in pages that do not end")
            parameters["NextToken"] = token
        # Half a list would lack callers and callees without a word.
        raise BackendRefused(
            self._name,
            f"CloudWatch lists more than {len(found)} metrics {asked.namespace} {asked.name}, which are too many to look through",
        )


def _is_kept(asked: _Filter, listed: Mapping[str, Any]) -> bool:
    return not asked.sets or frozenset([each["Name"] for each in listed["Dimensions"]]) in asked.sets


def _metric(asked: _Filter, listed: Mapping[str, Any], pairs: dict[tuple[str, str], tuple[str, str]]) -> Metric:
    dimensions = sorted((sys.intern(each["Name"]), each["Value"]) for each in listed.get("Dimensions", ()))
    return Metric(asked.namespace, asked.name, tuple([pairs.setdefault(pair, pair) for pair in dimensions]))
