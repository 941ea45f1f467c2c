"""A shop in which a new version of "web" fares well, badly, or not at all, and a server that tells of it to whoever has the token."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from apiservice.answers import Answers
from apiservice.app import AppOptions, build_app
from apiservice.federation.fanout import Fanout
from apiservice.identity import Unauthorized, User
from apiservice.objects import StandaloneObjects
from apiservice.standalone import AllowAll
from apiservice.surfaces.autoscaling import ExternalMetrics
from apiservice.surfaces.prometheus import PrometheusFacade
from apiservice.traffic import TrafficService
from metrics_api import (
    EVERYTHING,
    Answer,
    BackendUnavailable,
    Direction,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    Source,
    TrafficQuery,
)
from tests.apiservice.memory import WINDOW, parse
from tests.delivery.controllers import Answered
from tests.unit.apiservice.unopened import Unopened

TOKEN = "of-canary-reads-traffic"
HOSTS = ("kubernetes.default.svc", "trafficmetrics.trafficmetrics.svc")


@dataclass
class Mesh(Unopened):
    """Tells of the versions of "web", so many requests of each in a window: those that succeed and fail, and p99 in seconds."""

    versions: dict[str, tuple[float, float, float | None]] = field(default_factory=dict)
    name: str = "mesh"
    away: bool = False
    windows: set[str] = field(default_factory=set)

    async def answer(self, query: TrafficQuery) -> Answer:
        """Everything it knows of the kinds that are asked for."""
        if self.away:
            raise BackendUnavailable(self.name, "nobody answers")
        self.windows.add(str(query.window))
        kinds = [kind for kind in ("Deployment", "ReplicaSet") if kind in query.kinds]
        return Answer(
            tuple(self._sample(kind, *each) for kind in kinds for each in self.versions.items()), query.instant, query.window
        )

    def _sample(self, kind: str, name: str, numbers: tuple[float, float, float | None]) -> Sample:
        success, failure, p99 = numbers
        latency = None if p99 is None else Percentiles({0.5: p99 / 4, 0.9: p99 / 2, 0.99: p99})
        resource = ResourceRef(kind, "shop", name)
        return Sample(resource, EVERYTHING, Direction.FROM, Side.SERVER, success, failure, latency, source=self.name)


class Holder:
    """Lets in whoever has the token."""

    async def authenticate(self, request: web.Request) -> User:
        """See :class:`apiservice.identity.Authenticator`."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Unauthorized("no token")
        return User("system:serviceaccount:shop:canary-reads-traffic")


@dataclass
class Shop:
    """The server, and what it knows: ``fares`` says it of the canary, ``other`` is a source beside the mesh that may be away."""

    mesh: Mesh
    other: Mesh
    session: TestClient[web.Request, web.Application]

    def fares(self, success: float, failure: float, p99: float | None) -> None:
        """What the canary does in a window; the stable version goes on well."""
        well = 990.0, 10.0, 0.2
        canary = success, failure, p99
        self.mesh.versions = {"web": canary, "web-primary": well, "web-5f6b": canary, "web-7d9c": well}

    async def ask(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Answered:
        """See :class:`tests.delivery.controllers.Asking`."""
        parts = urlsplit(url)
        assert (parts.scheme, parts.netloc in HOSTS) == ("https", True), url
        path = URL(f"{parts.path}?{parts.query}" if parts.query else parts.path, encoded=True)
        async with self.session.request(method, path, headers=headers, data=form) as response:
            return Answered(response.status, await response.text())


@asynccontextmanager
async def _serving() -> AsyncIterator[Shop]:
    mesh, other = Mesh(), Mesh(name="far")
    answers = Answers(TrafficService(Fanout([Source(mesh), Source(other)]), StandaloneObjects("Deployment")), 1)
    app = build_app(
        service=answers,
        parse=parse,
        authenticator=Holder(),
        authorizer=AllowAll(),
        options=AppOptions("0.1.0"),
        surfaces=lambda reader: (PrometheusFacade(reader, WINDOW, 1), ExternalMetrics(reader)),
    )
    async with TestServer(app, host="127.0.0.1") as server, TestClient(server) as session:
        yield Shop(mesh, other, session)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """One of its own for each test: answers are kept for a second."""
    async with _serving() as shop:
        yield shop
