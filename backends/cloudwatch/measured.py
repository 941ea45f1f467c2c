"""Sources whose traffic is in metrics: from a question to the rows it asks for, their numbers, and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from cachetools import TTLCache

from backends.cloudwatch.moment import Moment
from backends.cloudwatch.reader import Reader
from backends.cloudwatch.rows import Row, samples_of, wanted_of
from backends.cloudwatch.source import Observation
from metrics_api import TrafficQuery, aside

__all__ = ["Found", "MeasuredSource", "Rows"]


_SAMPLES_HELD = 50_000
"""How many samples are held together; one takes about 1 KiB."""

_SECONDS_HELD = 60.0
"""Seconds for which an observation is given again: as long as a moment is the latest one."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that a question asks for, and sentences for the reader about what is not among them.

    ``incomplete`` says that some of the sentences mean missing data.
    """

    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()
    incomplete: bool = False


class Rows(Protocol):
    """What knows which metrics tell of the traffic that a question is about."""

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why it can never answer such a query, in one sentence; None when it can. Does no I/O."""
        ...

    async def find(self, query: TrafficQuery, moment: Moment) -> Found:
        """The rows that a question asks for, as they are published around a moment. Raises :class:`metrics_api.errors.BackendError`."""
        ...


class MeasuredSource:
    """A source made of rows: its numbers are read from CloudWatch, each metric once in a minute whoever asks.

    ``kind`` is what the metrics are of (``appmesh``), as the configuration calls it.
    """

    def __init__(self, name: str, rows: Rows, reader: Reader, kind: str) -> None:
        self._name = name
        self._kind = kind
        self._rows = rows
        self._reader = reader
        self._held: TTLCache[tuple[TrafficQuery, Moment], Observation] = TTLCache(
            _SAMPLES_HELD, _SECONDS_HELD, getsizeof=lambda held: 1 + len(held.samples)
        )

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why it can never answer such a query; None when it can."""
        return self._rows.refusal(query)

    async def observe(self, query: TrafficQuery, moments: Sequence[Moment]) -> Sequence[Observation]:
        """What was observed in each of the moments. Raises :class:`metrics_api.errors.BackendError`."""
        if len(moments) == 1 and (held := self._held.get((_timeless(query), moments[0]))) is not None:
            return [held]
        observations = await self._observed(query, moments)
        if len(moments) == 1 and _may_be_held(observations[0], moments[0]):
            self._held[_timeless(query), moments[0]] = observations[0]
        return observations

    async def _observed(self, query: TrafficQuery, moments: Sequence[Moment]) -> list[Observation]:
        # What was published around the earliest moment is listed together with all that came later.
        found = await self._rows.find(query, min(moments, key=lambda moment: moment.end))
        wanted = await aside(len(found.rows), partial(wanted_of, found.rows, query))
        readouts = await self._reader.read(wanted, moments)
        observations: list[Observation] = []
        for readout in readouts:
            samples, told = await aside(
                len(found.rows),
                partial(
                    samples_of,
                    found.rows,
                    readout.values,
                    query,
                    self._name,
                    readout.marks,
                    kind=self._kind,
                    incomplete=readout.incomplete,
                ),
            )
            observations.append(
                Observation(
                    samples,
                    readout.moment,
                    (*found.warnings, *readout.warnings, *told),
                    incomplete=found.incomplete or readout.incomplete,
                )
            )
        return observations


def _timeless(query: TrafficQuery) -> TrafficQuery:
    """The query, whenever it is asked: the moment says what it is about."""
    return replace(query, instant=0)


def _may_be_held(observation: Observation, moment: Moment) -> bool:
    """Whether who watches, and asks a dozen times in a minute, may be told the same; what is missing may come meanwhile."""
    return observation.moment == moment and not observation.incomplete and 0 < len(observation.samples) < _SAMPLES_HELD
