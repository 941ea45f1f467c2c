"""What every response has, whatever happened on the way to it: the audit id, the caching rule, its place in metrics and log.

Headers are set as a response begins, because a watch begins long before it ends. Errors become a ``metav1.Status`` here and
nowhere else.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from apiservice.encoding import encode
from apiservice.negotiate import Encoding
from apiservice.requestinfo import RequestInfo, parse_request
from apiservice.status import status_for
from apiservice.telemetry import Telemetry

__all__ = ["INFO", "audit_id", "envelope", "failures_as_status", "stamp"]

INFO = web.RequestKey("info", RequestInfo)
"""How Kubernetes reads the request: what is authorised and what is answered."""

_LOG = logging.getLogger(__name__)
_AUDIT = web.RequestKey("audit", str)
_AUDIT_ID = re.compile(r"[\x21-\x7e]{1,64}")


def envelope(telemetry: Telemetry) -> Middleware:
    """The outermost layer: reads the request, once, and counts and logs what became of it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        start = time.perf_counter()
        info = request[INFO] = parse_request(request.method, request.path, request.query)
        with telemetry.in_flight(info):
            response = await handler(request)
        seconds = time.perf_counter() - start
        telemetry.observe_request(info, response.status, seconds, response.content_length or 0)
        _LOG.debug(
            "request verb=%s path=%s status=%d seconds=%.4f audit=%s",
            info.verb,
            request.rel_url.raw_path,
            response.status,
            seconds,
            audit_id(request),
        )
        return response

    return middleware


async def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers every response has; for ``Application.on_response_prepare``."""
    response.headers["Audit-Id"] = audit_id(request)
    response.headers["Server"] = "trafficmetrics"
    response.headers.setdefault("Cache-Control", "no-cache, private")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def audit_id(request: web.Request) -> str:
    """The id under which the log and the control plane know the request: the one it came with, or a new one."""
    if _AUDIT not in request:
        given = request.headers.get("Audit-Id", "")
        request[_AUDIT] = given if _AUDIT_ID.fullmatch(given) else str(uuid.uuid4())
    return request[_AUDIT]


@web.middleware
async def failures_as_status(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The one place where errors become responses."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001
        status = status_for(error, request[INFO], audit_id(request))
        if status.code == HTTPStatus.INTERNAL_SERVER_ERROR:
            _LOG.error("%s %s failed, audit ID %s", request.method, request.rel_url.raw_path, audit_id(request), exc_info=error)
        headers = {"Content-Type": Encoding.JSON.value, **status.headers()}
        return web.Response(status=status.code, body=encode(status.document(), Encoding.JSON), headers=headers)
