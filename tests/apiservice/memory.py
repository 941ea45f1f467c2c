"""A service that knows its answers by heart, and the doors of a server without a cluster: what the server itself is tested with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from apiservice.answering import Service
from apiservice.app import AppOptions, build_app
from apiservice.authorization import Decision
from apiservice.connection import Bounds
from apiservice.health import Health
from apiservice.identity import User
from apiservice.paging import Pager
from apiservice.question import Question, fields_of, parse_question
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.runner import Runner
from apiservice.serving import SERVER_LIMITS
from apiservice.sources.page import Sources
from apiservice.standalone import AllowAll, Everyone
from apiservice.telemetry import Telemetry
from apiservice.visibility import PeerPolicy
from metrics_api import Direction, Edge, Extra, NotFound, ResourceRef, Side, TrafficMetrics, Window, row_name

INSTANT = 1_795_300_000
WINDOW = Window(30)
OPTIONS = AppOptions("0.1.0")

SHOP_WEB = ResourceRef("Deployment", "shop", "web")
SHOP_API = ResourceRef("Deployment", "shop", "api")
SHOP_CART = ResourceRef("Deployment", "shop", "cart")
DATA_DB = ResourceRef("StatefulSet", "data", "db")
_LABELS = {SHOP_WEB: {"app": "web", "tier": "front"}, SHOP_API: {"app": "api"}, SHOP_CART: {"app": "cart"}, DATA_DB: {"app": "db"}}


def total(resource: ResourceRef, success: int, failure: int, p50: int = 3_000) -> TrafficMetrics:
    """Everything a resource received; counts in requests, latency in microseconds."""
    return TrafficMetrics(
        name=resource.name,
        namespace=resource.namespace,
        resource=resource,
        edge=Edge(),
        instant=INSTANT,
        window=WINDOW,
        p99=p50 * 4,
        p90=p50 * 2,
        p50=p50,
        success=success * 1000,
        failure=failure * 1000,
        labels=_LABELS.get(resource, {}),
        source="memory",
    )


def between(resource: ResourceRef, direction: Direction, peer: ResourceRef, success: int) -> TrafficMetrics:
    """The traffic of a resource with one peer."""
    side = Side.CLIENT if direction is Direction.TO else Side.SERVER
    return replace(total(resource, success, 0), edge=Edge(direction, side, peer))


TOTALS = (total(DATA_DB, 40, 0), total(SHOP_API, 90, 10, 8_000), total(SHOP_CART, 20, 0), total(SHOP_WEB, 54, 6))
NAMESPACES = (total(ResourceRef("Namespace", "", "data"), 40, 0), total(ResourceRef("Namespace", "", "shop"), 164, 16))
EDGES = (
    between(SHOP_API, Direction.FROM, SHOP_WEB, 90),
    between(SHOP_API, Direction.TO, DATA_DB, 40),
    between(SHOP_WEB, Direction.TO, SHOP_API, 90),
)
NAMESPACE_EDGES = (between(ResourceRef("Namespace", "", "shop"), Direction.TO, ResourceRef("Namespace", "", "data"), 40),)


@dataclass
class Memory:
    """The service.

    ``delay`` is in seconds; ``failure`` is raised instead of answering. ``asked`` counts the questions, ``arrivals`` holds those
    nobody has waited for, and ``cancelled`` is set when one was given up.
    """

    rows: tuple[TrafficMetrics, ...] = TOTALS + NAMESPACES
    edges: tuple[TrafficMetrics, ...] = EDGES + NAMESPACE_EDGES
    delay: float = 0
    failure: Exception | None = None
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    asked: int = 0
    arrivals: asyncio.Queue[Question] = field(default_factory=asyncio.Queue)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        """The rows a question is about: always the same, as of the instant it names, else of ``instant``, else of one and the same."""
        self.asked += 1
        self.arrivals.put_nowait(question)
        try:
            await asyncio.sleep(self.delay)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure
        found = [row for row in (self.edges if question.edges else self.rows) if self._meant(row, question)]
        if question.qualified:
            found = [replace(row, name=row_name(row.resource, row.edge.direction, row.edge.peer)) for row in found]
            found = [row for row in found if question.name in ("", row.name)]
        found = [row for row in found if question.labels.matches(row.labels) and question.fields.matches(fields_of(row))]
        if question.single and not found:
            raise NotFound(question.resource, question.name)
        then = question.instant if question.instant is not None else instant or INSTANT
        if question.instant is not None or question.measures:
            extras = tuple(Extra(measure.name, 1_000) for measure in question.measures)
            found = [replace(row, instant=then, extras=extras) for row in found]
        return Result(tuple(found), then, WINDOW, self.warnings, self.incomplete)

    @staticmethod
    def _meant(row: TrafficMetrics, question: Question) -> bool:
        return (
            row.resource.kind in question.kinds
            and question.namespace in ("", row.namespace)
            and (question.qualified or question.name in ("", row.resource.name))
        )


@dataclass
class Door:
    """Lets everybody in as ``user``, and allows everything but ``forbidden`` paths; ``seen`` is what was authorised."""

    user: User = User("visitor")
    forbidden: frozenset[str] = frozenset()
    failure: Exception | None = None
    seen: list[RequestInfo] = field(default_factory=list)

    async def authenticate(self, request: web.Request) -> User:  # noqa: ARG002
        """See :class:`apiservice.identity.Authenticator`."""
        if self.failure is not None:
            raise self.failure
        return self.user

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:  # noqa: ARG002
        """See :class:`apiservice.authorization.Authorizer`."""
        self.seen.append(info)
        if info.path in self.forbidden:
            return Decision(allowed=False, reason='RBAC: no <role> "reader"')
        return Decision(allowed=True)


def parse(info: RequestInfo, query: Mapping[str, str]) -> Question:
    """The questions of the server, with a default window."""
    return parse_question(info, query, WINDOW)


@asynccontextmanager
async def serving(  # noqa: PLR0913 as the application has them
    service: Service | None = None,
    door: Door | None = None,
    *,
    options: AppOptions = OPTIONS,
    health: Health | None = None,
    telemetry: Telemetry | None = None,
    pager: Pager | None = None,
    peers: PeerPolicy | None = None,
    sources: Sources | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
) -> AsyncIterator[TestServer]:
    """The whole application on a free port of the loopback; without a ``door`` it is open as in standalone mode."""
    app = build_app(
        service=service or Memory(),
        parse=parse,
        authenticator=door or Everyone(),
        authorizer=door or AllowAll(),
        options=options,
        health=health,
        telemetry=telemetry,
        pager=pager,
        peers=peers,
        sources=sources,
    )
    async with _Server(app, bounds) as server:
        yield server


class _Server(TestServer):
    """A test server that runs the application as the product does."""

    def __init__(self, app: web.Application, bounds: Bounds) -> None:
        super().__init__(app, host="127.0.0.1")
        self._bounds = bounds

    async def _make_runner(self, **kwargs: Any) -> Runner:
        return Runner(self.app, bounds=self._bounds, **SERVER_LIMITS, **kwargs)
