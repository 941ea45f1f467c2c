"""From an authorised resource request to its response: question, answer, page, representation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from aiohttp import web
from multidict import CIMultiDict

from apiservice.catalog import locate
from apiservice.encoding import GZIP_ABOVE, accepts_gzip, compress
from apiservice.listoptions import parse_list_options
from apiservice.negotiate import LIST_TRANSFORMS, OBJECT_TRANSFORMS, accept_of, negotiate, wants_pretty
from apiservice.paging import Page, Pager, question_key
from apiservice.representation import Style, include_object, mark_incomplete, represent_list, represent_object
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.status import method_not_allowed, too_many_requests, watch_not_supported
from apiservice.warning import warning_headers
from metrics_api.objects import LatencyUnit, resource_version
from metrics_api.resources import ResourceRef

__all__ = ["Answering", "Parse", "Question", "Service"]


class Question(Protocol):
    """What this module must know of a question."""

    @property
    def single(self) -> bool:
        """One object is wanted, not a list."""
        ...

    @property
    def edges(self) -> bool:
        """Rows are edges."""
        ...

    @property
    def selects(self) -> bool:
        """A selector takes part, so nobody can say how many rows there are."""
        ...

    @property
    def resource_ref(self) -> ResourceRef:
        """What was asked for, as a list carries it."""
        ...


class Service(Protocol):
    """Whoever knows the answers."""

    async def answer(self, question: Any) -> Result:
        """The rows, sorted; exactly one for a question that is ``single``. Raises :mod:`metrics_api.errors`."""
        ...


Parse = Callable[[RequestInfo, Mapping[str, str]], Question]
"""Understands a request; raises :class:`metrics_api.errors.BadQuery` or :class:`metrics_api.errors.NotFound`."""


class Answering:
    """Answers resource requests. At most ``max_in_flight`` are worked on at once; more are told to come back."""

    def __init__(self, service: Service, parse: Parse, pager: Pager, unit: LatencyUnit, max_in_flight: int) -> None:
        self._service = service
        self._parse = parse
        self._pager = pager
        self._unit = unit
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def respond(self, info: RequestInfo, request: web.Request) -> web.Response:
        """The response; raises what :mod:`apiservice.status` knows."""
        locate(info)
        if info.verb == "watch":
            raise watch_not_supported(info)
        if info.verb not in ("get", "list") or info.verb_in_path or request.method not in ("GET", "HEAD"):
            raise method_not_allowed(info)
        if self._in_flight >= self._max_in_flight:
            raise too_many_requests(self._max_in_flight)
        self._in_flight += 1
        try:
            return await self._answer(info, request)
        finally:
            self._in_flight -= 1

    async def _answer(self, info: RequestInfo, request: web.Request) -> web.Response:
        query = request.query
        options = parse_list_options(query)
        question = self._parse(info, query)
        style = self._style(question, request)
        if question.single:
            result = await self._service.answer(question)
            options.check(result.instant)
            (row,) = mark_incomplete(result.rows) if result.incomplete else result.rows
            return await _respond(represent_object(row, style), result, style, request)
        key = question_key(info, query)
        if options.continue_token:
            page = self._pager.resume(key, options.continue_token, options.limit)
        else:
            result = await self._service.answer(question)
            options.check(result.instant)
            page = self._pager.first(key, result, options.limit)
        rows = mark_incomplete(page.result.rows) if page.result.incomplete else page.result.rows
        parts = represent_list(rows, _list_meta(page, question), question.resource_ref, style)
        return await _respond(parts, page.result, style, request)

    def _style(self, question: Question, request: web.Request) -> Style:
        """The form the client wants; refused before any source is asked."""
        chosen = negotiate(accept_of(request.headers), OBJECT_TRANSFORMS if question.single else LIST_TRANSFORMS)
        return Style(
            chosen.encoding,
            chosen.transform,
            pretty=chosen.pretty or wants_pretty(request.query, request.headers.get("User-Agent", "")),
            include=include_object(request.query),
            edges=question.edges,
            unit=self._unit,
        )


def _list_meta(page: Page, question: Question) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": resource_version(page.result.instant)}
    if page.token:
        metadata["continue"] = page.token
        if not question.selects:
            metadata["remainingItemCount"] = page.remaining
    return metadata


async def _respond(parts: Iterator[bytes], result: Result, style: Style, request: web.Request) -> web.Response:
    body = await _gather(parts)
    headers = CIMultiDict({"Content-Type": style.encoding.value})
    for value in warning_headers(result.warnings):
        headers.add("Warning", value)
    if len(body) > GZIP_ABOVE:
        headers["Vary"] = "Accept-Encoding"
        if accepts_gzip(request.headers):
            headers["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(compress, body)
    return web.Response(body=body, headers=headers)


async def _gather(parts: Iterator[bytes]) -> bytes:
    """The parts joined; others get their turn after each."""
    body = []
    for part in parts:
        body.append(part)
        await asyncio.sleep(0)
    return b"".join(body)
