"""Which sets of dimensions something is published with: of several metrics that share them, all sets that any of the metrics has.

A metric that counts failures is not listed before the first failure, nor for up to fifteen minutes after it (Amazon CloudWatch API
Reference, "ListMetrics"). What is published with the dimensions of another one is therefore asked for without being listed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import is_
from typing import Generic, TypeVar

from backends.cloudwatch.discovery import RECENT, Discovery, Sets
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.rows import Row
from metrics_api import TrafficQuery, aside, together

__all__ = ["Dimensions", "Published"]

T = TypeVar("T")

Dimensions = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, as a :class:`Metric` has them."""


@dataclass(frozen=True, slots=True)
class _Understood(Generic[T]):
    """What was ``made`` of some ``listings`` of ``size`` sets of dimensions, and of what else was ``given``."""

    listings: Sequence[tuple[Metric, ...]]
    given: object
    size: int
    made: T


class Published(Generic[T]):
    """The sets of dimensions of metrics called ``names``, and what ``understand`` makes of them, worked out again when they change.

    ``filters`` and ``sets`` are as :meth:`Discovery.metrics` has them. ``given`` is what else ``understand`` goes by: another object when
    that has changed. ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        discovery: Discovery,
        namespace: str,
        names: Sequence[str],
        filters: Mapping[str, str | None],
        understand: Callable[[Sequence[Dimensions]], T],
        clock: Callable[[], float],
        *,
        sets: Sets = frozenset(),
        given: Callable[[], object] = lambda: None,
    ) -> None:
        self._discovery = discovery
        self._namespace = namespace
        self._names = tuple(names)
        self._filters = filters
        self._understand = understand
        self._clock = clock
        self._sets = sets
        self._given = given
        self._understood: dict[bool, _Understood[T]] = {}
        self._making = asyncio.Lock()

    async def around(self, moment: Moment, *, again: bool = False) -> T:
        """What is made of those that were published around a moment; with ``again`` listed anew, at most once a minute.

        Raises :class:`metrics_api.errors.BackendError`.
        """
        return (await self._around(moment, again=again)).made

    async def search(self, query: TrafficQuery, moment: Moment, rows: Callable[[T], list[Row]]) -> tuple[T, list[Row]]:
        """What is made of them, and the ``rows`` of that which a question asks for; what has a name is looked for again if it has none.

        Raises :class:`metrics_api.errors.BackendError`.
        """
        understood = await self._around(moment)
        found = await aside(understood.size, partial(rows, understood.made))
        if not found and query.name:
            # It may have begun to publish since.
            understood = await self._around(moment, again=True)
            found = await aside(understood.size, partial(rows, understood.made))
        return understood.made, found

    async def _around(self, moment: Moment, *, again: bool = False) -> _Understood[T]:
        recent = moment.start > self._clock() - RECENT
        ask = self._discovery.again if again else self._discovery.metrics
        listings = await together(
            *(ask(self._namespace, name, self._filters, recent=recent, sets=self._sets) for name in self._names)
        )
        # It may take seconds to understand a hundred thousand, and is done once.
        async with self._making:
            held, given = self._understood.get(recent), self._given()
            if held is not None and held.given is given and all(map(is_, held.listings, listings)):
                return held
            sets = list(dict.fromkeys(metric.dimensions for listing in listings for metric in listing))
            made = await aside(len(sets), partial(self._understand, sets))
            understood = self._understood[recent] = _Understood(listings, given, len(sets), made)
            return understood
