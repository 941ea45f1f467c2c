"""What Application Signals publishes in a minute about requests between services: each metric under every set of dimensions it has.

Sets and meanings: CloudWatch User Guide, "Application Signals metrics collected"; aws/amazon-cloudwatch-agent,
translator/translate/otel/exporter/awsemf/awsemf_default_appsignals.yaml; aws-observability/aws-otel-java-instrumentation,
AwsSpanMetricsProcessor: every span counts in ``Latency``, and is 0 or 1 in ``Fault`` and in ``Error``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from tests.doubles.cloudwatch import Aws

__all__ = ["NAMESPACE", "Publication", "Service", "Spans", "publications", "publish", "spread"]

NAMESPACE = "ApplicationSignals"

GRAIN = 100
"""Into how many equal steps the observations of a bucket are divided: a percentile may be one of them from a histogram's."""


class Service(NamedTuple):
    """A service as Application Signals calls it."""

    environment: str
    name: str


class Publication(NamedTuple):
    """The values of one metric in one minute, and how often each was observed."""

    name: str
    dimensions: Mapping[str, str]
    values: Mapping[float, float]


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of one kind in a minute: those a service served, or with ``remote`` those of its calls to it.

    ``remote`` without an environment is a host name that the agent could not resolve. ``latencies`` are counts by milliseconds, ``faults``
    and ``errors`` are how many of them ended with a 5xx and with a 4xx.
    """

    service: Service
    latencies: Mapping[float, float]
    faults: float = 0
    errors: float = 0
    remote: Service | None = None
    operation: str = field(default="GET /", kw_only=True)

    @property
    def count(self) -> float:
        """How many there are."""
        return sum(self.latencies.values())


def publications(spans: Spans) -> Iterator[Publication]:
    """Everything that is published about some spans."""
    values: dict[str, Mapping[float, float]] = {
        "Latency": spans.latencies,
        "Fault": _flags(spans.faults, spans.count),
        "Error": _flags(spans.errors, spans.count),
    }
    for dimensions in _sets(spans):
        for name, counts in values.items():
            if counts:
                yield Publication(name, dimensions, counts)


def publish(aws: Aws, minutes: Sequence[int], traffic: Iterable[Spans]) -> None:
    """Puts the same spans into each of the minutes, given by their first Unix second: a datum of each metric."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Counter[float]] = {}
    for spans in traffic:
        for one in publications(spans):
            counts = found.setdefault((one.name, tuple(sorted(one.dimensions.items()))), Counter())
            for value, count in one.values.items():
                counts[value] += count  # type: ignore[assignment]  # a count may be a fraction
    for minute in minutes:
        for (name, dimensions), counts in found.items():
            unit = "Milliseconds" if name == "Latency" else "None"
            aws.put(NAMESPACE, name, dict(dimensions), minute, values=dict(counts), unit=unit)


def spread(bounds: Sequence[float], within: Mapping[float, float], grain: int = GRAIN) -> dict[float, float]:
    """Values spread evenly over the buckets of a histogram, as interpolating takes them to be: counts by value.

    ``bounds`` are those of the buckets, ``within`` how many observations are at most each bound that is given. ``grain`` is into how many
    equal steps those of a bucket are divided; counts that it does not divide should be divided by a power of two, which is exact.
    """
    found: dict[float, float] = {}
    below = 0.0
    for low, high in pairwise((0.0, *bounds)):
        count = within.get(high, below) - below
        below += count
        if count:
            found.update({low + (high - low) * part / grain: count / grain for part in range(1, grain + 1)})
    return found


def _flags(ones: float, count: float) -> Mapping[float, float]:
    return {value: number for value, number in ((0.0, count - ones), (1.0, ones)) if number}


def _sets(spans: Spans) -> Iterator[Mapping[str, str]]:
    own = {"Environment": spans.service.environment, "Service": spans.service.name}
    operation = {"Operation": spans.operation}
    if spans.remote is None:
        yield {**own, **operation}
        yield own
        return
    remote = {"RemoteService": spans.remote.name}
    called = {"RemoteOperation": spans.operation}
    placed = {"RemoteEnvironment": spans.remote.environment} if spans.remote.environment else {}
    yield {**own, **operation, **remote, **called, **placed}
    yield {**own, **remote, **called, **placed}
    if placed:
        yield {**own, **remote, **placed}
    yield {**own, **remote}
    yield remote
