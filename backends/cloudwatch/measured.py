"""Sources whose traffic is in metrics: from a question to the rows it asks for, their numbers, and samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from backends.cloudwatch.moment import Moment
from backends.cloudwatch.reader import Reader
from backends.cloudwatch.rows import Row, samples_of, wanted_of
from backends.cloudwatch.source import Observation
from metrics_api import TrafficQuery, aside

__all__ = ["Found", "MeasuredSource", "Rows"]


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
    """A source made of rows: its numbers are read from CloudWatch, each metric once in a minute whoever asks."""

    def __init__(self, name: str, rows: Rows, reader: Reader) -> None:
        self._name = name
        self._rows = rows
        self._reader = reader

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why it can never answer such a query; None when it can."""
        return self._rows.refusal(query)

    async def observe(self, query: TrafficQuery, moments: Sequence[Moment]) -> Sequence[Observation]:
        """What was observed in each of the moments. Raises :class:`metrics_api.errors.BackendError`."""
        # What was published around the earliest moment is listed together with all that came later.
        found = await self._rows.find(query, min(moments, key=lambda moment: moment.end))
        readouts = await self._reader.read(wanted_of(found.rows, query), moments)
        observations: list[Observation] = []
        for readout in readouts:
            samples, told = await aside(
                len(found.rows), partial(samples_of, found.rows, readout.values, query, self._name, readout.marks)
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
