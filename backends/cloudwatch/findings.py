"""What an examination says of a source in CloudWatch: told from what was listed and read alone, without asking anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from backends.cloudwatch.cost import dollars_per_month
from backends.cloudwatch.identity import Identity, cluster_of
from backends.cloudwatch.metric import SAMPLE_COUNT, Metric
from backends.cloudwatch.metricdata import Readings
from backends.cloudwatch.moment import MINUTE, Moment
from backends.cloudwatch.naming import asked_for
from backends.cloudwatch.rows import Row
from backends.cloudwatch.settings import CloudWatchSettings
from metrics_api import ANY_WORKLOAD, CALLED_HOST, EVERYTHING, UNKNOWN, Direction, TrafficQuery, Window, first_few, format_duration
from metrics_api.diagnosis import Ability, Finding, Level

__all__ = ["MEDIAN", "Prices", "abilities", "about_clock", "about_clusters", "about_freshness", "about_peers", "about_percentiles"]

MEDIAN = "p50"

_SKEW = 2.0
"""Seconds that clocks may differ: the date of an answer is in whole seconds."""

_STEADY = 5
"""Minutes of traffic without a gap, after which the end of the numbers is where they have not arrived, and not where requests ended."""

_RESOURCES = (("workloads", "Deployment", ()), ("namespaces", "Namespace", ()), ("services", "Service", (ANY_WORKLOAD,)))
"""What can be asked about at all: in the plural, a kind of it, and the kinds that the server can add up to it."""


@dataclass(frozen=True, slots=True)
class Prices:
    """How many metrics are requested for a list of everything, of totals and of edges, where the ``budget`` is so many in a minute."""

    totals: int
    edges: int
    budget: int

    @property
    def monthly_dollars(self) -> float:
        """What a month costs in which both are asked for every minute."""
        return dollars_per_month(self.totals + self.edges, MINUTE)

    def findings(self, source: str) -> Iterator[Finding]:
        """What it costs, and whether the budget allows it."""
        for what, metrics in (("workloads", self.totals), ("edges", self.edges)):
            if metrics > self.budget:
                said = (
                    f"a list of all {what} requests {metrics} metrics, and budget allows {self.budget} in a minute: it is refused"
                )
                yield Finding(
                    Level.WARNING, source, "budget", said, f"budget: {self.totals + self.edges}, or ask for one namespace at a time"
                )
        yield Finding(
            Level.OK,
            source,
            "cost",
            f"a list of all workloads requests {self.totals} metrics, one of all edges {self.edges}: "
            f"both asked for in every minute of a month are ${self.monthly_dollars:,.2f}",
        )


def about_clock(source: str, skew: float, doubt: float = 0.0) -> Iterator[Finding]:
    """``skew`` is by how many seconds the clock of AWS is ahead of ours, give or take ``doubt``."""
    if abs(skew) > _SKEW + doubt:
        where = "behind" if skew > 0 else "ahead of"
        level = Level.PROBLEM if abs(skew) >= MINUTE else Level.WARNING
        what = f"our clock is {abs(skew):.0f}s {where} that of AWS, so answers are about other minutes than they should be"
        yield Finding(level, source, "clock", what, "synchronise it (NTP)")


def about_clusters(settings: CloudWatchSettings, region: str, listed: Sequence[Metric]) -> Iterator[Finding]:
    """Which environments there are, where those of one cluster are wanted."""
    name, cluster = settings.name, settings.cluster
    environments = sorted({metric.value("Environment") for metric in listed})
    if not environments:
        what = f"CloudWatch lists no metrics of Application Signals in {region} that had data in the last three hours"
        advice = "is Application Signals enabled for workloads of the cluster, and is this its region and account?"
        yield Finding(Level.PROBLEM, name, "cluster", what, advice)
        return
    identity = Identity(settings)
    ours = [environment for environment in environments if identity.namespace(environment)]
    clusters = sorted({found for environment in environments if (found := cluster_of(environment))} - {cluster})
    if not ours:
        there = (
            f"clusters {first_few(clusters)}" if len(clusters) > 1 else f"cluster {clusters[0]}" if clusters else "no other cluster"
        )
        others = [environment for environment in environments if not cluster_of(environment)]
        if others:
            there += f", and environments that are none of Kubernetes: {first_few(others)}"
        what = f'there is nothing of cluster "{cluster}"; there is of {there}'
        if clusters:
            advice = f"cluster: {clusters[0]}" if len(clusters) == 1 else "set cluster to one of them"
        else:
            advice = f'say in environments which namespaces they are: "{others[0]}": NAMESPACE'
        yield Finding(Level.PROBLEM, name, "cluster", what, advice)
        return
    nowhere = [environment for environment in environments if cluster_of(environment) == cluster and environment not in ours]
    if nowhere:
        what = f"services of which the agent does not know the namespace are left out: {first_few(nowhere)}"
        yield Finding(Level.WARNING, name, "cluster", what, "say in environments which namespace that is, if it is one")
    if clusters:
        yield Finding(Level.OK, name, "cluster", f"what there is of other clusters is left out: {first_few(clusters)}")


def about_peers(source: str, edges: Iterable[Row]) -> Iterator[Finding]:
    """Who is called that is no workload."""
    peers = {row.peer for row in edges if row.direction is Direction.TO}
    hosts = sorted(peer.name for peer in peers if peer.kind == CALLED_HOST)
    if hosts:
        what = f"{len(hosts)} callees are known by host name alone, and are Services where there are such: {first_few(hosts)}"
        yield Finding(Level.OK, source, "peers", what)
    outside = sorted(peer.name for peer in peers if not peer.kind and peer != UNKNOWN)
    if outside:
        yield Finding(Level.OK, source, "peers", f"{len(outside)} callees are outside of the cluster: {first_few(outside)}")
    nameless = [row for row in edges if row.peer == UNKNOWN]
    if nameless:
        what = f"{len(nameless)} edges lead to callees of which nothing is known: their spans do not say what was called"
        advice = "instrumentation that sets server.address names them"
        yield Finding(Level.OK, source, "peers", what, advice)


def about_freshness(settings: CloudWatchSettings, readings: Readings, moment: Moment, now: float) -> Iterator[Finding]:
    """Whether the numbers of a moment, asked about ``now``, have arrived. ``readings`` are minutes, up to the newest there are."""
    name = settings.name
    stamps = {stamp for (_, statistic), points in readings.points.items() if statistic != MEDIAN for stamp in points}
    if not stamps:
        what = "none of what was looked at had a request in the last quarter of an hour, so nobody can tell how long numbers take to arrive"
        yield Finding(Level.WARNING, name, "delay", what, "examine it again while there is traffic")
        return
    newest = max(stamps)
    missing = moment.end - newest - MINUTE
    steady = all(newest - back * MINUTE in stamps for back in range(_STEADY))
    if missing > 0 and steady:
        age = max(int(now) - newest - MINUTE, 0)
        what = f"the newest numbers end {format_duration(age)} ago, and delay is {format_duration(settings.delay)}"
        enough = format_duration(-(-age // MINUTE) * MINUTE)
        yield Finding(
            Level.WARNING,
            name,
            "delay",
            f"{what}: the last {format_duration(missing)} of an answer have not arrived",
            f"delay: {enough}",
        )


def about_percentiles(source: str, readings: Readings) -> Iterator[Finding]:
    """Whether metrics that have requests have percentiles."""
    timed = [metric for metric, statistic in readings.points if statistic == MEDIAN and readings.points.get((metric, SAMPLE_COUNT))]
    bare = [metric for metric in timed if not readings.points[metric, MEDIAN]]
    if bare:
        what = f"{len(bare)} of {len(timed)} metrics looked at have no percentiles, such as {_named(bare[0])}"
        advice = (
            "CloudWatch gives none of statistic sets: publish values and counts, as exponential histograms of OpenTelemetry become"
        )
        yield Finding(Level.WARNING, source, "percentiles", what, advice)


def abilities(
    source: str, window: Window, instant: int, refusal: Callable[[TrafficQuery], str | None], rows: Iterable[Row]
) -> tuple[Ability, ...]:
    """What can be answered of each kind of resource; what there are no ``rows`` of is lost."""
    rows = tuple(rows)
    found: list[Ability] = []
    for resources, kind, members in _RESOURCES:
        queries = {
            "received": TrafficQuery((kind,), window, instant, members=members),
            **{
                way.value: TrafficQuery((kind,), window, instant, edges=True, direction=way, members=members, peer_members=members)
                for way in Direction
            },
        }
        whole = [way for way, query in queries.items() if refusal(query) is None]
        if whole:
            there = {_way(row) for row in rows if asked_for(row.resource, queries["received"])}
            told = tuple(way for way in whole if way in there)
            found.append(Ability(source, resources, told, tuple(way for way in whole if way not in there)))
    return tuple(found)


def _way(row: Row) -> str:
    return "received" if row.peer == EVERYTHING else row.direction.value


def _named(metric: Metric) -> str:
    dimensions = ", ".join(f"{name}={value}" for name, value in metric.dimensions)
    return f"{metric.name} of {dimensions}" if dimensions else metric.name
