"""What a store tells of the meshes beside their traffic: in which versions they run, and in which namespaces; a query for each."""

from __future__ import annotations

from collections.abc import Sequence

from backends.dialects import Comparison, Dialect, Matcher
from backends.dialects.names import spelt
from backends.dialects.releases import mesh_of, namespace_labels
from backends.prometheus.promql import selector
from backends.prometheus.recognition import Store
from metrics_api.diagnosis import Mesh

__all__ = ["find_meshes", "find_namespaces"]

_MARK = "trafficmetrics_asked"
_FOUND = "trafficmetrics_found"

_MOST_VERSIONS = 50
"""Values read of one label, those with most series: what has more is no version."""

_MOST_NAMESPACES = 10_000
"""Namespaces read of one label: as many as Kubernetes is meant for (kubernetes/community, sig-scalability/configs-and-limits)."""


async def find_meshes(store: Store, dialects: Sequence[Dialect], instant: int) -> tuple[Mesh, ...]:
    """The meshes of some dialects that a store keeps, with the versions it shows at ``instant`` (Unix seconds).

    Raises :class:`metrics_api.errors.BackendError`.
    """
    asked: list[str] = []
    for index, version in enumerate(dialect.version for dialect in dialects):
        if version is not None:
            values = _most(_MOST_VERSIONS, version.sign.metric, version.sign.matchers, version.label)
            asked.append(f'label_replace({values}, "{_MARK}", "{index}", "", "")')
    found: dict[str, list[str]] = {}
    for series in (await store.query(" or ".join(asked), instant)).series if asked else ():
        found.setdefault(series.metric.get(_MARK, ""), []).append(series.metric.get(_FOUND, ""))
    return tuple(mesh_of(dialect, found.get(str(index), ())) for index, dialect in enumerate(dialects))


async def find_namespaces(store: Store, dialects: Sequence[Dialect], instant: int) -> frozenset[str] | None:
    """The namespaces that the series of some dialects name at ``instant``; None when no label holds the name of one as it is.

    Raises :class:`metrics_api.errors.BackendError`.
    """
    asked = dict.fromkeys(
        _most(_MOST_NAMESPACES, metric, view.match, label)
        for dialect in dialects
        for view in dialect.views
        for label in namespace_labels(view)
        for metric in view.counters
    )
    if not asked:
        return None
    answer = await store.query(" or ".join(asked), instant)
    return frozenset(series.metric.get(_FOUND, "") for series in answer.series) - {""}


def _most(limit: int, metric: str, matchers: Sequence[Matcher], label: str) -> str:
    """The values of a label, as those of one that is named alike in all queries; the ``limit`` with most series."""
    counted = f"count by ({spelt(label)}) ({selector(metric, (*matchers, Matcher(label, Comparison.NOT_EQUAL, '')))})"
    return f'topk({limit}, label_replace({counted}, "{_FOUND}", "$1", "{label}", "(.*)"))'
