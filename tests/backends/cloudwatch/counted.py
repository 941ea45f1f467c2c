"""Responses as proxies count them and agents publish them, and answers in a form that can be compared with them."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from backends.cloudwatch.budget import Budget
from backends.cloudwatch.discovery import Discovery
from backends.cloudwatch.measured import MeasuredSource, Rows
from backends.cloudwatch.metricdata import MetricData
from backends.cloudwatch.moment import Moment, moment_of
from backends.cloudwatch.reader import Reader
from backends.cloudwatch.session import Aws as Session
from backends.cloudwatch.settings import CloudWatchSettings, read_settings
from metrics_api import ANY_WORKLOAD, Answer, Direction, ResourceRef, Sample, TrafficQuery, Window
from metrics_api.document import Problems, parse_document
from tests.doubles.cloudwatch import Aws, run_aws

__all__ = [
    "EDGES",
    "END",
    "MINUTE",
    "NOW",
    "TOTALS",
    "WORKLOADS",
    "Desk",
    "Key",
    "bare",
    "mistakes",
    "publish",
    "quantile",
    "run_desk",
    "settings_of",
    "told",
]

END = int(time.time()) // 60 * 60 - 120
"""The end of the latest minute that has arrived, and its beginning."""
MINUTE = END - 60
NOW = END + 120.0

WORKLOADS = ("Deployment", ANY_WORKLOAD)
TOTALS = TrafficQuery(WORKLOADS, Window(60), int(NOW))
EDGES = TrafficQuery(WORKLOADS, Window(60), int(NOW), edges=True)

Key = tuple[ResourceRef, Direction, ResourceRef]


def publish(
    aws: Aws, namespace: str, pattern: str, dimensions: Mapping[str, str], codes: Mapping[int, int], minute: float = MINUTE
) -> None:
    """Publishes how many responses there were of each class of codes: 2 is 2xx, and the ``{}`` in ``pattern`` becomes ``2XX``."""
    for code, count in codes.items():
        aws.put(namespace, pattern.format(f"{code}XX"), dimensions, minute, values={float(count): 1})


def bare(namespace: str, name: str) -> ResourceRef:
    """A workload of which the name alone is known."""
    return ResourceRef(ANY_WORKLOAD, namespace, name)


def told(answer: Answer) -> dict[Key, tuple[float | None, float | None, float | None]]:
    """Successes, failures and the 90th percentile in seconds, of each row of an answer."""
    found = {
        (sample.resource, sample.direction, sample.peer): (sample.success, sample.failure, quantile(sample))
        for sample in answer.samples
    }
    assert len(found) == len(answer.samples)
    return found


def quantile(sample: Sample, q: float = 0.9) -> float | None:
    """A percentile, rounded to microseconds."""
    found = None if sample.latency is None else sample.latency.quantile(q)
    return None if found is None else round(found, 6)


Making = Callable[[CloudWatchSettings, Discovery, Callable[[], float]], Rows]


@dataclass(slots=True)
class Desk:
    """AWS, a session of a real client there, and questions to sources that ``make`` makes and that ``source`` configures."""

    aws: Aws
    session: Session
    make: Making
    source: str

    def begin(self) -> Aws:
        """AWS, where nothing has been published or asked."""
        self.aws.recover()
        self.aws.clock, self.aws.listing.delay = time.time, 0
        self.aws.calls.clear()
        self.aws.store.metrics.clear()
        return self.aws

    async def answered(self, query: TrafficQuery, source: str = "") -> Answer:
        """What a source that has never been asked before says now."""
        settings = settings_of(source or self.source)
        moment = moment_of(query.instant, query.window, NOW, settings.delay)
        assert moment is not None
        async with Discovery("aws", self.session, 300) as discovery:
            rows = self.make(settings, discovery, lambda: NOW)
            assert rows.refusal(query) is None
            reader = Reader("aws", MetricData("aws", self.session), Budget("aws", 1000), lambda: NOW)
            (seen,) = await MeasuredSource("aws", rows, reader, settings.source).observe(query, [moment])
        assert not seen.incomplete
        return Answer(seen.samples, seen.moment.end, seen.moment.window, seen.warnings)

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[Looking]:
        """A source that is asked several times."""
        looking = Looking()
        async with Discovery("aws", self.session, 300, lambda: looking.now) as discovery:
            looking.rows = self.make(settings_of(self.source), discovery, lambda: NOW)
            yield looking


class Looking:
    """A source that looks for rows, at a time of our own, in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rows: Rows

    async def found(self, query: TrafficQuery) -> int:
        """How many rows there are for a question about the latest minute."""
        return len((await self.rows.find(query, Moment(END, 60))).rows)


@asynccontextmanager
async def run_desk(make: Making, source: str) -> AsyncIterator[Desk]:
    """A desk in front of AWS on a free port."""
    async with run_aws() as aws:
        with pytest.MonkeyPatch.context() as environment:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                environment.delenv(name)
            for name, value in aws.environment().items():
                environment.setenv(name, value)
            async with Session(settings_of(source)) as session:
                yield Desk(aws, session, make, source)


def read(text: str) -> tuple[CloudWatchSettings | None, list[str]]:
    """What is read from an entry of a configuration file called ``f.yaml``, and the mistakes in it."""
    problems = Problems()
    settings = read_settings(parse_document(text, "f.yaml", problems), "aws")
    return settings, problems.found


def settings_of(text: str) -> CloudWatchSettings:
    """The settings of an entry without mistakes."""
    settings, problems = read(text)
    assert problems == []
    assert settings is not None
    return settings


def mistakes(text: str) -> list[str]:
    """The mistakes in an entry."""
    return read(text)[1]
