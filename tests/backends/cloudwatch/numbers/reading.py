"""A reader in front of the double of AWS: what it is asked for is published first, so that every answer has a truth to compare with."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from backends.cloudwatch.budget import Budget
from backends.cloudwatch.metric import Metric, Values, Wanted
from backends.cloudwatch.metricdata import MetricData
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.reader import Reader, Readout
from backends.cloudwatch.session import Aws as Session
from backends.cloudwatch.settings import CloudWatchSettings
from tests.doubles.cloudwatch import Aws, run_aws

__all__ = [
    "LAST",
    "NAME",
    "NOW",
    "SETTINGS",
    "SPACE",
    "STATISTICS",
    "Reading",
    "latency",
    "minutes",
    "of",
    "run_reading",
    "same",
    "triples",
    "truth",
]

NAME = "aws"
SPACE = "ApplicationSignals"
NOW = 1_800_000_000
"""A whole minute, and a multiple of five."""

SETTINGS = CloudWatchSettings(name=NAME, source="application-signals", cluster="prod", concurrency=16, timeout=5)
LAST = Moment(NOW, MINUTE)
STATISTICS = ("SampleCount", "Sum", "Maximum", "p50")


def latency(number: int) -> Metric:
    """One of any number of metrics."""
    return Metric.of(SPACE, "Latency", {"Environment": "eks:prod/shop", "Service": f"service-{number}"})


def of(*numbers: int, statistics: tuple[str, ...] = STATISTICS) -> Wanted:
    """The same statistics of some metrics."""
    return {latency(number): statistics for number in numbers}


def minutes(count: int, seconds: int = MINUTE) -> list[Moment]:
    """So many moments that follow one another by a minute, the last of which ends now."""
    return [Moment(NOW - MINUTE * back, seconds) for back in reversed(range(count))]


@dataclass(slots=True)
class Reading:
    """AWS, and what a reader of it needs; ``now`` is the time for all of them."""

    aws: Aws
    session: Session
    now: float = NOW
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.aws.clock = lambda: self.now
        self.budget = Budget(NAME, 10_000, lambda: self.now)

    def begin(self) -> None:
        """Twenty minutes of ten metrics, nothing of which has been read."""
        self.aws.recover()
        self.aws.data.anchor = "start"
        self.aws.calls.clear()
        self.aws.store.metrics.clear()
        self.now = NOW
        self.publish(10)

    @property
    def asked(self) -> list[int]:
        """How many queries each request for data had."""
        return [call.queries for call in self.aws.called("GetMetricData")]

    def reader(self, budget: int = 10_000, session: Session | None = None) -> Reader:
        """A reader that has read nothing yet."""
        self.budget = Budget(NAME, budget, lambda: self.now)
        return Reader(NAME, MetricData(NAME, session or self.session), self.budget, lambda: self.now)

    def publish(self, metrics: int, back: int = 20, ahead: int = 1) -> None:
        """Numbers of so many metrics, of each minute from ``back`` minutes before now until ``ahead`` of them after."""
        for number in range(metrics):
            for minute in range(-back, ahead):
                stamp = NOW + minute * MINUTE
                value, count = observed(latency(number), stamp)
                metric = latency(number)
                self.aws.put(metric.namespace, metric.name, dict(metric.dimensions), stamp, {value: count})

    async def arrived(self, calls: int) -> None:
        """Wait until so many requests for data have arrived."""
        await self.aws.until(lambda aws: len(aws.called("GetMetricData")) >= calls)


@asynccontextmanager
async def run_reading() -> AsyncIterator[Reading]:
    """AWS on a free port, and a session of a real client there."""
    async with run_aws() as aws:
        with pytest.MonkeyPatch.context() as environment:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                environment.delenv(name)
            for name, value in aws.environment().items():
                environment.setenv(name, value)
            async with Session(SETTINGS, attempts=1) as session:
                yield Reading(aws, session)


def observed(metric: Metric, stamp: int) -> tuple[float, int]:
    """What was observed in a minute: a value, and how often."""
    number = int(metric.value("Service").rpartition("-")[2])
    minute = stamp // MINUTE
    return float(1 + (7 * number + 3 * minute) % 11), 1 + (number + minute) % 4


def truth(wanted: Wanted, moment: Moment) -> Values:
    """What is to be read of a moment, if all of its minutes were published."""
    return {
        (metric, statistic): _statistic(statistic, [observed(metric, stamp) for stamp in range(moment.start, moment.end, MINUTE)])
        for metric, statistics in wanted.items()
        for statistic in statistics
    }


def _statistic(statistic: str, seen: Sequence[tuple[float, int]]) -> float:
    values = sorted(value for value, count in seen for _ in range(count))
    match statistic:
        case "SampleCount":
            return float(len(values))
        case "Sum":
            return sum(values)
        case "Maximum":
            return values[-1]
    return values[-(-len(values) // 2) - 1]


def triples(aws: Aws) -> Counter[tuple[str, str, Moment]]:
    """How often each statistic of each service was asked for in each moment, by requests of one moment."""
    found: Counter[tuple[str, str, Moment]] = Counter()
    for call in aws.called("GetMetricData"):
        start, end = int(call.parameters["StartTime"]), int(call.parameters["EndTime"])
        for query in call.parameters["MetricDataQueries"]:
            stat = query["MetricStat"]
            service = next(each["Value"] for each in stat["Metric"]["Dimensions"] if each["Name"] == "Service")
            assert end - start == stat["Period"]
            found[service, stat["Stat"], Moment(end, end - start)] += 1
    return found


def same(readout: Readout, wanted: Wanted, moment: Moment) -> bool:
    """Whether a readout is the truth about a moment, and nothing but that."""
    return replace(readout, values={}) == Readout({}, moment) and readout.values == truth(wanted, moment)
