"""Which dialects a store keeps, told by their signs: one small query for all of them, for sources that are to find out themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from backends.dialects import Dialect, candidates
from backends.prometheus.client import Vector
from backends.prometheus.promql import selector

__all__ = ["Store", "candidates", "recognise"]

_MARK = "trafficmetrics_dialect"


class Store(Protocol):
    """What recognising needs of a client: instant queries."""

    async def query(self, promql: str, instant: int) -> Vector:
        """The vector of ``promql`` at ``instant``, Unix seconds."""
        ...


async def recognise(client: Store, instant: int, dialects: Sequence[Dialect] | None = None) -> tuple[Dialect, ...]:
    """Those of ``dialects`` of which the store has series at ``instant`` (Unix seconds), in the order given; empty when it has none.

    Without ``dialects`` it is the :func:`candidates`; a source with overrides gives them as the overrides make them. Which series there
    are "at" an instant is the store's own notion: the last sample of each in the last minutes, five with most. The answer is one number
    for each dialect, however many series there are. Raises :class:`metrics_api.errors.BackendError`.
    """
    wanted = candidates() if dialects is None else tuple(dialects)
    asked = [
        f'label_replace({_presence(dialect)}, "{_MARK}", "{index}", "", "")'
        for index, dialect in enumerate(wanted)
        if dialect.signs
    ]
    if not asked:
        return ()
    found = {series.metric.get(_MARK) for series in (await client.query(" or ".join(asked), instant)).series}
    return tuple(dialect for index, dialect in enumerate(wanted) if str(index) in found)


def _presence(dialect: Dialect) -> str:
    return " or ".join(f"count({selector(sign.metric, sign.matchers)})" for sign in dialect.signs)
