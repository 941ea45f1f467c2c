"""From an authorised resource request to its response: question, answer, page, representation."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from apiservice.bodies import Bodies
from apiservice.catalog import locate
from apiservice.envelope import USER
from apiservice.listoptions import ListOptions, parse_list_options
from apiservice.negotiate import LIST_TRANSFORMS, OBJECT_TRANSFORMS, Encoding, Transform, accept_of, negotiate, wants_pretty
from apiservice.numbers import negotiate_numbers, represent_number_list, represent_numbers, wants_numbers
from apiservice.paging import Page, Pager, question_key
from apiservice.representation import Style, include_object, represent_list, represent_object
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.status import method_not_allowed, watch_not_supported
from apiservice.telemetry import Telemetry
from apiservice.visibility import EveryPeer, PeerPolicy
from apiservice.watching import OLDEST, Feeds, Watching, parse_watch_options
from metrics_api.errors import BadQuery
from metrics_api.objects import LatencyUnit, TrafficMetrics, resource_version
from metrics_api.resources import ResourceRef

__all__ = ["Answering", "Parse", "Question", "Service"]

_AHEAD = 3.0
"""Seconds waited for a version that another replica has given out already."""


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
    def split(self) -> bool:
        """Each object has a row for each of its backends."""
        ...

    @property
    def instant(self) -> int | None:
        """The past instant it is about, in Unix seconds; None for the latest."""
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

    async def answer(self, question: Any, instant: int | None = None) -> Result:
        """The rows, sorted; exactly one for a question that is ``single``. Raises :mod:`metrics_api.errors`.

        They are as of the instant the question names, else of ``instant``, in Unix seconds, which may be past; None is the latest
        there is.
        """
        ...


Parse = Callable[[RequestInfo, Mapping[str, str]], Question]
"""Understands a request; raises :class:`metrics_api.errors.BadQuery` or :class:`metrics_api.errors.NotFound`."""


class Answering:
    """Answers resource requests. ``clock`` is Unix time; ``numbers`` says whether plain numbers are served."""

    def __init__(  # noqa: PLR0913 they are what it is made of
        self,
        service: Service,
        parse: Parse,
        pager: Pager,
        feeds: Feeds,
        telemetry: Telemetry,
        unit: LatencyUnit,
        clock: Callable[[], float] = time.time,
        peers: PeerPolicy | None = None,
        *,
        numbers: bool = True,
    ) -> None:
        self._service = service
        self._parse = parse
        self._pager = pager
        self._watching = Watching(feeds, clock)
        self._telemetry = telemetry
        self._unit = unit
        self._clock = clock
        self._bodies = Bodies()
        self._peers: PeerPolicy = peers or EveryPeer()
        self._numbers = numbers

    async def respond(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """The response to a get or a list; raises what :mod:`apiservice.status` knows."""
        _require(info, request, "get", "list")
        query = request.query
        options = parse_list_options(query)
        question = self._asked(info, request)
        if question.single:
            style = self._style(request, OBJECT_TRANSFORMS, question)
            result = await self._answer(question, options)

            def represent_one(rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
                return represent_numbers(rows[0], result.warnings, style) if style.numbers else represent_object(rows[0], style)

            form = question_key(info, query), style, result.warnings
            return await self._bodies.response(form, result, style, represent_one, request.headers)
        style = self._style(request, LIST_TRANSFORMS, question)
        key = question_key(info, query)
        whose = key + self._peers.whose(question)
        if options.continue_token:
            ask = partial(self._service.answer, question)
            lasting = question.instant is not None
            page = await self._pager.resume(whose, options.continue_token, options.limit, ask, lasting=lasting)
            await self._peers.confirm(question, page.result)
        else:
            page = self._pager.first(whose, await self._answer(question, options), options.limit)
        metadata = _list_meta(page, question)

        def represent(rows: Sequence[TrafficMetrics]) -> Iterator[bytes]:
            if style.numbers:
                return represent_number_list(rows, metadata, page.result, style)
            return represent_list(rows, metadata, question.resource_ref, style)

        # Plain numbers have the warnings in their body.
        about = key, page.token, len(page.result.rows), style, page.result.warnings
        return await self._bodies.response(about, page.result, style, represent, request.headers)

    async def watch(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        """The response to a watch, once it is over; raises as above, before anything is sent."""
        _require(info, request, "watch")
        options = parse_watch_options(request.query)
        question = self._asked(info, request)
        if question.instant is not None:
            raise BadQuery("a watch tells what happens from now on, and time asks about the past: leave one of them out")
        style = self._style(request, OBJECT_TRANSFORMS, question, encodings=(Encoding.JSON,))
        if style.numbers:
            raise BadQuery("a watch tells of objects, and format=numbers asks for plain numbers: leave one of them out")
        # A line cannot be indented, and what is the same to a client must be encoded once.
        style = replace(style, pretty=False)
        with self._telemetry.long_running(info):
            return await self._watching.respond(question, options, style, request, partial(self._telemetry.watch_events, info))

    def _asked(self, info: RequestInfo, request: web.Request) -> Question:
        asked: Question = self._peers.asked(self._parse(info, request.query), request[USER], info)
        return asked

    async def _answer(self, question: Question, options: ListOptions) -> Result:
        """The answer a client accepts: the latest, that of the time asked about, or exactly the one of a version not long past."""
        if question.instant is not None:
            options.check_past(question.instant)
            return await self._service.answer(question)
        ahead = (options.version or 0) - self._clock()
        if 0 < ahead <= _AHEAD:
            # Timers may be early by a millisecond.
            await asyncio.sleep(ahead + 0.01)
        exactly = options.match == "Exact" and -OLDEST < ahead <= _AHEAD
        result = await self._service.answer(question, options.version if exactly else None)
        options.check(result.instant)
        return result

    def _style(
        self,
        request: web.Request,
        transforms: Collection[Transform],
        question: Question,
        encodings: Sequence[Encoding] = tuple(Encoding),
    ) -> Style:
        """The form the client wants; refused before any source is asked."""
        include = include_object(request.query)
        numbers, accept = wants_numbers(request.query, served=self._numbers), accept_of(request.headers)
        chosen = negotiate_numbers(accept) if numbers else negotiate(accept, transforms, encodings)
        return Style(
            chosen.encoding,
            chosen.transform,
            pretty=chosen.pretty or wants_pretty(request.query, request.headers.get("User-Agent", "")),
            include=include if chosen.transform is not None and chosen.transform.kind == "Table" else "",
            edges=question.edges,
            split=question.split,
            unit=self._unit,
            numbers=numbers,
        )


def _require(info: RequestInfo, request: web.Request, *verbs: str) -> None:
    """404 for a path that leads nowhere, 405 for what cannot be done there."""
    served = locate(info)
    methods = ("GET",) if info.verb == "watch" else ("GET", "HEAD")
    if info.verb not in verbs or info.verb_in_path or request.method not in methods:
        raise method_not_allowed(info)
    if info.verb == "watch" and "watch" not in served.verbs:
        raise watch_not_supported(info)


def _list_meta(page: Page, question: Question) -> dict[str, Any]:
    metadata: dict[str, Any] = {"resourceVersion": resource_version(page.result.instant)}
    if page.token:
        metadata["continue"] = page.token
        if not question.selects:
            metadata["remainingItemCount"] = page.remaining
    return metadata
