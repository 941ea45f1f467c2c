"""StatSummary: the numbers of a Prometheus joined with the objects of a cluster.

Source: linkerd/linkerd2, viz/metrics-api/stat_summary.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.doubles.linkerd.cluster import Cluster, Object, Pod
from tests.doubles.linkerd.promql import QUANTILES, Reading, of_objects, of_services, stat_queries
from tests.doubles.linkerd.schema import Message, message
from tests.doubles.linkerd.store import Store

__all__ = ["Tables"]

_Place = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class _Stats:
    """The numbers of one row; None for what no query gave anything for."""

    basic: dict[str, int] = field(default_factory=dict)
    tcp: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """Makes the tables of an answer out of these."""

    cluster: Cluster
    store: Store
    domain: str

    async def of_objects(self, request: Message) -> Message:
        """Rows about objects: all there are, or with ``to`` and ``from`` those that have numbers.

        Raises what Cluster.find raises, and store.QueryFailed.
        """
        own = request.selector.resource
        found = self.cluster.find(own.type, own.namespace, own.name, request.selector.label_selector)
        numbers = await self._numbers(request, of_objects(request))
        filtered = request.WhichOneof("outbound") in ("to_resource", "from_resource")
        table = message("StatTable")()
        table.pod_group.SetInParent()
        for one in found:
            stats = numbers.get((one.namespace, one.name))
            if not filtered or (stats is not None and stats.basic):
                self._row(table, request, one, stats)
        return table

    async def of_services(self, request: Message) -> Message:
        """Rows about Services: one for each that was reached by the authority asked for. Raises store.QueryFailed."""
        own = request.selector.resource
        numbers = await self._numbers(request, of_services(request, self.domain))
        rows = {(place[0], own.name or place[1], place[1]): ("", stats) for place, stats in numbers.items() if stats.basic}
        for authority, weight in self.cluster.profiles.get((own.namespace, own.name), ()):
            key = (own.namespace, own.name, _leaf(authority))
            rows[key] = (weight, rows[key][1] if key in rows else _Stats())
        table = message("StatTable")()
        table.pod_group.SetInParent()
        for (namespace, name, leaf), (weight, stats) in sorted(rows.items(), key=lambda item: item[0]):
            row = table.pod_group.rows.add(time_window=request.time_window)
            row.resource.namespace, row.resource.name, row.resource.type = namespace, name, own.type
            if stats.basic:
                _fill(row.stats, stats.basic)
            if stats.tcp is not None:
                _fill(row.tcp_stats, stats.tcp)
            if weight:
                row.ts_stats.apex, row.ts_stats.leaf, row.ts_stats.weight = name, leaf, weight
        return table

    def _row(self, table: Message, request: Message, one: Object, stats: _Stats | None) -> None:
        row = table.pod_group.rows.add(time_window=request.time_window)
        row.resource.namespace, row.resource.name, row.resource.type = one.namespace, one.name, one.kind
        pods = self.cluster.pods_of(one)
        alive = [pod for pod in pods if pod.phase != "Failed"]
        row.running_pod_count = len(alive)
        row.meshed_pod_count = sum(pod.meshed for pod in alive)
        row.failed_pod_count = len(pods) - len(alive)
        row.status = one.phase if isinstance(one, Pod) else ""
        if stats is not None and any(stats.basic.values()):
            _fill(row.stats, stats.basic)
        if stats is not None and stats.tcp is not None:
            _fill(row.tcp_stats, stats.tcp)

    async def _numbers(self, request: Message, reading: Reading) -> dict[_Place, _Stats]:
        """The numbers by the place of what they are about; a place may be that of no object, or nowhere at all."""
        if request.skip_stats:
            return {}
        queries = stat_queries(reading, request.time_window, tcp=request.tcp_stats)
        answers = await asyncio.gather(*(self.store.query(query) for query in queries.values()), return_exceptions=True)
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        if failed:
            raise failed[-1]
        numbers: dict[_Place, _Stats] = {}
        for what, rows in zip(queries, answers, strict=True):
            assert isinstance(rows, list)
            for row in rows:
                names = [row.labels.get(label, "") for label in reading.by]
                stats = numbers.setdefault((names[0] if len(names) > 1 else "", names[-1]), _Stats())
                _take(stats, what, row.labels, row.whole)
        return numbers


def _take(stats: _Stats, what: str, labels: Mapping[str, str], value: int) -> None:
    if what == "requests":
        # Each series is rounded by itself and then added.
        count = {"success": "success_count", "failure": "failure_count"}.get(labels.get("classification", ""))
        stats.basic.setdefault("success_count", 0)
        if count is not None:
            stats.basic[count] = stats.basic.get(count, 0) + value
    elif what in QUANTILES.values():
        stats.basic[what] = value
    else:
        stats.tcp = (stats.tcp or {}) | {what: value}


def _fill(part: Message, numbers: Mapping[str, int]) -> None:
    part.SetInParent()
    for name, number in numbers.items():
        setattr(part, name, number)


def _leaf(authority: str) -> str:
    """The Service in an authority; the authority itself when it is of none."""
    labels = authority.split(".")
    return labels[0] if len(labels) >= 3 and labels[2] == "svc" else authority
