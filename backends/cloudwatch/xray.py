"""X-Ray as a source: the service graph of a window, in which nodes are what services received and edges what callers sent.

The counts are of requests that were traced, and not of all traffic: by default an SDK of X-Ray traces the first request of each second and
5 % of the others, a proxy of App Mesh 5 % (X-Ray Developer Guide, "Sampling", "AWS App Mesh"), and with Transaction Search X-Ray has a
summary of that share of the traces alone that is indexed (CloudWatch User Guide, "Transaction Search"). No answer says what share of the
traffic this is, so numbers are not scaled up; the rate of failures and percentiles are what to look at. Every sample is marked ``sampled``.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

from backends.cloudwatch.graph import Graph, read_graph
from backends.cloudwatch.graphsamples import GraphTraffic
from backends.cloudwatch.moment import Moment
from backends.cloudwatch.selection import refused_kinds
from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.source import Observation
from backends.cloudwatch.xrayfindings import examine
from metrics_api import (
    BackendForgot,
    BackendProtocolError,
    Side,
    TrafficQuery,
    aside,
    format_duration,
    plural_of,
    timestamp,
    together,
)
from metrics_api.diagnosis import Diagnosis
from metrics_api.flight import SingleFlight

__all__ = ["XRay"]

_LONGEST = 6 * 3600
"""Seconds of the longest window that X-Ray gives a graph of (X-Ray Developer Guide, "Using the X-Ray console deep links")."""

_KEPT = 30 * 86400
"""Seconds for which it keeps graphs (ibid., "Concepts", Service graph)."""

_FRESH = 60
"""Seconds for which a graph is believed: traces of its window may still arrive."""

_MOST = 32
"""Graphs that are held."""


class _Aws(Protocol):
    async def call(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]: ...


class XRay:
    """Answers questions out of the service graphs of X-Ray, each asked for once in a minute whoever wants it.

    ``clock`` gives Unix seconds.
    """

    def __init__(self, settings: CloudWatchSettings, aws: _Aws, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._aws = aws
        self._clock = clock
        self._flights: SingleFlight[Graph] = SingleFlight()
        self._held: OrderedDict[Moment, tuple[float, Graph]] = OrderedDict()

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why graphs can never answer such a query; None when they can."""
        if refused_kinds(query) is not None:
            return _why(query.kinds[0] if refused_kinds(replace(query, edges=False)) is not None else query.peer_level)
        observed = Side.CLIENT if query.edges else Side.SERVER
        if query.side not in (None, observed):
            what = "edges of a service graph are recorded" if query.edges else "totals of a service graph are recorded"
            return f"the {what} at the {observed}, and not at the {query.side}"
        if query.window.seconds > _LONGEST:
            return f"X-Ray gives no graph of more than {format_duration(_LONGEST)}, and the window is {query.window}: ask for a shorter one"
        return None

    async def observe(self, query: TrafficQuery, moments: Sequence[Moment]) -> Sequence[Observation]:
        """What was traced in each of the moments. Raises :class:`metrics_api.errors.BackendError`."""
        name = self._settings.name
        oldest = self._clock() - _KEPT
        if all(moment.start < oldest for moment in moments):
            raise BackendForgot(
                name, f"keeps nothing of {timestamp(moments[-1].end)}: X-Ray keeps graphs for 30 days; ask about a later time"
            )
        # Only so many calls are made at once, and who waits for his turn is using up his time.
        slots = asyncio.Semaphore(self._settings.concurrency)

        async def one(moment: Moment) -> Observation:
            if moment.start < oldest:
                return Observation((), moment, (f'source "{name}" keeps nothing that is older than 30 days',), incomplete=True)
            async with slots:
                return await self._observe(query, moment)

        return await together(*map(one, moments))

    async def diagnose(self, moment: Moment) -> Diagnosis:
        """Examine it, with the moment that a question of now would be about. Whatever is wrong is a finding."""
        return await examine(self._settings, self.graph, replace(moment, seconds=min(moment.seconds, _LONGEST)))

    async def graph(self, moment: Moment) -> Graph:
        """The graph of a moment, at most a minute old. Raises :class:`metrics_api.errors.BackendError`."""
        held = self._held.get(moment)
        if held is not None and self._clock() < held[0]:
            self._held.move_to_end(moment)
            return held[1]
        return await self._flights.once(moment, lambda: self._asked(moment))

    async def _observe(self, query: TrafficQuery, moment: Moment) -> Observation:
        graph = await self.graph(moment)
        traffic = await aside(len(graph.nodes) + len(graph.calls), lambda: GraphTraffic.of(graph, query, self._settings))
        sampled = f'source "{self._settings.name}" counts the requests that were traced, which are a sample, and not all traffic'
        return Observation(traffic.samples, moment, (sampled, *traffic.warnings), incomplete=traffic.incomplete)

    async def _asked(self, moment: Moment) -> Graph:
        pages = await self._pages(moment)
        # Of a thousand services with long histograms this is half a second.
        graph = await asyncio.to_thread(read_graph, self._settings.name, pages)
        self._held[moment] = (self._clock() + _FRESH, graph)
        self._held.move_to_end(moment)
        while len(self._held) > _MOST:
            self._held.popitem(last=False)
        return graph

    async def _pages(self, moment: Moment) -> list[Mapping[str, Any]]:
        parameters: dict[str, Any] = {
            "StartTime": datetime.fromtimestamp(moment.start, UTC),
            "EndTime": datetime.fromtimestamp(moment.end, UTC),
        }
        if self._settings.group:
            parameters["GroupName"] = self._settings.group
        pages: list[Mapping[str, Any]] = []
        tokens: set[str] = set()
        while True:
            page = await self._aws.call("xray", "get_service_graph", **parameters)
            pages.append(page)
            token = page.get("NextToken")
            if not token:
                return pages
            if token in tokens:
                raise BackendProtocolError(self._settings.name, "answers the same page of the service graph again and again")
            tokens.add(token)
            parameters["NextToken"] = token


def _why(kind: str) -> str:
    if kind == "Service":
        return "a service graph is of workloads, and which of them stand behind a Service is known with Kubernetes alone"
    return f"a service graph is of workloads, and names no {plural_of(kind)}"
