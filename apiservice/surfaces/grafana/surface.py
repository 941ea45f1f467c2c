"""What Grafana speaks: JSON data sources of all generations, the node graph, and the documents that Infinity reads.

The routes are those of simPod/GrafanaJsonDatasource (openapi.yaml), of grafana/simple-json-datasource (README.md) for older ones, and of
hoptical/nodegraph-api-plugin (README.md). They are two segments long, ``grafana/query``, where those leave the choice: then one rule of
RBAC covers them. Whatever is told was read as the user, so Grafana shows nobody more than the API does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, ClassVar

from aiohttp import web

from apiservice.envelope import USER
from apiservice.identity import User
from apiservice.requestinfo import RequestInfo
from apiservice.sending import json_response
from apiservice.status import StatusError, method_not_allowed, unknown_path
from apiservice.surfaces.grafana.annotations import Annotations
from apiservice.surfaces.grafana.asking import Past, Reading
from apiservice.surfaces.grafana.bodies import parse_body, parse_query_body
from apiservice.surfaces.grafana.graphs import graph_reads, graph_rows
from apiservice.surfaces.grafana.metrics import Form, find_target
from apiservice.surfaces.grafana.nodegraph import EDGE_FIELDS, NODE_FIELDS
from apiservice.surfaces.grafana.panels import Panels, sentences
from apiservice.surfaces.grafana.times import TimeRange, parse_time
from apiservice.surfaces.grafana.variables import Variables, metric_list, search_list, tag_keys
from apiservice.surfaces.grafana.wanted import parse_text, parse_wanted
from apiservice.surfaces.reading import Reader
from metrics_api.resources import GROUP, VERSION
from metrics_api.together import aside
from metrics_api.window import Window

__all__ = ["RESOURCE", "Grafana"]

RESOURCE = "grafana"

Told = tuple[Any, list[str]]
"""A document, and what its reader should know beside it."""

Posted = Callable[[User, Mapping[str, Any], str], Awaitable[Told]]


class Grafana:
    """The surface over ``reader``. ``window`` is the default one, ``refresh`` in seconds, ``clock`` is Unix time."""

    reads_timeout: ClassVar[bool] = False

    def __init__(self, reader: Reader, window: Window, refresh: int, clock: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._window = window
        self._refresh = refresh
        self._clock = clock
        self._panels = Panels(reader, window, refresh, clock)
        variables = Variables(reader, window, refresh, clock)
        self._variables = variables
        self._posted: dict[str, Posted] = {
            "query": self._query,
            "metrics": _metrics,
            "metric-payload-options": variables.payload_options,
            "variable": variables.variable,
            "tag-keys": _tag_keys,
            "tag-values": variables.tag_values,
            "search": self._search,
            "annotations": Annotations(reader, window, clock).answer,
        }

    def claims(self, info: RequestInfo) -> bool:
        """See :class:`apiservice.surfaces.surface.Surface`."""
        return (info.group, info.version, info.resource) == (GROUP, VERSION, RESOURCE)

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """See :class:`apiservice.surfaces.surface.Surface`."""
        if info.verb_in_path:
            raise unknown_path()
        route = "/".join(info.parts[1:])
        reads = request.method in ("GET", "HEAD")
        match route:
            case "" | "api/health":
                _require(info, allowed=reads, methods=("GET", "HEAD"))
                return _response(request, ({"status": "ok"}, []))
            case "api/graph/fields":
                _require(info, allowed=reads, methods=("GET", "HEAD"))
                return _response(request, (_graph_fields(), []))
            case "graph" | "api/graph/data":
                _require(info, allowed=reads, methods=("GET", "HEAD"))
                return _response(request, await self._graph(request[USER], request.query, info.namespace))
            case _ if route in self._posted:
                _require(info, allowed=request.method == "POST", methods=("POST",))
                document = parse_body(await request.read())
                return _response(request, await self._posted[route](request[USER], document, info.namespace))
            case _:
                raise StatusError(
                    404,
                    f"there is no grafana/{route[:40]}: POST to grafana/{', grafana/'.join(self._posted)}; GET grafana, grafana/graph, "
                    "grafana/api/graph/fields, grafana/api/graph/data or grafana/api/health",
                )

    async def _query(self, user: User, document: Mapping[str, Any], scope: str) -> Told:
        # Names and patterns of many queries take a while to understand, in which others want answers.
        body = await asyncio.to_thread(parse_query_body, document, self._clock())
        return await self._panels.answer(user, body, scope)

    async def _search(self, user: User, document: Mapping[str, Any], scope: str) -> Told:
        """What was one route is two today: a text that asks for names is that of a variable, any other is looked for in the metrics."""
        text = str(document.get("target") or "")
        word, fields = parse_text(text)
        if "?" not in text and word not in ("namespaces", "workloads", "kinds", "peers", "clusters"):
            return search_list(word), []
        found, told = await self._variables.named(user, word, fields, scope)
        return [{"text": value, "value": value} for value in found], told

    async def _graph(self, user: User, query: Mapping[str, str], scope: str) -> Told:
        """Who calls whom, as plain objects: ``{"nodes": […], "edges": […]}``."""
        wanted = parse_wanted({**query, "format": "graph"}, find_target("node_graph"), Form.GRAPH)
        reads = graph_reads(wanted, scope, self._window)
        then = Past(self._past(query))
        found = await Reading(self._reader, user).read((asked, then) for asked in reads)
        results = [results[0] for results in found.values()]
        drawing = await aside(sum(len(result.rows) for result in results), lambda: graph_rows(wanted, results))
        return drawing.document(), [*wanted.remarks, *drawing.remarks, *sentences(results)]

    def _past(self, query: Mapping[str, str]) -> int | None:
        """The instant that is asked about: ``time``, or ``to``, the end of the range of a dashboard."""
        text = query.get("time") or query.get("to")
        if not text:
            return None
        now = self._clock()
        end = parse_time(text, now, "time" if query.get("time") else "to")
        return TimeRange(end, end, ongoing=text == "now").past(now, self._refresh)


async def _metrics(user: User, document: Mapping[str, Any], scope: str) -> Told:
    del user, document, scope
    return metric_list(), []


async def _tag_keys(user: User, document: Mapping[str, Any], scope: str) -> Told:
    del user, document, scope
    return tag_keys(), []


def _graph_fields() -> dict[str, Any]:
    return {
        "nodes_fields": [each.declared() for each in NODE_FIELDS],
        "edges_fields": [each.declared() for each in EDGE_FIELDS],
    }


def _require(info: RequestInfo, *, allowed: bool, methods: Iterable[str]) -> None:
    if not allowed:
        raise method_not_allowed(info, tuple(methods))


def _response(request: web.Request, told: Told) -> web.StreamResponse:
    """The document as JSON, which is what all of them read, whatever they say they accept."""
    document, warnings = told
    return json_response(document, request, warnings)
