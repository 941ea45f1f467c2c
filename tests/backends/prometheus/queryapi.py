"""The query API of a Prometheus, as a server we own: it answers what a test says, however wrong, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp import web

from backends.dialects import parse_dialect
from backends.prometheus import PrometheusSettings
from metrics_api import TrafficQuery, Window

__all__ = ["DIALECT", "INSTANT", "Asked", "QueryApi", "failed", "query_api", "question", "series", "settings", "vector"]

INSTANT = 1_700_000_000

DIALECT = parse_dialect(
    """
    name: small
    views:
    - name: served
      side: server
      match: role="server"
      requests: requests_total
      outcome: [{failure: {code: "5.."}}, {success: {}}]
      latency: {metric: latency_ms, unit: milliseconds}
      destination:
      - Deployment: {namespace: namespace, name: app}
    """,
    "small.yaml",
)
"""One counter and one histogram: two queries for a total."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]

    @property
    def promql(self) -> str:
        """The query it carried."""
        return self.form.get("query", "")


Answer = Callable[[Asked], web.StreamResponse | Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class QueryApi:
    """``answer`` is called for each request. ``asked`` are the requests so far, those for facts about the store left out."""

    answer: Answer
    url: str = ""
    everything: list[Asked] = field(default_factory=list)

    @property
    def asked(self) -> list[Asked]:
        """The requests that an answer is made of."""
        return [asked for asked in self.everything if "increase(" in asked.promql]


@asynccontextmanager
async def query_api(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[QueryApi]:
    """A server that runs inside the ``async with``."""
    api = QueryApi(answer)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        asked = Asked(request.method, request.path, dict(request.headers), form)
        api.everything.append(asked)
        given = api.answer(asked)
        return given if isinstance(given, web.StreamResponse) else await given

    runner = web.ServerRunner(web.Server(handle, access_log=None, handler_cancellation=True))
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        api.url = f"{'https' if context else 'http'}://localhost:{runner.addresses[0][1]}"
        yield api
    finally:
        await runner.cleanup()


def series(value: object = "1", *, histogram: object = None, **labels: str) -> dict[str, object]:
    """One element of a vector: a float, or a native histogram."""
    if histogram is not None:
        return {"metric": labels, "histogram": [INSTANT, histogram]}
    return {"metric": labels, "value": [INSTANT, value]}


def vector(*elements: Mapping[str, object], **more: object) -> web.Response:
    """A successful answer; ``more`` are members of the envelope."""
    data = {"resultType": "vector", "result": list(elements)}
    return web.json_response({"status": "success", "data": data, **more})


def failed(status: int, kind: str, text: str = "of no use to anybody") -> web.Response:
    """An error as Prometheus writes it."""
    return web.json_response({"status": "error", "errorType": kind, "error": text}, status=status)


def settings(api: QueryApi, **changes: object) -> PrometheusSettings:
    """A source that asks the double and knows its interval."""
    made = PrometheusSettings(name="mesh", url=api.url, dialect=DIALECT, timeout=5, scrape_interval=15)
    return replace(made, **changes)  # type: ignore[arg-type] # the names are those of the fields


def question(window: int = 30, **changes: object) -> TrafficQuery:
    """The totals of all Deployments."""
    return replace(TrafficQuery(("Deployment",), Window(window), INSTANT), **changes)  # type: ignore[arg-type] # as above


def counted(asked: Asked) -> web.Response:
    """Ten requests, one of them failed, half of them within 5 ms."""
    if "latency_ms_bucket" in asked.promql:
        web_labels = {"namespace": "shop", "app": "web"}
        return vector(series("5", le="5", **web_labels), series("10", le="10", **web_labels), series("10", le="+Inf", **web_labels))
    if "requests_total" in asked.promql:
        return vector(series("9", namespace="shop", app="web", code="200"), series("1", namespace="shop", app="web", code="503"))
    return vector()


def text(body: str | bytes, status: int = 200, content_type: str = "text/html", **headers: str) -> web.Response:
    """An answer that is none of Prometheus' own."""
    raw = body.encode() if isinstance(body, str) else body
    return web.Response(body=raw, status=status, headers={"Content-Type": content_type, **headers})


def document(**members: object) -> web.Response:
    """A JSON answer of any shape."""
    return text(json.dumps(members), content_type="application/json")
