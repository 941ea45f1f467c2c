"""A town whose traffic can be computed, at any instant and over any window, and a server that shows it to Grafana.

Every workload takes some requests a second, which are ten more in every minute; one in ten of those to ``api`` fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from apiservice.answers import Answers
from apiservice.app import AppOptions, build_app
from apiservice.authorization import Decision
from apiservice.federation.clusters import Clusters
from apiservice.federation.fanout import Fanout
from apiservice.identity import User
from apiservice.objects import Objects, StandaloneObjects
from apiservice.question import Question, parse_question
from apiservice.requestinfo import RequestInfo
from apiservice.surfaces.grafana import Grafana
from apiservice.traffic import TrafficService
from metrics_api import (
    ANY_WORKLOAD,
    EVERYTHING,
    Answer,
    Direction,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    Source,
    Span,
    TrafficQuery,
    Window,
    timestamp,
)
from tests.unit.apiservice.unopened import Unopened

BASE = "/apis/metrics.smi-spec.io/v1alpha1"
NOW = 1_795_300_000
WINDOW = Window(30)
REFRESH = 5
REQUESTS = Path(__file__).parent / "requests"

WEB = ResourceRef("Deployment", "shop", "web")
API = ResourceRef("Deployment", "shop", "api")
DB = ResourceRef("StatefulSet", "data", "db")
DOTTED = ResourceRef("Deployment", "data", "web.v2")
HOST = ResourceRef("", "", "pay.example.com")
RATES = {WEB: 20.0, API: 10.0, DB: 5.0, DOTTED: 1.0}
CALLS = {(WEB, API): 8.0, (API, DB): 4.0, (DOTTED, API): 2.0, (WEB, HOST): 1.0}
"""Who calls whom, in requests a second."""


def rate(base: float, instant: int) -> float:
    """Requests a second at an instant: ten more in every minute before and after :data:`NOW`."""
    return base + (instant - NOW) / 60 * 10 + 1_000


def share(resource: ResourceRef) -> float:
    """How many of the requests to a resource fail."""
    return 0.1 if resource == API else 0.0


@dataclass
class Town(Unopened):
    """A source.

    ``born`` are the first instants at which a resource was observed, and nobody was at those of ``silence``; ``asked`` are the questions
    with their spans.
    """

    name: str = "town"
    warnings: tuple[str, ...] = ()
    born: Mapping[ResourceRef, int] = field(default_factory=dict)
    silence: range = range(0)
    rates: Mapping[ResourceRef, float] = field(default_factory=lambda: RATES)
    calls: Mapping[tuple[ResourceRef, ResourceRef], float] = field(default_factory=lambda: CALLS)
    asked: list[tuple[TrafficQuery, Span | None]] = field(default_factory=list)

    async def answer(self, query: TrafficQuery) -> Answer:
        self.asked.append((query, None))
        await asyncio.sleep(0)
        return self._answer(query)

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        self.asked.append((query, span))
        await asyncio.sleep(0)
        return tuple([self._answer(replace(query, instant=instant)) for instant in span.instants])

    def _answer(self, query: TrafficQuery) -> Answer:
        samples = self._edges(query) if query.edges else self._totals(query)
        wanted = [
            sample
            for sample in samples
            if sample.resource.kind in query.kinds
            and query.name in ("", sample.resource.name)
            and query.namespace in ("", sample.resource.namespace)
            and self.born.get(sample.resource, 0) <= query.instant
            and query.instant not in self.silence
        ]
        return Answer(tuple(wanted), query.instant, query.window, self.warnings, incomplete=bool(self.warnings))

    def _totals(self, query: TrafficQuery) -> list[Sample]:
        if query.kinds == ("Namespace",):
            places = sorted({resource.namespace for resource in self.rates})
            return [self._sample(ResourceRef("Namespace", "", place), EVERYTHING, Direction.FROM, 3.0, query) for place in places]
        if query.kinds[0] not in ("Deployment", "StatefulSet", ANY_WORKLOAD):
            return []
        return [self._sample(resource, EVERYTHING, Direction.FROM, base, query) for resource, base in self.rates.items()]

    def _edges(self, query: TrafficQuery) -> list[Sample]:
        found = []
        for (client, server), base in self.calls.items():
            if query.direction is not Direction.FROM:
                found.append(self._sample(client, server, Direction.TO, base, query))
            if query.direction is not Direction.TO and server.kind:
                found.append(self._sample(server, client, Direction.FROM, base, query))
        return found

    def _sample(self, resource: ResourceRef, peer: ResourceRef, direction: Direction, base: float, query: TrafficQuery) -> Sample:
        requests = rate(base, query.instant) * query.window.seconds
        failing = share(peer if direction is Direction.TO else resource)
        side = Side.CLIENT if direction is Direction.TO else Side.SERVER
        latency = Percentiles({0.5: base / 1_000, 0.9: base / 500, 0.99: base / 100})
        return Sample(resource, peer, direction, side, requests * (1 - failing), requests * failing, latency, source=self.name)


@dataclass
class Rights:
    """Lets everybody in as ``ann``. ``granted`` is what she may, as ``verb resource/subresource [namespace]``; None is everything."""

    granted: frozenset[str] | None = None
    asked: list[str] = field(default_factory=list)

    async def authenticate(self, request: web.Request) -> User:
        del request
        return User("ann")

    async def authorize(self, user: User, info: RequestInfo, query: Mapping[str, str]) -> Decision:
        del user, query
        resource = "/".join(filter(None, (info.resource, info.subresource)))
        action = " ".join(filter(None, (info.verb, resource, info.namespace)))
        self.asked.append(action)
        return Decision(self.granted is None or action in self.granted)


@asynccontextmanager
async def grafana(
    town: Town | None = None,
    rights: Rights | None = None,
    west: Town | None = None,
    objects: Objects | None = None,
    clock: float = NOW,
) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the whole application, over the town; with ``west``, over a cluster of that name, too.

    ``objects`` are those that exist.
    """
    rights = rights or Rights()
    services = {
        name: TrafficService(Fanout([Source(each)]), objects or StandaloneObjects("Deployment"), name, home=not name)
        for name, each in {"": town or Town(), "west": west}.items()
        if each is not None
    }
    answers = Answers(Clusters(services), REFRESH, lambda: clock)

    def parse(info: RequestInfo, query: Mapping[str, str]) -> Question:
        return parse_question(info, query, WINDOW, lambda: clock)

    app = build_app(
        service=answers,
        parse=parse,
        authenticator=rights,
        authorizer=rights,
        options=AppOptions("0.1.0"),
        surfaces=lambda reader: [Grafana(reader, WINDOW, REFRESH, lambda: clock)],
    )
    async with TestServer(app, host="127.0.0.1") as server, TestClient(server) as session:
        yield session


def recorded(name: str) -> dict[str, Any]:
    """A request as a data source of Grafana really sent it."""
    document: dict[str, Any] = msgspec.json.decode((REQUESTS / f"{name}.json").read_bytes())
    return document


async def post(session: TestClient[Any, Any], verb: str, document: Any = None, *, scope: str = "", code: int = 200) -> Any:
    """What a POST is answered, which must be answered with ``code``; ``scope`` is the namespace in the URL."""
    root = f"{BASE}/namespaces/{scope}" if scope else BASE
    async with session.post(f"{root}/grafana/{verb}", json=document) as response:
        assert response.status == code, await response.text()
        assert response.headers["Content-Type"] == "application/json"
        return await response.json()


def query(*targets: Mapping[str, Any], minutes: int = 10, end: int = NOW, **more: Any) -> dict[str, Any]:
    """The body of a query about the minutes up to ``end``."""
    return {
        "range": {"from": timestamp(end - 60 * minutes), "to": timestamp(end)},
        "intervalMs": 60_000,
        "maxDataPoints": 500,
        "targets": [{"refId": chr(ord("A") + at), **target} for at, target in enumerate(targets)],
        **more,
    }


def columns(frame: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The values of a frame by the names of its fields."""
    return {each["name"]: each["values"] for each in frame["fields"]}


def rows(frame: Mapping[str, Any], *names: str) -> list[tuple[Any, ...]]:
    """The rows of a frame, as tuples of the fields of these names."""
    found = columns(frame)
    return list(zip(*(found[name] for name in names), strict=True))
