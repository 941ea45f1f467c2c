"""Which sets of dimensions something is published with: of several metrics that share them, all sets that any of the metrics has.

A metric that counts failures is not listed before the first failure, nor for up to fifteen minutes after it (Amazon CloudWatch API
Reference, "ListMetrics"). What is published with the dimensions of another one is therefore asked for without being listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar

from backends.cloudwatch.discovery import RECENT, Discovery
from backends.cloudwatch.metric import Metric
from backends.cloudwatch.moment import Moment
from metrics_api import aside, together

__all__ = ["Dimensions", "Published"]

T = TypeVar("T")

Dimensions = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, as a :class:`Metric` has them."""


class Published(Generic[T]):
    """The sets of dimensions of metrics called ``names``, and what ``understand`` makes of them, worked out again when they change.

    ``filters`` are as :meth:`Discovery.metrics` has them. ``clock`` gives Unix seconds.
    """

    def __init__(
        self,
        discovery: Discovery,
        namespace: str,
        names: Sequence[str],
        filters: Mapping[str, str | None],
        understand: Callable[[Sequence[Dimensions]], T],
        clock: Callable[[], float],
    ) -> None:
        self._discovery = discovery
        self._namespace = namespace
        self._names = tuple(names)
        self._filters = filters
        self._understand = understand
        self._clock = clock
        self._understood: dict[bool, tuple[list[tuple[Metric, ...]], T]] = {}

    async def around(self, moment: Moment, *, again: bool = False) -> T:
        """What is made of those that were published around a moment; with ``again`` listed anew, at most once a minute.

        Raises :class:`metrics_api.errors.BackendError`.
        """
        recent = moment.start > self._clock() - RECENT
        ask = self._discovery.again if again else self._discovery.metrics
        listings = await together(*(ask(self._namespace, name, self._filters, recent=recent) for name in self._names))
        held = self._understood.get(recent)
        if held is not None and all(old is new for old, new in zip(held[0], listings, strict=True)):
            return held[1]
        sets = list(dict.fromkeys(metric.dimensions for listing in listings for metric in listing))
        understood = await aside(len(sets), lambda: self._understand(sets))
        self._understood[recent] = (listings, understood)
        return understood
