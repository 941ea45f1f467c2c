"""Every failure as a ``metav1.Status``: the one place where errors turn into what clients receive.

Shapes, reasons and messages are those of ``k8s.io/apimachinery/pkg/api/errors``, because clients decide by them: kubectl prints
``message``, client-go looks at ``reason``, ``details`` and ``code``. ``details.kind`` holds the plural of the resource.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from apiservice.authorization import AuthorizationError
from apiservice.identity import Unauthorized, User
from apiservice.negotiate import NotAcceptable
from apiservice.requestinfo import RequestInfo
from metrics_api.errors import (
    BackendError,
    BackendForgot,
    BackendTimeout,
    BadQuery,
    Expired,
    Invalid,
    NotFound,
    TrafficError,
    Unsupported,
)
from metrics_api.resources import GROUP

__all__ = [
    "StatusError",
    "entity_too_large",
    "expired_version",
    "forbidden",
    "method_not_allowed",
    "misdirected",
    "shutting_down",
    "status_for",
    "too_large_version",
    "too_many_requests",
    "unknown_path",
    "watch_not_supported",
]

Cause = tuple[str, str, str]

_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_LONGEST = 4096
_OVERDUE = "Timeout: request did not complete within the allotted timeout"

_REASONS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptable",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.GONE: "Expired",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestEntityTooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "UnsupportedMediaType",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Invalid",
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "Timeout",
}


class StatusError(Exception):
    """A failure that already knows its Status.

    ``causes`` are ``(reason, message, field)``; ``retry_after`` is in seconds, 0 for none; ``allow`` names the methods that would
    be served.
    """

    def __init__(
        self,
        code: int,
        message: str,
        *,
        kind: str = "",
        name: str = "",
        group: str = "",
        causes: Sequence[Cause] = (),
        retry_after: int = 0,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind
        self.name = name
        self.group = group
        self.causes = tuple(causes)
        self.retry_after = retry_after
        self.allow = tuple(allow)

    def document(self) -> dict[str, Any]:
        """The Status as sent."""
        # A header in another encoding than UTF-8 may have become part of the message, and JSON cannot carry it.
        document: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": _clean(self.message),
        }
        if reason := _REASONS.get(self.code):
            document["reason"] = reason
        details: dict[str, Any] = {"name": _clean(self.name), "group": self.group, "kind": self.kind}
        details = {key: value for key, value in details.items() if value}
        if self.causes:
            details["causes"] = [_cause(cause) for cause in self.causes]
        if self.retry_after:
            details["retryAfterSeconds"] = self.retry_after
        if details:
            document["details"] = details
        document["code"] = self.code
        return document

    def headers(self) -> dict[str, str]:
        """The headers that belong to the Status."""
        headers = {"X-Content-Type-Options": "nosniff"}
        if self.retry_after:
            headers["Retry-After"] = str(self.retry_after)
        if self.allow:
            headers["Allow"] = ", ".join(self.allow)
        return headers


def status_for(error: Exception, info: RequestInfo | None = None, audit_id: str = "") -> StatusError:
    """The Status of any exception; ``info`` names the resource it is about.

    What nobody foresaw is a 500 that tells no more than where to look: the log, under ``audit_id``.
    """
    kind, group = (info.resource, info.group) if info is not None and info.is_resource else ("", "")
    match error:
        case StatusError():
            return error
        case Unauthorized():
            return StatusError(401, "Unauthorized")
        case AuthorizationError():
            uri = info.path if info is not None else ""
            return StatusError(500, f"Internal Server Error: {_quoted(uri)}: {error.message}".translate(_HTML))
        case TrafficError():
            return _of_traffic(error, kind, group)
        case NotAcceptable():
            return StatusError(406, str(error))
        case TimeoutError():
            return StatusError(504, _OVERDUE, kind=kind, group=group)
        case web.HTTPRequestEntityTooLarge():
            return entity_too_large()
        case HttpProcessingError():
            return StatusError(400, "the body of the request is not valid HTTP/1.1")
        case web.HTTPException() if error.status >= HTTPStatus.BAD_REQUEST:
            return StatusError(error.status, error.reason)
        case _:
            where = f"; its log tells more under audit ID {audit_id}" if audit_id else ""
            return _internal(f"the server met a condition nobody foresaw{where}")


def forbidden(user: User, info: RequestInfo, reason: str = "") -> StatusError:
    """403 in the words of Kubernetes, with the authoriser's reason; safe to be shown as HTML."""
    if not info.is_resource:
        what = f"User {_quoted(user.name)} cannot {info.verb} path {_quoted(info.path)}"
        subject = "forbidden"
    else:
        resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
        where = f"in the namespace {_quoted(info.namespace)}" if info.namespace else "at the cluster scope"
        what = (
            f"User {_quoted(user.name)} cannot {info.verb} resource {_quoted(resource)} in API group {_quoted(info.group)} {where}"
        )
        subject = f"{_qualified(info)} {_quoted(info.name)} is forbidden" if info.name else f"{_qualified(info)} is forbidden"
    message = f"{subject}: {what}: {reason}" if reason else f"{subject}: {what}"
    if not info.is_resource:
        return StatusError(403, message.translate(_HTML))
    return StatusError(403, message.translate(_HTML), group=info.group, kind=info.resource, name=info.name)


def unknown_path() -> StatusError:
    """404 for a path that is nothing here; the message is the one kubectl knows."""
    return StatusError(404, "the server could not find the requested resource")


def misdirected() -> StatusError:
    """421 for the core API, which another server has.

    Before kubectl says that an object is not found, it asks whether its namespace is; a 404 would be shown as the answer to both.
    """
    return StatusError(421, "this server has traffic metrics only: the objects of a cluster are with its kube-apiserver")


def method_not_allowed(info: RequestInfo, allow: Sequence[str] = ("GET", "HEAD")) -> StatusError:
    """405 for any method that writes."""
    message = "the server does not allow this method on the requested resource"
    if not info.is_resource:
        return StatusError(405, message, allow=allow)
    return StatusError(405, message, group=info.group, kind=info.resource, allow=allow)


def watch_not_supported(info: RequestInfo) -> StatusError:
    """405 for a watch: clients fall back to listing when they are told so."""
    message = f"watch is not supported on resources of kind {_quoted(_qualified(info))}"
    return StatusError(405, message, group=info.group, kind=info.resource, allow=("GET", "HEAD"))


def entity_too_large() -> StatusError:
    """413 for a body no reader needs."""
    return StatusError(413, "Request entity too large: limit is 3145728")


def too_many_requests(limit: int, what: str = "requests") -> StatusError:
    """429 when ``limit`` of ``what`` are being answered already."""
    message = f"the server is answering {limit} {what} already and cannot take more: try again in a second"
    return StatusError(429, message, retry_after=1)


def shutting_down() -> StatusError:
    """503 for what would go on for longer than the server does."""
    return StatusError(503, "the server is shutting down: try again in a second", retry_after=1)


def too_large_version(asked: int, current: int) -> StatusError:
    """504 for a version newer than what was observed last; waiting helps."""
    message = f"Timeout: Too large resource version: {asked}, current: {current}"
    cause = ("ResourceVersionTooLarge", "Too large resource version", "")
    return StatusError(504, message, causes=[cause], retry_after=1)


def expired_version(asked: int) -> StatusError:
    """410 for a version so old that nobody knows what happened since."""
    return StatusError(410, f"too old resource version: {asked}: list again, and go on from there")


def _of_traffic(error: TrafficError, kind: str, group: str) -> StatusError:
    """The Status of an error of the domain, whose messages are meant to be read."""
    match error:
        case BadQuery():
            return StatusError(400, error.message)
        case Invalid():
            return StatusError(422, error.message, group="meta.k8s.io", kind="ListOptions", causes=error.causes)
        case NotFound():
            return _not_found(error)
        case Unsupported():
            return StatusError(404, error.message, kind=kind, group=group)
        case Expired():
            return StatusError(410, error.message)
        case BackendTimeout():
            # As in Kubernetes, without Retry-After: client-go would wait for the deadline ten times more before it told anybody.
            return StatusError(504, f"Timeout: {error.message}", kind=kind, group=group)
        case BackendForgot():
            return StatusError(410, error.message, kind=kind, group=group)
        case BackendError():
            return StatusError(503, error.message, retry_after=error.retry_after, kind=kind, group=group)
        case _:
            return _internal(error.message)


def _internal(why: str) -> StatusError:
    return StatusError(500, f"Internal error occurred: {why}", causes=[("", why, "")])


def _not_found(error: NotFound) -> StatusError:
    resource, _, rest = error.resource.partition(".")
    message = error.message
    if message == f'{error.resource} "{error.name}" not found' and not rest:
        message = f'{resource}.{GROUP} "{error.name}" not found'
    return StatusError(404, message, group=GROUP, kind=resource, name=error.name)


def _clean(text: str) -> str:
    """What JSON can carry, and a person can read: a message repeats what was asked, which may be as long as a client likes."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}… ({len(text)} characters)"
    return text.encode("utf-8", "replace").decode()


def _cause(cause: Cause) -> dict[str, str]:
    fields = zip(("reason", "message", "field"), cause, strict=True)
    return {key: _clean(value) for key, value in fields if value}


def _qualified(info: RequestInfo) -> str:
    return f"{info.resource}.{info.group}" if info.group else info.resource


def _quoted(text: str) -> str:
    """Text between quotes, as Go's ``%q`` prints what is not exotic."""
    return json.dumps(text, ensure_ascii=False)
