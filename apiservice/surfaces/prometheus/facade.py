"""The Prometheus surface: ``prometheus/metrics`` and ``prometheus/federate`` to scrape, ``prometheus/api/v1/…`` to query.

Below ``namespaces/NS`` the same paths tell of that namespace alone. Kubernetes reads ``prometheus/api/v1/query`` as the subresource
``prometheus/v1``, named ``api``, and that is what roles must grant; what an answer is made of is read in the name of the user.
Routes, methods and answers: prometheus/prometheus, web/api/v1/api.go and docs/querying/api.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import msgspec
from aiohttp import web

from apiservice.requestinfo import RequestInfo
from apiservice.sending import json_response
from apiservice.surfaces.prometheus import browsing, querying, scraping
from apiservice.surfaces.prometheus.answer import Answer
from apiservice.surfaces.prometheus.failures import Failure, failure_of
from apiservice.surfaces.prometheus.requests import Query, query_of
from apiservice.surfaces.reading import Reader
from metrics_api.resources import GROUP, VERSION
from metrics_api.window import Window

__all__ = ["PrometheusFacade"]

_RESOURCE = "prometheus"
_READING = ("GET", "HEAD")
_ASKING = ("GET", "HEAD", "POST")

_API: dict[str, tuple[Callable[[Reader, Query], Awaitable[Answer]], Sequence[str]]] = {
    "query": (querying.query, _ASKING),
    "query_range": (querying.query_range, _ASKING),
    "query_exemplars": (querying.query_exemplars, _ASKING),
    "format_query": (querying.format_query, _ASKING),
    "labels": (browsing.labels, _ASKING),
    "series": (browsing.series, _ASKING),
    "metadata": (browsing.metadata, _READING),
    "rules": (browsing.rules, _READING),
    "alerts": (browsing.alerts, _READING),
    "status/buildinfo": (browsing.buildinfo, _READING),
}
_PAGES = {"metrics": scraping.metrics, "federate": scraping.federate}


class PrometheusFacade:
    """A :class:`apiservice.surfaces.surface.Surface`.

    ``window`` is that of what names none; ``refresh`` are the seconds between the instants of the API; ``clock`` is Unix time.
    """

    reads_timeout: ClassVar[bool] = True

    def __init__(self, reader: Reader, window: Window, refresh: int, clock: Callable[[], float] = time.time) -> None:
        self._reader = reader
        self._window = window
        self._refresh = refresh
        self._clock = clock

    def claims(self, info: RequestInfo) -> bool:
        """See :class:`apiservice.surfaces.surface.Surface`."""
        return info.is_resource and (info.group, info.version, info.resource) == (GROUP, VERSION, _RESOURCE)

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """See :class:`apiservice.surfaces.surface.Surface`. What fails leaves as Prometheus says it, on pages as text."""
        route = "/".join(info.parts[1:])
        try:
            if route in _PAGES and not info.verb_in_path:
                return await self._page(route, info, request)
            return await self._respond(route, info, request)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            return _failed(failure, plain=route in _PAGES)

    async def _page(self, route: str, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        _require(request, _READING)
        query = self._query(info, request, b"")
        async with asyncio.timeout(query.timeout()):
            found = await _PAGES[route](self._reader, query)
        return found.response(request.headers)

    async def _respond(self, route: str, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        path = "" if info.verb_in_path else route.removeprefix("api/v1/")
        if path.startswith("label/") and path.endswith("/values") and len(info.parts) == 6:
            _require(request, _READING)
            query = self._query(info, request, b"")
            async with asyncio.timeout(query.timeout()):
                return _answered(await browsing.label_values(self._reader, query, info.parts[4]), request)
        if path == route or path not in _API:
            raise _unknown(route)
        answer, methods = _API[path]
        _require(request, methods)
        query = self._query(info, request, await request.read())
        async with asyncio.timeout(query.timeout()):
            return _answered(await answer(self._reader, query), request)

    def _query(self, info: RequestInfo, request: web.Request, body: bytes) -> Query:
        return query_of(info, request, body, self._window, self._refresh, self._clock)


def _require(request: web.Request, methods: Sequence[str]) -> None:
    if request.method not in methods:
        raise Failure(
            405, f"this is asked with {' or '.join(methods)}, not {request.method}", headers={"Allow": ", ".join(methods)}
        )


def _unknown(route: str) -> Failure:
    known = ", ".join([*_PAGES, *(f"api/v1/{path}" for path in _API), "api/v1/label/NAME/values"])
    return Failure(404, f'there is no "{route[:100]}" below prometheus/, but {known}')


def _answered(answer: Answer, request: web.Request) -> web.StreamResponse:
    """An answer in its envelope."""
    document: dict[str, Any] = {"status": "success", "data": answer.data}
    if answer.warnings:
        document["warnings"] = list(dict.fromkeys(filter(None, answer.warnings)))
    return json_response(document, request)


def _failed(failure: Failure, *, plain: bool) -> web.Response:
    if plain:
        text = f"{failure.message}\n".encode("utf-8", "replace")
        return web.Response(
            status=failure.code, body=text, headers={**failure.headers, "Content-Type": "text/plain; charset=utf-8"}
        )
    body = msgspec.json.encode(failure.document())
    return web.Response(status=failure.code, body=body, headers={**failure.headers, "Content-Type": "application/json"})
