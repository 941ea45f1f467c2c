"""The application: every request takes one way in and one way out.

There is one route. A request is read once, into a RequestInfo; the caller is authenticated and authorised for that, and that is
what is answered. Whatever fails on the way leaves as a ``metav1.Status``, in one place. Discovery, OpenAPI, health and metrics are
answered from memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web

from apiservice.about import About
from apiservice.answering import Answering, Parse, Service
from apiservice.authorization import Authorizer
from apiservice.discovery import Discovery
from apiservice.envelope import INFO, envelope, failures_as_status, stamp
from apiservice.health import Health
from apiservice.identity import Authenticator
from apiservice.listoptions import parse_timeout
from apiservice.openapi import OpenAPI
from apiservice.paging import Pager
from apiservice.requestinfo import RequestInfo
from apiservice.static import Pages
from apiservice.status import entity_too_large, forbidden, method_not_allowed, unknown_path
from apiservice.telemetry import Telemetry
from metrics_api.objects import LatencyUnit

__all__ = ["LARGEST_BODY", "AppOptions", "build_app"]

LARGEST_BODY = 3 * 1024 * 1024
"""Bytes of a request body that are accepted, the limit of Kubernetes. Nothing here reads a body, but old clients send one."""


@dataclass(frozen=True, slots=True)
class AppOptions:
    """What does not depend on any other part.

    ``version`` is that of the software. ``unit`` is that of latencies. ``literal`` gives every resource the kind
    ``TrafficMetrics`` in discovery, as the specification has it, at the price of ``kubectl get``. ``max_in_flight`` resource
    requests are worked on at once.
    """

    version: str
    unit: LatencyUnit = LatencyUnit.SECONDS
    literal: bool = False
    max_in_flight: int = 400


def build_app(
    *,
    service: Service,
    parse: Parse,
    authenticator: Authenticator,
    authorizer: Authorizer,
    options: AppOptions,
    health: Health | None = None,
    telemetry: Telemetry | None = None,
    pager: Pager | None = None,
) -> web.Application:
    """The application over ``service``; ``parse`` understands requests as questions to it.

    ``health`` defaults to a server that is always well; ``telemetry`` and ``pager`` are made when they are not given.
    """
    telemetry = telemetry or Telemetry(options.version)
    pages: list[Pages] = [
        Discovery(literal=options.literal),
        OpenAPI(options.version, literal=options.literal),
        health or Health(),
        telemetry,
    ]
    pages.append(About(options.version, pages))
    answering = Answering(service, parse, pager or Pager(), options.unit, options.max_in_flight)
    front = _Front(authenticator, authorizer, answering, pages)
    app = web.Application(middlewares=[envelope(telemetry), failures_as_status], client_max_size=LARGEST_BODY)
    app.on_response_prepare.append(stamp)
    # (?s) because a decoded path may hold a line break.
    app.router.add_route("*", "/{path:(?s:.*)}", front.handle)
    return app


class _Front:
    """Authenticate, authorise, dispatch."""

    def __init__(self, authenticator: Authenticator, authorizer: Authorizer, answering: Answering, pages: Sequence[Pages]) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer
        self._answering = answering
        self._pages = pages

    async def handle(self, request: web.Request) -> web.StreamResponse:
        async with asyncio.timeout(parse_timeout(request.query)):
            info = request[INFO]
            user = await self._authenticator.authenticate(request)
            decision = await self._authorizer.authorize(user, info, request.query)
            if not decision.allowed:
                raise forbidden(user, info, decision.reason)
            await _refuse_large_body(request)
            if info.is_resource:
                return await self._answering.respond(info, request)
            return self._page(info, request)

    def _page(self, info: RequestInfo, request: web.Request) -> web.Response:
        path = "/" + info.path.strip("/")
        for group in self._pages:
            response = group.respond(path, request.query, request.headers)
            if response is not None:
                if request.method not in ("GET", "HEAD"):
                    raise method_not_allowed(info)
                return response
        raise unknown_path()


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
