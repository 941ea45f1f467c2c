"""The examination of a source in AWS, hop by hop: who are we, may we ask, what is there, has it arrived, and what does it cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any

from backends.cloudwatch.findings import (
    MEDIAN,
    Prices,
    abilities,
    about_clock,
    about_clusters,
    about_freshness,
    about_peers,
    about_percentiles,
)
from backends.cloudwatch.measured import Found, Rows
from backends.cloudwatch.metric import SAMPLE_COUNT, Metric, Wanted
from backends.cloudwatch.metricdata import MetricData, billed
from backends.cloudwatch.moment import MINUTE, Moment, moment_of
from backends.cloudwatch.parts import Parts
from backends.cloudwatch.rows import Row, wanted_of
from backends.cloudwatch.signals import NAMESPACE
from backends.cloudwatch.xray import XRay
from metrics_api import (
    CALLED_HOST,
    BackendError,
    BackendRefused,
    BackendTimeout,
    BadConfiguration,
    Direction,
    TrafficQuery,
    Window,
    format_duration,
    together,
)
from metrics_api.diagnosis import Ability, Diagnosis, Finding, Level, advised, sentence

__all__ = ["diagnose"]

_DEADLINE = 9.0
"""Seconds for everything."""

_FIRST_ANSWER = 4
"""Seconds for the one call that shows that AWS is there."""

_LOOKED_AT = 20
"""Metrics that are read to see whether their numbers have arrived; each is paid for."""

_BACK = 15 * MINUTE
"""Seconds for which they are read."""

_NOBODY = Metric("trafficmetrics", "doctor", ())
"""A metric that does not exist, to see whether metrics may be asked for."""

_NOTHING = {
    "appmesh": "are mesh, form and metricNamespace right, and is the metrics extension switched on in its Envoys?",
    "vpc-lattice": "are the ids in services right, and were these services called in the last two weeks?",
    "ecs-service-connect": "is cluster right, does Service Connect carry requests, and does services or namespace name the objects?",
}


async def diagnose(parts: Parts, window: Window) -> Diagnosis:
    """Examine the source that ``parts``, not opened yet, are of, for questions about ``window``.

    What is wrong is in the findings; nothing is raised. It costs some twenty requested metrics.
    """
    examination = _Examination(parts, window)
    try:
        async with asyncio.timeout(_DEADLINE), AsyncExitStack() as stack:
            if await examination.open(stack):
                await examination.run()
    except TimeoutError:
        slow = f"the examination was not over after {_DEADLINE:g}s, and what is said here is not all"
        examination.say(Level.WARNING, "time", slow, "does something on the way to AWS drop what we send?")
    except BadConfiguration as error:
        examination.fail("credentials", error.problems[0])
    except BackendError as error:
        examination.fail("access" if isinstance(error, BackendRefused) else "reach", error.message)
    return examination.diagnosis


class _Examination:
    """One examination, and what it has found so far."""

    def __init__(self, parts: Parts, window: Window) -> None:
        self._parts = parts
        self._settings = parts.settings
        self._window = window
        self._now = parts.clock()
        self._data = MetricData(self._settings.name, parts.aws)
        self._findings: dict[Finding, None] = {}
        self._abilities: tuple[Ability, ...] = ()
        self._facts: dict[str, str | float] = {"type": "cloudwatch", "source": self._settings.source}
        self._where = self._settings.source
        self._what: list[str] = []

    @property
    def diagnosis(self) -> Diagnosis:
        """What is known by now."""
        return Diagnosis(
            self._settings.name, "; ".join((self._where, *self._what)), dict(self._facts), tuple(self._findings), self._abilities
        )

    def say(self, level: Level, check: str, what: str, advice: str = "") -> None:
        """Add a finding."""
        self._add([Finding(level, self._settings.name, check, what, advice)])

    def fail(self, check: str, message: str) -> None:
        """Add a failure: what it is, and behind the last semicolon what to do about it."""
        self.say(Level.PROBLEM, check, *advised(self._settings.name, message))

    async def open(self, stack: AsyncExitStack) -> bool:
        """Sign in, and whether that succeeded. Raises :class:`metrics_api.errors.BadConfiguration` when nobody says as whom or where."""
        aws = await stack.enter_async_context(self._parts.aws)
        await stack.enter_async_context(self._parts.discovery)
        self._where = f"{self._settings.source} in {aws.region}"
        self._facts["region"] = aws.region
        try:
            await aws.sign_in()
        except BackendError as error:
            self.fail("credentials", error.message)
            return False
        return True

    async def run(self) -> None:
        """Go from hop to hop, until one is missing. Raises :class:`metrics_api.errors.BackendError` when none further can be gone."""
        source, rows = self._parts.source, self._parts.rows
        if isinstance(source, XRay):
            await together(self._tell_who_we_are(), self._draw(source))
        elif rows is not None:
            _, allowed = await together(self._tell_who_we_are(), self._reach())
            if allowed:
                await self._look(rows)
            else:
                await self._read({_NOBODY: (SAMPLE_COUNT,)}, self._moment())

    def _add(self, findings: Iterable[Finding]) -> None:
        self._findings |= dict.fromkeys(findings)

    def _moment(self) -> Moment:
        """The one that a question of now is about."""
        moment = moment_of(int(self._now), self._window, self._now, self._settings.delay)
        # It is None for what was years ago.
        return moment or Moment(int(self._now) // MINUTE * MINUTE, MINUTE)

    async def _tell_who_we_are(self) -> None:
        try:
            async with asyncio.timeout(_FIRST_ANSWER):
                answer = await self._call("sts", "get_caller_identity")
        except (TimeoutError, BackendError):
            # Whoever may ask CloudWatch need not reach STS. Bad credentials are found by all other calls, too.
            self._facts["identity"] = "unknown"
            return
        self._facts |= {"identity": answer.get("Arn", ""), "account": answer.get("Account", "")}
        self._where = f"{self._where} as {answer.get('Arn', '')}"

    async def _draw(self, source: XRay) -> None:
        found = await source.diagnose(self._moment())
        self._facts |= found.facts
        self._what.append(found.summary)
        self._add(found.findings)
        self._abilities = found.abilities

    async def _reach(self) -> bool:
        """Whether metrics may be listed; what else may be wrong is raised."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(_FIRST_ANSWER):
                await self._call("cloudwatch", "list_metrics", Namespace=_NOBODY.namespace, MetricName=_NOBODY.name)
        except TimeoutError:
            where = self._settings.endpoint_url or f"CloudWatch in {self._parts.aws.region}"
            hint = "may we connect to it, or is there an endpoint of it in our network that endpointUrl should name?"
            raise BackendTimeout(self._settings.name, f"does not answer within {_FIRST_ANSWER}s at {where}; {hint}") from None
        except BackendRefused as error:
            self.fail("access", error.message)
            return False
        milliseconds = round(1000 * (time.monotonic() - started))
        self._facts["milliseconds"] = milliseconds
        self._what.append(f"answered in {milliseconds} ms")
        return True

    async def _call(self, service: str, operation: str, **parameters: str) -> dict[str, Any]:
        """A call, by whose date clocks are compared."""
        before = self._parts.clock()
        answer = dict(await self._parts.aws.call(service, operation, **parameters))
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date and "clockSkewSeconds" not in self._facts:
            # The date has no fractions, and is of any time while we waited.
            after = self._parts.clock()
            skew = parsedate_to_datetime(date).timestamp() + 0.5 - (before + after) / 2
            self._facts["clockSkewSeconds"] = round(skew, 1)
            self._add(about_clock(self._settings.name, skew, (after - before) / 2))
        return answer

    async def _look(self, rows: Rows) -> None:
        signals = self._settings.source == "application-signals"
        if signals:
            await self._learn_names()
            listed = await self._parts.discovery.metrics(NAMESPACE, "Latency", {"Environment": None, "Service": None})
            self._add(about_clusters(self._settings, self._parts.aws.region, listed))
        # Configuration may say that something is a Service; it is no workload then.
        query = TrafficQuery(("Deployment", "Service"), self._window, int(self._now))
        moment = self._moment()
        totals, edges = [
            await rows.find(asked, moment) if rows.refusal(asked) is None else Found(())
            for asked in (query, replace(query, edges=True))
        ]
        self._count(totals.rows, edges.rows)
        for warning in dict.fromkeys((*totals.warnings, *edges.warnings)):
            self.say(Level.WARNING, "names", sentence(self._settings.name, warning))
        found = (*totals.rows, *edges.rows)
        if not found and not signals:
            what = f"CloudWatch lists no metrics of it in {self._parts.aws.region}"
            self.say(Level.PROBLEM, "metrics", what, _NOTHING.get(self._settings.source, ""))
        self._add(about_peers(self._settings.name, edges.rows))
        self._abilities = abilities(self._settings.source, self._window, int(self._now), rows.refusal, found)
        await self._read(_probe(found) or {_NOBODY: (SAMPLE_COUNT,)}, moment)
        prices = Prices(billed(wanted_of(totals.rows, query)), billed(wanted_of(edges.rows, query)), self._settings.budget)
        if found:
            self._facts |= {
                "metricsPerList": prices.totals,
                "metricsPerEdgeList": prices.edges,
                "budget": prices.budget,
                "monthlyDollars": round(prices.monthly_dollars, 2),
            }
            self._add(prices.findings(self._settings.name))

    def _count(self, totals: Sequence[Row], edges: Sequence[Row]) -> None:
        resources = {row.resource for row in (*totals, *edges) if row.resource.kind != CALLED_HOST}
        services = sum(resource.kind == "Service" for resource in resources)
        workloads = len(resources) - services
        calls = sum(row.direction is Direction.TO for row in edges)
        self._facts |= {"workloads": workloads, "services": services, "edges": calls}
        self._what.append(f"{workloads} workloads, {f'{services} Services, ' if services else ''}{calls} edges")

    async def _learn_names(self) -> None:
        try:
            await self._parts.directory.read()
        except BackendError as error:
            what, _ = advised(self._settings.name, error.message)
            said = f"names of services are taken for those of workloads: {what}"
            self.say(Level.OK, "names", said, "allow application-signals:ListServices if services are named otherwise")

    async def _read(self, wanted: Wanted, moment: Moment) -> None:
        """Read some metrics, and see whether that is allowed and whether their numbers have arrived."""
        minute = int(self._now) // MINUTE * MINUTE
        try:
            readings = await self._data.read(wanted, minute - _BACK, minute + MINUTE, MINUTE)
        except BackendRefused as error:
            self.fail("access", error.message)
            return
        for warning in readings.warnings:
            self.say(Level.WARNING, "metrics", sentence(self._settings.name, warning))
        if _NOBODY not in wanted:
            self._add(about_freshness(self._settings, readings, moment, self._now))
            self._add(about_percentiles(self._settings.name, readings))
            stamps = [stamp for points in readings.points.values() for stamp in points]
            if stamps:
                age = max(round(self._now) - max(stamps) - MINUTE, 0)
                self._facts["newestEndedSecondsAgo"] = age
                self._what.append(f"the newest numbers ended {format_duration(age)} ago")


def _probe(rows: Sequence[Row]) -> Wanted:
    """Some of the metrics of rows, from all over them, and what tells whether they have data and percentiles."""
    wanted: dict[Metric, tuple[str, ...]] = {}
    for row in rows:
        if row.latency is not None:
            wanted[row.latency] = (SAMPLE_COUNT, MEDIAN)
        elif row.requests:
            wanted[row.requests[0][0]] = (SAMPLE_COUNT,)
    step = -(-len(wanted) // _LOOKED_AT) or 1
    return dict(list(wanted.items())[::step])
