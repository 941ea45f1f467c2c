"""``custom.metrics.k8s.io``: metrics of objects, and of the pods that a HorizontalPodAutoscaler scales.

It is an API of its own: who may read it is said by roles for its group, and the controller has such a role. Paths and bodies:
kubernetes/metrics (pkg/apis/custom_metrics, pkg/client/custom_metrics).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple

from aiohttp import web

from apiservice.requestinfo import RequestInfo
from apiservice.status import unknown_path
from apiservice.surfaces.autoscaling.asking import Manner, parse_manner
from apiservice.surfaces.autoscaling.description import CUSTOM_LIST
from apiservice.surfaces.autoscaling.responding import list_response, metric_not_found, require_get, require_whole
from apiservice.surfaces.reading import Asked, Reader
from metrics_api.autoscaling import (
    CUSTOM_GROUP,
    CUSTOM_VERSIONS,
    METRICS,
    OF_NAMESPACE,
    RATE,
    RESOURCE_NAMES,
    Value,
    measure,
    nothing,
)
from metrics_api.errors import NotFound, Unsupported
from metrics_api.instant import timestamp
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import ResourceRef, ResourceType, type_of_plural

__all__ = ["CustomMetrics", "Ready"]

Ready = Callable[[str], Collection[str]]
"""The names of the pods of a namespace that are ready, as far as anybody knows."""

_EVERY = "*"


class _About(NamedTuple):
    """What a request is about. ``segment`` is the resource as the path has it; ``name`` may be ``*``."""

    row: ResourceType
    segment: str
    namespace: str
    name: str
    metric: str


class CustomMetrics:
    """Answers out of ``reader``; ``ready`` tells which pods without traffic are there to take some: without it, nobody knows.

    Implements :class:`apiservice.surfaces.surface.Surface`.
    """

    reads_timeout: ClassVar[bool] = False

    def __init__(self, reader: Reader, ready: Ready = lambda _: ()) -> None:
        self._reader = reader
        self._ready = ready

    def claims(self, info: RequestInfo) -> bool:
        """All of the group."""
        return info.group == CUSTOM_GROUP

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """A MetricValueList: of one object with exactly one item; 404 when the metric is not known of it."""
        require_get(info, request, CUSTOM_VERSIONS)
        about = _about(info)
        if about.metric not in METRICS:
            raise metric_not_found(about.metric, about.segment, about.name, f"there are {', '.join(METRICS)}")
        manner = parse_manner(request.query.get("metricLabelSelector", ""), about.row)
        try:
            if about.name == _EVERY:
                found, warnings = await self._every(about, manner, request.query.get("labelSelector", ""))
            else:
                found, warnings = await self._one(about, manner)
        except (NotFound, Unsupported) as error:
            raise metric_not_found(about.metric, about.segment, about.name, error.message) from error
        items = [_item(info.version, about, ref, value, manner) for ref, value in found]
        return list_response(CUSTOM_LIST, f"{CUSTOM_GROUP}/{info.version}", items, request, warnings)

    async def _one(self, about: _About, manner: Manner) -> tuple[list[tuple[ResourceRef, Value]], Sequence[str]]:
        result = await self._reader.read_granted(Asked(about.row.plural, about.namespace, about.name, parameters=manner.parameters))
        require_whole(about.metric, result)
        value = measure(about.metric, _of_backend(result.rows, manner))
        if value is None and _rate_of_pods(about) and _silent(result.rows) and about.name in self._ready(about.namespace):
            value = nothing(result.rows[0]) if await self._observed(about, manner) else None
        if value is None:
            why = f"in the last {result.window} nothing was measured that it could be told from"
            raise metric_not_found(about.metric, about.segment, about.name, "; ".join((why, *result.warnings)))
        return [(ResourceRef(about.row.kind, about.namespace, about.name), value)], result.warnings

    async def _every(self, about: _About, manner: Manner, labels: str) -> tuple[list[tuple[ResourceRef, Value]], Sequence[str]]:
        """Of each object that labels choose, as far as it is known: who gets no value of a pod knows that, too."""
        pods = _rate_of_pods(about)
        chosen = (*manner.list_parameters, *((("labelSelector", labels),) if labels else ()))
        asked = Asked(about.row.plural, about.namespace, parameters=(*chosen, *((("includeIdle", "true"),) if pods else ())))
        result = await self._reader.read_granted(asked)
        require_whole(about.metric, result)
        found: list[tuple[ResourceRef, Value]] = []
        silent: list[tuple[ResourceRef, Value]] = []
        for ref, rows in _by_object(result.rows):
            value = measure(about.metric, _of_backend(rows, manner))
            if value is not None:
                found.append((ref, value))
            elif pods and _silent(rows):
                silent.append((ref, nothing(rows[0])))
        if silent and (found or await self._observed(about, manner)):
            ready = self._ready(about.namespace)
            found = sorted([*found, *(each for each in silent if each[0].name in ready)], key=lambda each: each[0])
        return found, result.warnings

    async def _observed(self, about: _About, manner: Manner) -> bool:
        """Whether anything at all was observed of the pods of the namespace.

        A ready pod of which nothing was observed had no requests, unless nobody observes: when no pod of a whole namespace was, that
        cannot be told apart, and no number is better than a zero that makes everything scale down.
        """
        result = await self._reader.read_granted(Asked(about.row.plural, about.namespace, parameters=manner.list_parameters))
        return not _silent(result.rows)


def _about(info: RequestInfo) -> _About:
    """What a path leads to; 404 where that is nothing."""
    if info.resource == OF_NAMESPACE and info.namespace and len(info.parts) == 2:
        row = type_of_plural("namespaces")
        assert row is not None  # noqa: S101 it is in the list
        return _About(row, row.plural, "", info.namespace, info.name)
    row = type_of_plural(RESOURCE_NAMES.get(info.resource, ""))
    if len(info.parts) != 3:
        raise unknown_path()
    if row is None:
        raise metric_not_found(info.subresource, info.resource, info.name, f"there are {', '.join(RESOURCE_NAMES)}")
    if row.namespaced is not bool(info.namespace) or info.namespace == _EVERY:
        raise unknown_path()
    return _About(row, info.resource, info.namespace, info.name, info.subresource)


def _rate_of_pods(about: _About) -> bool:
    """Whether a pod without traffic has a value: the controller takes one that has none for one that is as busy as it should be."""
    return about.row.kind == "Pod" and about.metric == RATE


def _silent(rows: Sequence[TrafficMetrics]) -> bool:
    """Whether nothing was observed."""
    return all(row.success is None and row.failure is None for row in rows)


def _by_object(rows: Sequence[TrafficMetrics]) -> Iterator[tuple[ResourceRef, list[TrafficMetrics]]]:
    """The rows of each object: several of what splits traffic, one of all others."""
    found: dict[ResourceRef, list[TrafficMetrics]] = {}
    for row in rows:
        found.setdefault(row.resource, []).append(row)
    yield from found.items()


def _of_backend(rows: Sequence[TrafficMetrics], manner: Manner) -> list[TrafficMetrics]:
    return [row for row in rows if not manner.backend or (row.backend is not None and row.backend.name == manner.backend)]


def _item(version: str, about: _About, ref: ResourceRef, value: Value, manner: Manner) -> dict[str, Any]:
    # Group and version with the slash that the reference library writes of the core group, too ("/v1").
    described = {**ref.wire(), "apiVersion": f"{about.row.group}/{about.row.version}"}
    selector = {"matchLabels": dict(manner.labels)} if manner.labels else None
    at = timestamp(value.instant)
    if version == "v1beta1":
        return {
            "describedObject": described,
            "metricName": about.metric,
            "timestamp": at,
            "window": value.seconds,
            "value": value.quantity,
            "selector": selector,
        }
    return {
        "describedObject": described,
        "metric": {"name": about.metric, "selector": selector},
        "timestamp": at,
        "windowSeconds": value.seconds,
        "value": value.quantity,
    }
