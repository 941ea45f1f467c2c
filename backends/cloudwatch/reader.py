"""Reading numbers at the price of one reading: each statistic of a metric is asked for once in a moment, whoever wants it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from backends.cloudwatch.budget import Budget, Reservation
from backends.cloudwatch.cost import is_free
from backends.cloudwatch.flights import Flight, Flights, departures
from backends.cloudwatch.memory import Memory, Page
from backends.cloudwatch.metric import Metric, Values, Wanted
from backends.cloudwatch.metricdata import MetricData, Readings, billed
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.session import Aws
from metrics_api import BackendProtocolError, BackendUnavailable, format_duration
from metrics_api.usage import Usage

__all__ = ["STALE", "Reader", "Readout"]

STALE = "stale"
"""The mark of numbers that are of an earlier moment than the one that was asked for."""

_MOST_PERIODS = 2
"""Periods that stale numbers may be older."""

_MOST_VALUES = 200_000
"""Values that are remembered, which take some 25 MB; more where the budget allows to read more of them in a minute."""

_VALUES_OF_ONE = 5
"""Values that are read for the price of one metric."""

_SECONDS_KEPT = 900.0
"""Seconds for which a moment is remembered that nobody asks about."""


@dataclass(frozen=True, slots=True)
class Readout:
    """What was read of a moment, which is the one that ``values`` are of, all of them.

    ``incomplete`` says that values are missing which CloudWatch may well have. ``marks`` hold :data:`STALE` when the moment is an earlier
    one than was asked for.
    """

    values: Values
    moment: Moment
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    marks: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Plan:
    """What a question needs: the pages of its moments, requests of others to wait for, and what nobody has asked for yet."""

    pages: dict[Moment, Page] = field(default_factory=dict)
    flights: dict[Flight, None] = field(default_factory=dict)
    missing: dict[Moment, Wanted] = field(default_factory=dict)


class Reader:
    """Reads values of moments, within a budget. ``clock`` gives Unix seconds.

    A request that was sent is paid for, so it goes on when those who wanted it are gone, and is remembered for whoever asks next. What is
    still under way when the context is left ends with it.
    """

    def __init__(self, name: str, data: MetricData, budget: Budget, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._data = data
        self._budget = budget
        self._clock = clock
        # What has been paid for in a minute is remembered for that long at least.
        self._memory = Memory(max(_MOST_VALUES, _VALUES_OF_ONE * budget.ceiling), _SECONDS_KEPT)
        self._flights = Flights()
        self._tasks: set[asyncio.Task[None]] = set()
        self._whole_periods = False

    @property
    def whole_periods(self) -> bool:
        """Whether CloudWatch turned out to begin periods at multiples of their length, so that no other moments can be read."""
        return self._whole_periods

    def usage(self, aws: Aws) -> Usage:
        """What has been requested so far through ``aws``, and what that comes to."""
        budget = self._budget
        return Usage(aws.calls, budget.billed, aws.throttled, budget.refused, budget.monthly_dollars)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def read(self, wanted: Wanted, moments: Sequence[Moment]) -> list[Readout]:
        """What is known of each of the moments, in their order. Raises :class:`metrics_api.errors.BackendError`.

        All values of a readout are of the moment it names: the one asked for, or an earlier one where CloudWatch has no such period, or the
        budget is used up.
        """
        if not wanted:
            return [Readout({}, moment) for moment in moments]
        while True:
            asked = [self._possible(moment) for moment in moments]
            plan = self._plan(wanted, asked)
            if plan.missing and not self._depart(plan):
                return [self._earlier(plan, wanted)] * len(asked)
            if tasks := [flight.task for flight in plan.flights if flight.task is not None]:
                await asyncio.wait(tasks)
            if any(flight.elsewhere for flight in plan.flights):
                continue
            failure = next((flight.error for flight in plan.flights if flight.error is not None), None)
            if failure is None:
                return await _readouts(wanted, asked, plan)
            try:
                raise failure
            finally:
                # The error refers to this frame, which must not refer to the error.
                del failure, plan, tasks

    def _possible(self, moment: Moment) -> Moment:
        return Moment(moment.end // moment.seconds * moment.seconds, moment.seconds) if self._whole_periods else moment

    def _plan(self, wanted: Wanted, moments: Iterable[Moment]) -> _Plan:
        plan, now = _Plan(), self._clock()
        for moment in dict.fromkeys(moments):
            page = plan.pages[moment] = self._memory.page(moment, now, growing=moment in self._flights)
            flying = self._flights.toward(moment)
            if not page.values and not flying:
                plan.missing[moment] = wanted
                continue
            missing: dict[Metric, tuple[str, ...]] = {}
            for metric, statistics in wanted.items():
                known = page.values.get(metric, ())
                lacking = [statistic for statistic in statistics if statistic not in known]
                if not lacking:
                    continue
                coming = {
                    statistic: flight for statistic in lacking for flight in flying if flight.brings(moment, metric, statistic)
                }
                plan.flights |= dict.fromkeys(coming.values())
                if len(coming) < len(lacking):
                    missing[metric] = tuple(statistic for statistic in lacking if statistic not in coming)
            if missing:
                plan.missing[moment] = missing
        return plan

    def _depart(self, plan: _Plan) -> bool:
        """Send for what is missing, all of it, or nothing if the budget does not allow it."""
        flights = departures(plan.missing)
        costs = [billed(flight.wanted) for flight in flights]
        reserved = self._budget.reserve(sum(costs))
        if reserved is None:
            return False
        for moment in plan.missing:
            self._memory.hold(moment, plan.pages[moment])
        for flight, cost in zip(flights, costs, strict=True):
            flight.reservation = Reservation(reserved.minute, cost)
            flight.pages = plan.pages
            self._flights.add(flight)
            flight.task = asyncio.create_task(self._fly(flight), name=f"metrics of {self._name}")
            self._tasks.add(flight.task)
            flight.task.add_done_callback(self._tasks.discard)
            plan.flights[flight] = None
        return True

    async def _fly(self, flight: Flight) -> None:
        moments = flight.moments
        try:
            readings = await self._data.read(flight.wanted, moments[0].start, moments[-1].end, moments[0].seconds)
            self._budget.settle(flight.reservation, readings.billed)
            await self._land(flight, readings)
        except asyncio.CancelledError:
            flight.error = BackendUnavailable(self._name, "is being closed")
            raise
        except Exception as error:  # noqa: BLE001 it is raised where the answer is waited for
            flight.error = error
            if is_free(error):
                self._budget.settle(flight.reservation, 0)
        finally:
            self._flights.remove(flight)
            self._memory.forget(self._clock(), self._flights)
            # Its error refers to this frame.
            del flight

    async def _land(self, flight: Flight, readings: Readings) -> None:
        first = flight.moments[0]
        if any((stamp - first.start) % first.seconds for points in readings.points.values() for stamp in points):
            if not first.end % first.seconds:
                raise BackendProtocolError(self._name, "answers data points of other times than were asked for")
            # Where periods begin that are longer than a minute, whether at the start of the request or at multiples of their length, is
            # not documented: it shows.
            self._whole_periods = flight.elsewhere = True
            return
        for moment, missing in flight.missing.items():
            page = flight.pages[moment]
            for metric, statistics in missing.items():
                for statistic in statistics:
                    value = readings.points.get((metric, statistic), {}).get(moment.start)
                    # What may be there and only did not come is asked for again.
                    if value is not None or not readings.incomplete:
                        page.keep(metric, statistic, value)
            if readings.warnings and not readings.incomplete:
                page.told.append((frozenset(missing), readings.warnings))
            # A history may have hundreds of thousands of values, and others have something to do as well.
            await asyncio.sleep(0)
        if readings.incomplete:
            flight.warnings, flight.incomplete = readings.warnings, True

    def _earlier(self, plan: _Plan, wanted: Wanted) -> Readout:
        """Numbers of an earlier moment in place of those that the budget does not allow. Raises when there are none."""
        self._budget.refused += 1
        if len(plan.pages) == 1:
            (moment,) = plan.pages
            for earlier, page in self._memory.before(moment, _MOST_PERIODS * moment.seconds):
                if page.knows(wanted):
                    values, told = page.recall(wanted)
                    warning = (
                        f'source "{self._name}" {self._budget.spent}: the numbers are '
                        f"{format_duration(moment.end - earlier.end)} older than they could be; raise budget, or ask less often"
                    )
                    return Readout(values, earlier, (warning, *told), marks=frozenset({STALE}))
        raise self._budget.refusal(sum(billed(flight.wanted) for flight in departures(plan.missing)))


async def _readouts(wanted: Wanted, moments: Iterable[Moment], plan: _Plan) -> list[Readout]:
    found: list[Readout] = []
    for moment in moments:
        if found:
            await asyncio.sleep(0)
        values, told = plan.pages[moment].recall(wanted)
        losses = [flight for flight in plan.flights if flight.incomplete and moment in flight.missing]
        warnings = dict.fromkeys(text for flight in losses for text in flight.warnings)
        found.append(Readout(values, moment, (*warnings, *(text for text in told if text not in warnings)), bool(losses)))
    return found
