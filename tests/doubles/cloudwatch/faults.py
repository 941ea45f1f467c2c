"""What goes wrong on the way, when a test says so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.doubles.cloudwatch.errors import Refusal

__all__ = ["Fault", "Faults"]

Fault = Literal["throttle", "error", "html", "half", "drop", "hang", "garbage"]
"""AWS throttles; fails (HTTP 500); a proxy answers 502 in HTML; half of the body comes; the connection is closed; no answer comes;
the body is no JSON."""

_HTML = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
_FAILED = "Request processing has failed due to some unknown error, exception, or failure"


@dataclass(slots=True)
class Faults:
    """What is to go wrong, by operation."""

    ahead: dict[str, deque[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)

    def next(self, operation: str) -> Fault | None:
        """What goes wrong with a call that has arrived."""
        ahead = self.ahead.get(operation)
        return ahead.popleft() if ahead else self.always.get(operation)

    async def pause(self, operation: str) -> None:
        """Waits as long as the operation takes."""
        await asyncio.sleep(self.slow.get(operation, 0))
        if operation in self.held:
            await self.held[operation].wait()

    async def act(
        self, fault: Fault | None, service: str, request: web.Request, answer: Callable[[], Awaitable[web.Response]]
    ) -> web.StreamResponse:
        """Answers, in the way of the fault."""
        match fault:
            case None:
                return await answer()
            case "throttle":
                raise throttled(service)
            case "error":
                raise Refusal("InternalServiceFault", _FAILED, 500, "InternalServiceError")
            case "html":
                return web.Response(status=502, text=_HTML, content_type="text/html")
            case "garbage":
                return web.Response(text="{", content_type="application/x-amz-json-1.0")
            case "half":
                return await _half(request, await answer())
            case "drop":
                _close(request)
                return web.Response()
            case "hang":
                await asyncio.Event().wait()
        raise AssertionError(fault)


def throttled(service: str) -> Refusal:
    """How a service says that it is asked too often (botocore data of each)."""
    match service:
        case "xray":
            return Refusal("ThrottledException", "Rate exceeded", 429)
        case "application-signals":
            return Refusal("ThrottlingException", "Rate exceeded", 429)
        case _:
            return Refusal("ThrottlingException", "Rate exceeded", 400, "Throttling")


async def _half(request: web.Request, whole: web.Response) -> web.StreamResponse:
    body = whole.body
    assert isinstance(body, bytes)
    half = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type, "Content-Length": str(len(body))})
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    _close(request)
    return half


def _close(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
