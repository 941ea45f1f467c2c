"""What selectors select: rows of the API as series, at one moment or at many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import NamedTuple

from apiservice.identity.user import User
from apiservice.result import Result
from apiservice.surfaces.prometheus.failures import cannot_execute
from apiservice.surfaces.prometheus.selection import Selection
from apiservice.surfaces.prometheus.times import Moments, written
from apiservice.surfaces.prometheus.vocabulary import INCOMPLETE, Family, Labels, Measure, labels_of
from apiservice.surfaces.reading import Asked, Reader
from metrics_api import aside, together
from metrics_api.errors import BackendForgot, NotFound
from metrics_api.golden import Golden, golden
from metrics_api.instant import timestamp
from metrics_api.objects import TrafficMetrics

__all__ = ["MOST_POINTS", "Line", "Seen", "Snapshot", "curves", "number", "snapshot", "snapshots"]

MOST_POINTS = 500_000
"""Points that one answer may have; some 60 MB while it is made, and half of that as it is sent."""


_MOST_ROWS = 100_000
"""Rows that a range may be made of, over all of its moments: each takes about 1 KiB, whether its series are selected or not."""

_FEW = 10
"""Moments that are read without a look at how many rows there are."""

_MOST_READS = 256
"""Reads that several selectors may come to together."""


class Seen(NamedTuple):
    """One row: its labels, its numbers, and the instant they are of, in Unix seconds."""

    labels: Labels
    golden: Golden
    instant: int


@dataclass(slots=True)
class Snapshot:
    """What one selection found at one moment."""

    selection: Selection
    rows: list[Seen] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    incomplete: bool = False
    instant: int = 0

    @property
    def tells_incomplete(self) -> bool | None:
        """What is told of the answer as a whole; None when that is not selected."""
        return self.incomplete if self.selection.tells_of_whole else None

    def samples_of(self, wanted: Family) -> Iterator[tuple[Measure, Seen, float]]:
        """The series of one metric, with their values; what is unknown is none."""
        measures = [measure for family, measure in self.selection.measures if family is wanted]
        for row in self.rows:
            for measure in measures:
                value = measure.value(row.golden)
                if value is not None:
                    yield measure, row, value

    def samples(self) -> Iterator[tuple[Labels, float]]:
        """All series with their names and labels."""
        for family in dict.fromkeys(family for family, _ in self.selection.measures):
            if family is not INCOMPLETE:
                for measure, row, value in self.samples_of(family):
                    yield {**family.labels(measure), **row.labels}, value
            elif self.tells_incomplete is not None:
                yield family.labels(INCOMPLETE.measures[0]), float(self.tells_incomplete)


class Line(NamedTuple):
    """One series over time: its labels, with its name, and its points as JSON has them."""

    labels: Labels
    points: list[tuple[float | int, str]]


async def snapshot(reader: Reader, user: User, selection: Selection, instant: int | None) -> Snapshot:
    """What a selection finds as of ``instant``, in Unix seconds; None is the latest. Raises as :meth:`Reader.read` does.

    What does not exist, or is of a time that nobody remembers, has no series: the latter with a warning.
    """
    found = Snapshot(selection, warnings=list(selection.told))
    when = () if instant is None else (("time", timestamp(instant)),)
    results = await together(*(_read(reader, user, asked, when) for asked in selection.reads))
    known: dict[tuple[tuple[str, str], ...], None] = {}
    for result in results:
        if isinstance(result, str):
            found.warnings.append(result)
            continue
        found.warnings += result.warnings
        found.incomplete = found.incomplete or result.incomplete
        found.instant = max(found.instant, result.instant)
        # Every matcher takes as long as the row itself.
        size = len(result.rows) * (1 + len(selection.of_rows))
        found.rows += await aside(size, partial(_seen, selection, result.rows, known))
    return found


async def snapshots(reader: Reader, user: User, selections: Sequence[Selection], instant: int | None) -> list[Snapshot]:
    """What each of several selections finds, as :func:`snapshot`. Raises a 422 for more reads than are answered at once."""
    reads = sum(len(selection.reads) for selection in selections)
    if reads > _MOST_READS:
        raise cannot_execute(
            f"{reads} reads of the API are more than the {_MOST_READS} that are answered at once: select fewer kinds"
        )
    return await together(*(snapshot(reader, user, selection, instant) for selection in selections))


async def curves(reader: Reader, user: User, selection: Selection, moments: Moments, now: float) -> tuple[list[Line], list[str]]:
    """The series of a selection over time, and what is to be known of them. Raises as :meth:`Reader.history` does, and a 422 for too many.

    ``now`` is in Unix seconds; there are no points after it.
    """
    span = moments.span(now)
    told = list(selection.told)
    if span is None or not selection.reads:
        return [], told
    lines = _Lines(selection)
    await _check_size(reader, user, selection, len(span.instants))
    for asked in selection.reads:
        try:
            history = await reader.history(user, asked, span)
        except NotFound:
            history = ()
        except BackendForgot as error:
            history = ()
            told.append(error.message)
        told += [warning for result in history for warning in result.warnings]
        size = sum(len(result.rows) for result in history) * (1 + len(selection.of_rows))
        await aside(size, partial(lines.add, history, moments))
    return await aside(lines.size, partial(lines.found, moments)), told


async def _check_size(reader: Reader, user: User, selection: Selection, instants: int) -> None:
    """Raise a 422 for a history that is too large to be read, as far as the rows there are now tell: once it is read it is too late."""
    if instants <= _FEW:
        return
    now = await together(*(_read(reader, user, asked, ()) for asked in selection.reads))
    rows = sum(len(result.rows) for result in now if not isinstance(result, str))
    if rows * instants > _MOST_ROWS:
        raise cannot_execute(
            f"query processing would load too many samples into memory in query execution: of {rows:,} rows at {instants:,} moments, which "
            f"are more than {_MOST_ROWS:,} together; select fewer series, or take a longer step or a shorter range"
        )


def number(value: float) -> str:
    """A number as Prometheus writes it: as few digits as it takes, and no exponent (Go's ``FormatFloat(v, 'f', -1, 64)``)."""
    text = repr(value)
    if "e" in text:
        text = format(Decimal(text), "f")
    return text.removesuffix(".0")


async def _read(reader: Reader, user: User, asked: Asked, when: tuple[tuple[str, str], ...]) -> Result | str:
    try:
        return await reader.read(user, Asked(asked.resource, asked.namespace, asked.name, asked.edges, (*asked.parameters, *when)))
    except NotFound:
        return ""
    except BackendForgot as error:
        return error.message


def _seen(selection: Selection, rows: Sequence[TrafficMetrics], known: dict[tuple[tuple[str, str], ...], None]) -> list[Seen]:
    """The rows that are selected, each set of labels once: two reads may have the same one."""
    found = []
    for row in rows:
        labels = labels_of(row, selection.window)
        key = tuple(labels.items())
        if key not in known and selection.has(labels):
            known[key] = None
            found.append(Seen(labels, golden(row), row.instant))
    return found


class _Lines:
    """Series under construction."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._measures = [(family, measure) for family, measure in selection.measures if family is not INCOMPLETE]
        self._points: dict[tuple[int, tuple[str, ...]], list[tuple[float | int, str]]] = {}
        self._labels: dict[tuple[str, ...], Labels] = {}
        self._read: dict[tuple[str, ...], int] = {}
        self._incomplete: dict[int, bool] = {}
        self._reads = 0
        self._count = 0

    def add(self, history: Sequence[Result], moments: Moments) -> None:
        """Add what a read tells of the moments."""
        self._reads += 1
        for place, result in enumerate(history):
            at = written(moments.at(place))
            self._incomplete[place] = self._incomplete.get(place, False) or result.incomplete
            for row in result.rows:
                key = (*row.resource, row.cluster, row.edge.direction.value, *row.edge.peer)
                # A series belongs to the read that first told of it: another one may have the same.
                if self._read.setdefault(key, self._reads) != self._reads:
                    continue
                if key not in self._labels:
                    labels = labels_of(row, self._selection.window)
                    self._labels[key] = labels if self._selection.has(labels) else {}
                if not self._labels[key]:
                    continue
                numbers = golden(row)
                for index, (_, measure) in enumerate(self._measures):
                    value = measure.value(numbers)
                    if value is not None:
                        self._point(index, key, at, value)

    @property
    def size(self) -> int:
        """How many points there are."""
        return self._count

    def _point(self, index: int, key: tuple[str, ...], at: float, value: float) -> None:
        points = self._points.setdefault((index, key), [])
        if points and points[-1][0] == at:
            return
        self._count += 1
        if self._count > MOST_POINTS:
            raise cannot_execute(
                f"query processing would load too many samples into memory in query execution: {MOST_POINTS:,} points are the most; "
                "select fewer series, or take a longer step or a shorter range"
            )
        points.append((at, number(value)))

    def found(self, moments: Moments) -> list[Line]:
        """The series, metric by metric."""
        ordered = sorted(self._points.items(), key=lambda item: item[0])
        lines = [
            Line({**family.labels(measure), **self._labels[key]}, points)
            for (index, key), points in ordered
            for family, measure in (self._measures[index],)
        ]
        if self._selection.tells_of_whole:
            from_all = [(written(moments.at(place)), number(float(told))) for place, told in sorted(self._incomplete.items())]
            lines.append(Line(INCOMPLETE.labels(INCOMPLETE.measures[0]), from_all))
        return lines
