"""The application: every request takes one way in and one way out.

There is one route. A request is read once, into a RequestInfo; the caller is authenticated and authorised for that, and that is
what is answered. Whatever fails on the way leaves as a ``metav1.Status``, in one place. Discovery, OpenAPI, health and metrics are
answered from memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.typedefs import Handler

from apiservice.about import About
from apiservice.answering import Answering, Parse, Service
from apiservice.authorization import Authorizer
from apiservice.discovery import Discovery
from apiservice.envelope import INFO, USER, envelope, failures_as_status, stamp
from apiservice.groups import ApiGroup
from apiservice.health import Health
from apiservice.identity import Authenticator
from apiservice.limits import Slots
from apiservice.listoptions import LONGEST_TIMEOUT, parse_timeout
from apiservice.logs import REQUESTS, fields
from apiservice.openapi import OpenAPI
from apiservice.paging import Pager
from apiservice.requestinfo import RequestInfo
from apiservice.sending import abort, send
from apiservice.sources.page import Sources, is_about_sources
from apiservice.static import Pages
from apiservice.status import StatusError, entity_too_large, forbidden, method_not_allowed, unknown_path, watch_not_supported
from apiservice.surfaces.reading import Reader
from apiservice.surfaces.surface import Surface
from apiservice.telemetry import CountedAuthenticator, CountedAuthorizer, Telemetry
from apiservice.visibility import PeerPolicy
from apiservice.watching import Feeds
from metrics_api.objects import LatencyUnit

__all__ = ["LARGEST_BODY", "AppOptions", "build_app"]

LARGEST_BODY = 3 * 1024 * 1024
"""Bytes of a request body that are accepted, the limit of Kubernetes. Surfaces read bodies; the API does not, but old clients send one."""

_LOG = logging.getLogger(__name__)
_BEGUN = web.RequestKey("begun", web.StreamResponse)
_DEADLINE = web.RequestKey("deadline", asyncio.Timeout)


@dataclass(frozen=True, slots=True)
class AppOptions:
    """What does not depend on any other part.

    ``version`` is that of the software. ``unit`` is that of latencies. ``literal`` gives every resource the kind
    ``TrafficMetrics`` in discovery, as the specification has it, at the price of ``kubectl get``. ``max_in_flight`` resource
    requests are worked on at once, their sending included, and ``max_watches`` watches beside them; 0 is no limit.
    What is watched is asked again every ``refresh`` seconds. ``numbers`` lets clients have plain numbers (``format=numbers``).
    ``groups`` are API groups that surfaces serve beside our own.
    """

    version: str
    unit: LatencyUnit = LatencyUnit.SECONDS
    literal: bool = False
    max_in_flight: int = 400
    max_watches: int = 10_000
    refresh: float = 5
    numbers: bool = True
    groups: tuple[ApiGroup, ...] = ()


def build_app(  # noqa: PLR0913 it is where all parts meet
    *,
    service: Service,
    parse: Parse,
    authenticator: Authenticator,
    authorizer: Authorizer,
    options: AppOptions,
    health: Health | None = None,
    telemetry: Telemetry | None = None,
    pager: Pager | None = None,
    peers: PeerPolicy | None = None,
    sources: Sources | None = None,
    surfaces: Callable[[Reader], Sequence[Surface]] | None = None,
) -> web.Application:
    """The application over ``service``; ``parse`` understands requests as questions to it.

    ``health`` defaults to a server that is always well; ``telemetry`` and ``pager`` are made when they are not given. ``peers`` say of whom
    edges may tell; without, of everybody. ``sources`` tell of the sources themselves; without, nobody does. They are closed at the end.
    ``surfaces`` makes the other ways to read, over a reader of this API; without, there are none.
    """
    telemetry = telemetry or Telemetry(options.version)
    pages: list[Pages] = [
        Discovery(literal=options.literal, groups=options.groups),
        OpenAPI(options.version, literal=options.literal, groups=options.groups),
        health or Health(observe=telemetry.checked),
        telemetry,
    ]
    pages.append(About(options.version, pages))
    feeds = Feeds(service, options.refresh)
    telemetry.watching(lambda: feeds.watchers, lambda: feeds.questions)
    answering = Answering(service, parse, pager or Pager(), feeds, telemetry, options.unit, peers=peers, numbers=options.numbers)
    authorizer = CountedAuthorizer(authorizer, telemetry.callers)
    front = _Front(
        CountedAuthenticator(authenticator, telemetry.callers),
        authorizer,
        answering,
        pages,
        options,
        telemetry,
        sources,
        surfaces(Reader(service, parse, authorizer, peers, options.refresh)) if surfaces is not None else (),
    )
    app = web.Application(middlewares=[envelope(telemetry), failures_as_status], client_max_size=LARGEST_BODY)
    app.on_response_prepare.extend([stamp, front.begin])
    app.on_shutdown.append(feeds.end)
    if sources is not None:
        app.on_cleanup.append(lambda _: sources.close())
    app._router = _OneRoute(front.handle)  # noqa: SLF001  there is an argument for it, which is deprecated, and no other way
    return app


class _OneRoute(web.UrlDispatcher):
    """Every request goes to ``handler``, whatever its target.

    aiohttp's own router looks up each prefix of a path, which takes half a second for 64 KiB of slashes, and answers by itself what
    has no path, such as ``OPTIONS *``.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._route = self.add_route("*", "/", handler, expect_handler=_invite)

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:  # noqa: ARG002
        """The one way."""
        return web.UrlMappingMatchInfo({}, self._route)


async def _invite(request: web.Request) -> None:
    """Ask for the body of a client that waits to be asked; any other expectation is passed over, as RFC 9110 (10.1.1) allows.

    aiohttp would refuse it before the application is asked: with text that repeats it, or with a 500 where it is not UTF-8.
    """
    if request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What is counted there is the answer, which has not begun.
        request.writer.output_size = 0


class _Front:
    """Authenticate, take a slot, authorise, answer, send: within one deadline, and the slot is held until the last byte is sent."""

    def __init__(
        self,
        authenticator: Authenticator,
        authorizer: Authorizer,
        answering: Answering,
        pages: Sequence[Pages],
        options: AppOptions,
        telemetry: Telemetry,
        sources: Sources | None,
        surfaces: Sequence[Surface],
    ) -> None:
        self._sources = sources
        self._surfaces = surfaces
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._answering = answering
        self._pages = pages
        self._requests = Slots(options.max_in_flight, "requests")
        self._watches = Slots(options.max_watches, "watches")
        self._telemetry = telemetry

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.version not in (HttpVersion10, HttpVersion11):
            raise StatusError(505, "this server speaks HTTP/1.1 and HTTP/1.0")
        info = request[INFO]
        surface = self._surface(info)
        longest = info.verb == "watch" or (surface is not None and surface.reads_timeout)
        allowed = LONGEST_TIMEOUT if longest else parse_timeout(request.query)
        try:
            async with asyncio.timeout(allowed) as deadline:
                request[_DEADLINE] = deadline
                return await self._serve(info, request, surface)
        except Exception as error:
            if _BEGUN not in request or not request.writer.output_size:
                if code := _defence(error):
                    self._telemetry.terminated(info, code)
                raise
            self._broken_off(info, error)
            # Not a byte of another answer may follow what was sent.
            abort(request)
            return request[_BEGUN]
        finally:
            del request[_DEADLINE]

    def _broken_off(self, info: RequestInfo, error: Exception) -> None:
        """Count and log an answer that ends before its end. A client that goes, or is too slow, is nothing to tell an operator."""
        if info.verb != "watch" or not isinstance(error, ConnectionError):
            self._telemetry.aborted(info)
        if isinstance(error, OSError):
            _LOG.log(REQUESTS, "an answer is broken off", extra=fields({"err": f"{type(error).__name__}: {error}"}))
        else:
            _LOG.error("an answer is broken off", exc_info=error)

    async def _serve(self, info: RequestInfo, request: web.Request, surface: Surface | None) -> web.StreamResponse:
        user = request[USER] = await self._authenticator.authenticate(request)
        with self._slot(info):
            decision = await self._authorizer.authorize(user, info, request.query)
            if not decision.allowed:
                raise forbidden(user, info, decision.reason)
            if surface is not None:
                response = await _respond(surface, info, request)
                await send(request, response)
                return response
            await _refuse_large_body(request)
            response = await self._answer(info, request) if info.is_resource else self._page(info, request)
            await send(request, response)
            return response

    def _surface(self, info: RequestInfo) -> Surface | None:
        return next((surface for surface in self._surfaces if surface.claims(info)), None) if info.is_resource else None

    async def _answer(self, info: RequestInfo, request: web.Request) -> web.StreamResponse:
        if self._sources is not None and is_about_sources(info):
            return await self._sources.respond(info, request)
        return await (self._answering.watch(info, request) if info.verb == "watch" else self._answering.respond(info, request))

    def _slot(self, info: RequestInfo) -> AbstractContextManager[None]:
        """Room to answer; none is needed for what is answered from memory, so that a busy server can be seen to be well."""
        if not info.is_resource:
            return nullcontext()
        return (self._watches if info.verb == "watch" else self._requests).taken()

    @staticmethod
    async def begin(request: web.Request, response: web.StreamResponse) -> None:
        """Note that the answer begins; from then on a watch may take as long as it likes. For ``Application.on_response_prepare``."""
        request[_BEGUN] = response
        if request[INFO].verb == "watch" and _DEADLINE in request and not request[_DEADLINE].expired():
            request[_DEADLINE].reschedule(None)

    def _page(self, info: RequestInfo, request: web.Request) -> web.Response:
        path = "/" + info.path.strip("/")
        for group in self._pages:
            if request.method not in ("GET", "HEAD"):
                if path in group.paths:
                    raise method_not_allowed(info)
            elif (response := group.respond(path, request.query, request.headers)) is not None:
                return response
        raise unknown_path()


def _defence(error: Exception) -> int:
    """The code of an error by which the server protects itself; 0 for any other."""
    if isinstance(error, TimeoutError):
        return 504
    return 429 if isinstance(error, StatusError) and error.code == 429 else 0


async def _respond(surface: Surface, info: RequestInfo, request: web.Request) -> web.StreamResponse:
    """The response of a surface, which finds the body read."""
    if info.verb == "watch":
        raise watch_not_supported(info)
    try:
        await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise entity_too_large() from error
    return await surface.respond(info, request)


async def _refuse_large_body(request: web.Request) -> None:
    """413 for a body over the limit; one of unknown length is read, and dropped, to know."""
    if (request.content_length or 0) > LARGEST_BODY:
        raise entity_too_large()
    if request.body_exists and request.content_length is None:
        size = 0
        async for chunk in request.content.iter_chunked(65536):
            size += len(chunk)
            if size > LARGEST_BODY:
                raise entity_too_large()
