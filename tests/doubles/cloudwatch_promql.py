"""CloudWatch's PromQL endpoint on a real socket: it checks what AWS checks, and lets a real Prometheus 3 answer.

Rules: CloudWatch User Guide, "Prometheus-compatible APIs", "PromQL limits and restrictions" and "PromQL querying": requests are signed for
``monitoring``, every selector names its metric, 500 series are answered and the others dropped with a warning. Parameters that the guide
does not list are refused, which may be stricter than AWS is.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
from aiohttp import web

from tests.doubles.cloudwatch.errors import Refusal
from tests.doubles.cloudwatch.signing import Identity, authenticate

__all__ = ["Asked", "PromqlEndpoint", "aws_error", "prometheus_error", "run_promql"]

_PARAMETERS = {
    "/api/v1/query": {"query", "time", "limit"},
    "/api/v1/query_range": {"query", "start", "end", "step", "limit"},
}
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)?\s*\{([^{}]*)\}")
_NAMED = re.compile(r"\s*(?:S|__name__\s*=\s*S)\s*")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request whose signature was right."""

    method: str
    path: str
    form: dict[str, str]
    token: str = ""


@dataclass(slots=True)
class PromqlEndpoint:
    """``upstream`` is the URL of the Prometheus that answers. ``answer`` is what is said instead of asking it, to whoever may ask.

    ``identity`` may sign, and so may all of ``identities``, by their keys. ``denied``: nobody may ask. ``hold``: nobody gets an answer.
    """

    upstream: str
    region: str = "eu-west-1"
    identity: Identity = field(default_factory=lambda: Identity("AKIAEXAMPLEPROMQL", "secret/of+promql"))
    answer: Callable[[Asked], web.Response] | None = None
    identities: Mapping[str, Identity] = field(default_factory=dict)
    denied: bool = False
    hold: bool = False
    most_series: int = 500
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.Response:
        """One request."""
        body = await request.read()
        url = f"http://{request.host}{request.raw_path}"
        try:
            self._admit(request, url, body)
        except Refusal as refusal:
            self.refused.append(refusal.code)
            return aws_error(refusal.status, refusal.code, refusal.message)
        text = body.decode() if request.method == "POST" else urlsplit(url).query
        asked = Asked(request.method, request.path, dict(parse_qsl(text)), request.headers.get("X-Amz-Security-Token", ""))
        self.asked.append(asked)
        if self.hold:
            await asyncio.Event().wait()
        if self.answer is not None:
            return self.answer(asked)
        if asked.path not in _PARAMETERS:
            return aws_error(404, "UnknownOperationException", "")
        if unknown := asked.form.keys() - _PARAMETERS[asked.path]:
            return aws_error(400, "ValidationException", f"unknown parameters: {', '.join(sorted(unknown))}")
        if nameless(asked.form["query"]):
            return prometheus_error(400, "bad_data", "a metric name is required in each selector")
        return await self._pass_on(asked)

    def _admit(self, request: web.Request, url: str, body: bytes) -> None:
        known = {self.identity.access_key: self.identity, **self.identities}
        authenticate(known, "monitoring", self.region, request.method, url, request.headers, body)
        if self.denied:
            raise Refusal("AccessDeniedException", "User is not authorized to perform: cloudwatch:GetMetricData", 403)

    async def _pass_on(self, asked: Asked) -> web.Response:
        async with aiohttp.ClientSession() as session, session.post(f"{self.upstream}{asked.path}", data=asked.form) as response:
            document: dict[str, Any] = await response.json()
            if response.status == 200 and len(document["data"]["result"]) > self.most_series:
                del document["data"]["result"][self.most_series :]
                document["warnings"] = [f"results were truncated to {self.most_series} series"]
            return web.json_response(document, status=response.status)


def nameless(promql: str) -> bool:
    """Whether a selector in a query does not name its metric."""
    for name, body in _SELECTOR.findall(_TEXT.sub("S", promql)):
        if not name and not any(_NAMED.fullmatch(item) for item in body.split(",")):
            return True
    return False


def aws_error(status: int, code: str, message: str) -> web.Response:
    """An error as AWS's protocols in JSON have it."""
    body = {"__type": f"com.amazonaws.cloudwatch#{code}", "message": message}
    return web.json_response(body, status=status, headers={"x-amzn-RequestId": "0f1e2d3c"})


def prometheus_error(status: int, kind: str, text: str) -> web.Response:
    """An error of a query, as Prometheus has it."""
    return web.json_response({"status": "error", "errorType": kind, "error": text}, status=status)


@asynccontextmanager
async def run_promql(upstream: str = "") -> AsyncIterator[PromqlEndpoint]:
    """An endpoint that runs inside the ``async with``."""
    endpoint = PromqlEndpoint(upstream)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", endpoint.serve)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield endpoint
    finally:
        await runner.cleanup()
