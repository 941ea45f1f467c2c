"""``external.metrics.k8s.io``: metrics that are asked for by labels, one number for each question.

The controller adds up the items of an answer, and others take the first, so there is never more than one. Paths and bodies:
kubernetes/metrics (pkg/apis/external_metrics, pkg/client/external_metrics).
"""

from __future__ import annotations

from typing import Any, ClassVar

from aiohttp import web

from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.status import unknown_path
from apiservice.surfaces.autoscaling.asking import Selected, parse_selected
from apiservice.surfaces.autoscaling.description import EXTERNAL_LIST
from apiservice.surfaces.autoscaling.responding import list_response, require_get, require_whole
from apiservice.surfaces.reading import Asked, Reader
from metrics_api.autoscaling import EXTERNAL_GROUP, EXTERNAL_VERSIONS, METRICS, PERCENTILES, measure
from metrics_api.errors import BadQuery, NotFound, Unsupported
from metrics_api.instant import timestamp
from metrics_api.together import together

__all__ = ["ExternalMetrics"]

_LARGEST = 50
"""Objects that one question may name."""


class ExternalMetrics:
    """Answers out of ``reader``. Implements :class:`apiservice.surfaces.surface.Surface`."""

    reads_timeout: ClassVar[bool] = False

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def claims(self, info: RequestInfo) -> bool:
        """All of the group."""
        return info.group == EXTERNAL_GROUP

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """An ExternalMetricValueList with one item, or none for what is not known.

        So it is with metrics there are not: by asking for one a client finds out that somebody answers.
        """
        require_get(info, request, EXTERNAL_VERSIONS)
        if len(info.parts) != 1 or not info.namespace:
            raise unknown_path()
        metric = info.resource
        if metric not in METRICS:
            return _response(info, request, [], f"there is no metric {metric} here; there are {', '.join(METRICS)}")
        selected = parse_selected(request.query.get("labelSelector", ""), info.namespace)
        if len(selected.names) > _LARGEST:
            raise BadQuery(f"{len(selected.names)} objects are more than the {_LARGEST} that one metric may be of")
        if metric in PERCENTILES and len(selected.names) > 1:
            raise BadQuery(f"{metric} of several objects cannot be told from that of each: ask for one")
        try:
            results = await self._read(selected, info.namespace)
        except (NotFound, Unsupported) as error:
            return _response(info, request, [], error.message)
        for result in results:
            require_whole(metric, result)
        warnings = [warning for result in results for warning in result.warnings]
        backend = selected.manner.backend
        rows = [row for result in results for row in result.rows if not backend or (row.backend and row.backend.name == backend)]
        value = measure(metric, rows)
        if value is None:
            return _response(info, request, [], f"of {metric} nothing was measured in the last {results[0].window}", *warnings)
        item = {
            "metricName": metric,
            "metricLabels": dict(selected.labels),
            "timestamp": timestamp(value.instant),
            "window": value.seconds,
            "value": value.quantity,
        }
        return _response(info, request, [item], *warnings)

    async def _read(self, selected: Selected, namespace: str) -> list[Result]:
        parameters = selected.manner.parameters
        if selected.row is None:
            return [await self._reader.read_granted(Asked("namespaces", "", namespace, parameters=parameters))]
        asked = [Asked(selected.row.plural, namespace, name, parameters=parameters) for name in selected.names]
        return list(await together(*map(self._reader.read_granted, asked)))


def _response(info: RequestInfo, request: web.Request, items: list[dict[str, Any]], *warnings: str) -> web.Response:
    return list_response(EXTERNAL_LIST, f"{EXTERNAL_GROUP}/{info.version}", items, request, warnings)
