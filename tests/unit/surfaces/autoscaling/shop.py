"""A shop whose traffic is known by heart, and a server that offers it to autoscalers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from aiohttp.test_utils import TestClient, TestServer

from apiservice.app import AppOptions, build_app
from apiservice.question import Question
from apiservice.result import Result
from apiservice.surfaces.autoscaling import CustomMetrics, ExternalMetrics
from apiservice.surfaces.prometheus import PrometheusFacade
from metrics_api import Edge, NotFound, ResourceRef, SplitBackend, TrafficMetrics
from tests.apiservice.memory import INSTANT, WINDOW, Door, Memory, parse

__all__ = ["CUSTOM", "EXTERNAL", "TIME", "Shop", "client", "items", "row"]

CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2"
EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1"
TIME = "2026-11-21T22:26:40Z"
"""The instant of all rows."""

_APPS = {"web": {"app": "web"}, "api": {"app": "api"}, "quiet": {"app": "quiet"}}


def row(
    kind: str, name: str, success: int | None, failure: int | None = 0, *, p99: int | None = None, **more: Any
) -> TrafficMetrics:
    """A row of the namespace shop: requests in the window, and the 99th percentile in microseconds."""
    namespace = "" if kind in ("Node", "Namespace") else more.pop("namespace", "shop")
    return TrafficMetrics(
        name=name,
        namespace=namespace,
        resource=ResourceRef(kind, namespace, name),
        edge=Edge(),
        instant=INSTANT,
        window=WINDOW,
        p99=p99,
        p90=None if p99 is None else p99 // 2,
        p50=None if p99 is None else p99 // 4,
        success=None if success is None else success * 1000,
        failure=None if success is None or failure is None else failure * 1000,
        labels=_APPS.get(name.partition("-")[0], {}),
        **more,
    )


ROWS = (
    row("Deployment", "api", 300, 0),
    row("Deployment", "idle", None),
    row("Deployment", "web", 360, 15, p99=12_345),
    row("HTTPRoute", "front", 90, 0, p99=5_000, backend=SplitBackend("web", "web-v1", 90)),
    row("HTTPRoute", "front", 0, 30, p99=7_000, backend=SplitBackend("web", "web-v2", 10)),
    row("HTTPRoute", "front", None, backend=SplitBackend("web", "web-v3", 0)),
    row("Namespace", "data", 60),
    row("Namespace", "shop", 675, 15),
    row("Node", "node-1", 1200),
    row("Pod", "api-1", 300),
    row("Pod", "quiet-1", None, namespace="silence"),
    row("Pod", "web-1", 360, 15, p99=12_345),
    row("Pod", "web-2", 0),
    row("Pod", "web-3", None),
    row("Pod", "web-4", None),
    row("Service", "web", 345, 0),
)


@dataclass
class Shop(Memory):
    """Tells of what was not observed as the product does: of one object, and in a list when that is asked for."""

    rows: tuple[TrafficMetrics, ...] = ROWS

    async def answer(self, question: Question, instant: int | None = None) -> Result:
        """See :class:`apiservice.answering.Service`; the numbers are those of the window that is asked for."""
        result = await super().answer(question, instant)
        if question.name and not result.rows:
            raise NotFound(f"{question.resource}.metrics.smi-spec.io", question.name)
        rows = [replace(each, window=question.window) for each in result.rows]
        if not (question.single or question.include_idle or question.split):
            rows = [each for each in rows if each.success is not None]
        return replace(result, rows=tuple(rows), window=question.window)


@asynccontextmanager
async def client(
    shop: Memory | None = None, door: Door | None = None, ready: Collection[str] = ("web-3", "quiet-1")
) -> AsyncIterator[TestClient[Any, Any]]:
    """A client of a server that serves both APIs, and answers as a Prometheus does; ``ready`` are the pods that take requests."""
    door = door or Door()
    app = build_app(
        service=shop or Shop(),
        parse=parse,
        authenticator=door,
        authorizer=door,
        options=AppOptions("0.1.0"),
        surfaces=lambda reader: (
            CustomMetrics(reader, lambda _: ready),
            ExternalMetrics(reader),
            PrometheusFacade(reader, WINDOW, 5),
        ),
    )
    async with TestServer(app, host="127.0.0.1") as server, TestClient(server) as session:
        yield session


async def items(session: TestClient[Any, Any], path: str, **query: str) -> list[Any]:
    """The items of a list that is answered with 200."""
    text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    async with session.get(f"{path}?{text}") as response:
        assert response.status == 200, await response.text()
        return list((await response.json())["items"])
