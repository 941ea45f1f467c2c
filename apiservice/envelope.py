"""What every response has, whatever happened on the way to it: the audit id, the caching rule, its place in metrics and log.

Headers are set as a response begins, because a watch begins long before it ends. Errors become a ``metav1.Status`` here and
nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from apiservice.encoding import encode
from apiservice.identity.user import User
from apiservice.logformat import go_duration
from apiservice.logs import REQUESTS, about, fields
from apiservice.negotiate import Encoding
from apiservice.requestinfo import RequestInfo, decode_path, parse_request
from apiservice.status import status_for
from apiservice.telemetry import Telemetry
from apiservice.telemetry.labels import clean_dry_run, scoped
from metrics_api.errors import TrafficError

__all__ = ["INFO", "USER", "audit_id", "envelope", "failures_as_status", "stamp"]

INFO = web.RequestKey("info", RequestInfo)
"""How Kubernetes reads the request: what is authorised and what is answered."""

USER = web.RequestKey("user", User)
"""Who sent the request, once that is known."""

_LOG = logging.getLogger(__name__)
_AUDIT = web.RequestKey("audit", str)
_STATUS = web.RequestKey("status", int)
_AUDIT_ID = re.compile(r"[\x21-\x7e]{1,64}")


def envelope(telemetry: Telemetry) -> Middleware:
    """The outermost layer: reads the request, once, and counts and logs what became of it."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        start = time.perf_counter()
        info = request[INFO] = parse_request(request.method, decode_path(request.rel_url.raw_path), request.query)
        # The transport is gone with the client.
        peer = _address(request)
        with about(audit_id(request)):
            try:
                with telemetry.in_flight(info):
                    response = await handler(request)
            except asyncio.CancelledError:
                seconds = time.perf_counter() - start
                # Most watches end so, and nothing is wrong with them.
                if info.verb == "watch" and _STATUS in request:
                    telemetry.observe_request(info, request[_STATUS], seconds, 0, _dry_run(request))
                else:
                    telemetry.aborted(info)
                _log(request, request.get(_STATUS, 0), seconds, peer)
                raise
            seconds = time.perf_counter() - start
            telemetry.observe_request(info, response.status, seconds, _size(response), _dry_run(request))
            _log(request, response.status, seconds, peer)
        return response

    return middleware


async def stamp(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers every response has; for ``Application.on_response_prepare``."""
    request[_STATUS] = response.status
    response.headers["Audit-Id"] = audit_id(request)
    response.headers["Server"] = "trafficmetrics"
    response.headers.setdefault("Cache-Control", "no-cache, private")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if "Upgrade" in request.headers or request.method == "CONNECT":
        # What follows may be in another protocol, and aiohttp loses a part of it.
        response.force_close()
        response.headers["Connection"] = "close"


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
            asked = fields({"method": request.method, "URI": request.rel_url.raw_path_qs})
            if isinstance(error, TrafficError):
                # Whoever raised it knew what was wrong: where in the code that was is of no use to who reads the log.
                _LOG.error("a request failed: %s", error.message, extra=asked)
            else:
                _LOG.error("a request failed", exc_info=error, extra=asked)
        headers = {"Content-Type": Encoding.JSON.value, **status.headers()}
        return web.Response(status=status.code, body=encode(status.document(), Encoding.JSON), headers=headers)


def _log(request: web.Request, status: int, seconds: float, peer: str) -> None:
    """The line about a request, as ``k8s.io/apiserver/pkg/server/httplog`` writes it; 0 is the status of one that was not answered."""
    if not _LOG.isEnabledFor(REQUESTS):
        return
    verb = scoped(request[INFO]).verb
    told = {
        "verb": request.method if verb == "other" else verb,
        "URI": request.rel_url.raw_path_qs,
        "latency": go_duration(seconds),
        "userAgent": request.headers.get("User-Agent", ""),
        "audit-ID": audit_id(request),
        "srcIP": peer,
    }
    if USER in request:
        told["user"] = request[USER].name
    _LOG.log(REQUESTS, "HTTP", extra=fields({**told, "resp": status}))


def _address(request: web.Request) -> str:
    """Where the request comes from, with its port."""
    if not _LOG.isEnabledFor(REQUESTS) or request.transport is None:
        return ""
    name = request.transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return str(name or "")
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _size(response: web.StreamResponse) -> int:
    """Bytes of the body; of one that went in pieces, with what announced them."""
    return response.body_length if response.content_length is None else response.content_length


def _dry_run(request: web.Request) -> str:
    return clean_dry_run(request.query.getall("dryRun", ()))
