"""A shop whose traffic is known by heart at every instant, and the server that tells Prometheus clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from apiservice.app import AppOptions, build_app
from apiservice.question import Question, parse_question
from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.surfaces.prometheus import PrometheusFacade
from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics
from tests.apiservice.memory import DATA_DB, INSTANT, SHOP_API, SHOP_WEB, TOTALS, WINDOW, Door, Memory, between, total

__all__ = ["BASE", "HOST", "NOW", "REFRESH", "ROOT", "Shop", "client", "data", "failure", "points", "values"]

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"
BASE = f"{ROOT}/prometheus"
NOW = INSTANT + 3.25
REFRESH = 5
HOST = 'say "hi"\\\n'
"""The name of a peer, as no object of Kubernetes could be called."""

_WEST = replace(total(SHOP_WEB, 12, 0), name="web@west", cluster="west")
_IDLE = TrafficMetrics("idle", "shop", ResourceRef("Deployment", "shop", "idle"), Edge(), INSTANT, WINDOW)
_QUIET = replace(total(ResourceRef("Deployment", "shop", "quiet"), 0, 0), p50=None, p90=None, p99=None)
_ROWS = (
    *TOTALS,
    _IDLE,
    _QUIET,
    _WEST,
    total(ResourceRef("Pod", "shop", "web-1"), 30, 0),
    total(ResourceRef("Namespace", "", "data"), 40, 0),
    total(ResourceRef("Namespace", "", "shop"), 164, 16),
)
_EDGES = (
    between(SHOP_API, Direction.FROM, SHOP_WEB, 90),
    between(SHOP_API, Direction.TO, DATA_DB, 40),
    between(SHOP_WEB, Direction.TO, SHOP_API, 90),
    replace(total(SHOP_WEB, 3, 0), edge=Edge(Direction.TO, Side.CLIENT, ResourceRef("", "", HOST))),
    between(ResourceRef("Namespace", "", "shop"), Direction.TO, ResourceRef("Namespace", "", "data"), 40),
)


@dataclass
class Shop(Memory):
    """The service. Of a time that is asked about, as many requests succeeded as seconds have gone by since the usual instant minus 1000.

    ``gone`` are instants at which nothing was observed; ``questions`` are all that were asked.
    """

    rows: tuple[TrafficMetrics, ...] = _ROWS
    edges: tuple[TrafficMetrics, ...] = _EDGES
    gone: frozenset[int] = frozenset()
    questions: list[Question] = field(default_factory=list)

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        self.questions.append(question)
        found = await Memory.answer(self, question, instant)
        rows = found.rows if found.instant not in self.gone else ()
        if question.instant is not None:
            rows = tuple(replace(row, success=(found.instant - INSTANT + 1000) * 1000, failure=0) for row in rows)
        return replace(found, rows=tuple(replace(row, window=question.window) for row in rows), window=question.window)

    @property
    def asked_of(self) -> list[tuple[str, str]]:
        """Where each question was put: resource, and namespace."""
        return [(question.resource, question.namespace) for question in self.questions]


def parse(info: RequestInfo, query: Mapping[str, str]) -> Question:
    return parse_question(info, query, WINDOW, lambda: NOW)


@asynccontextmanager
async def client(shop: Shop | None = None, door: Door | None = None) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the whole application, with this surface."""
    door = door or Door()
    app = build_app(
        service=shop or Shop(),
        parse=parse,
        authenticator=door,
        authorizer=door,
        options=AppOptions("0.1.0", refresh=REFRESH),
        surfaces=lambda reader: [PrometheusFacade(reader, WINDOW, REFRESH, lambda: NOW)],
    )
    async with TestServer(app, host="127.0.0.1") as server, TestClient(server) as session:
        yield session


async def data(response: ClientResponse) -> Any:
    """What an answer that is no error holds."""
    document = await response.json()
    assert (response.status, document["status"]) == (200, "success"), document
    return document["data"]


async def failure(response: ClientResponse) -> tuple[int, str, str]:
    """What an error says: status, type, message."""
    assert response.headers["Content-Type"] == "application/json"
    document = await response.json()
    assert document["status"] == "error", document
    assert set(document) == {"status", "errorType", "error"}
    return response.status, document["errorType"], document["error"]


def values(vector: Mapping[str, Any], label: str = "name") -> dict[str, str]:
    """The values of a vector, by one label."""
    assert vector["resultType"] == "vector"
    found = {element["metric"].get(label, ""): element["value"][1] for element in vector["result"]}
    assert len(found) == len(vector["result"])
    return found


def points(matrix: Mapping[str, Any], name: str) -> list[tuple[float, str]]:
    """The points of the series that has this name."""
    assert matrix["resultType"] == "matrix"
    (line,) = [line for line in matrix["result"] if line["metric"].get("name") == name]
    return [(at, value) for at, value in line["values"]]
