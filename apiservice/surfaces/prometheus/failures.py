"""What goes wrong, as Prometheus says it: ``{"status":"error","errorType":…,"error":…}``, which its clients know how to show.

Codes and words are those of Prometheus (prometheus/prometheus, web/api/v1/api.go, ``respondError``), and beside them ``forbidden``, for
which it has no word. A deadline is 503 there, and a question that is right but cannot be answered 422.
"""

from __future__ import annotations

from typing import Any

from apiservice.status import StatusError, status_for
from metrics_api.errors import BackendTimeout, BadQuery, Invalid, Unsupported

__all__ = ["Failure", "bad_data", "cannot_execute", "failure_of", "parameter"]

_WORDS = {
    400: "bad_data",
    403: "forbidden",
    404: "not_found",
    405: "bad_data",
    406: "not_acceptable",
    422: "execution",
    429: "unavailable",
    503: "unavailable",
}


class Failure(Exception):
    """An answer that is an error. ``code`` is that of HTTP, ``word`` the type that Prometheus gives it."""

    def __init__(self, code: int, message: str, *, word: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.word = word or _WORDS.get(code, "internal")
        self.message = message
        self.headers = headers or {}

    def document(self) -> dict[str, Any]:
        """The envelope."""
        return {"status": "error", "errorType": self.word, "error": self.message}


def bad_data(message: str) -> Failure:
    """400: what was sent cannot be understood."""
    return Failure(400, message)


def parameter(name: str, problem: str) -> Failure:
    """400 for one parameter, in the words of Prometheus."""
    return bad_data(f'invalid parameter "{name}": {problem}')


def cannot_execute(message: str) -> Failure:
    """422: it is understood, and cannot be answered here."""
    return Failure(422, message)


def failure_of(error: Exception) -> Failure | None:
    """The failure that an error of the API is; None for a 500, which is for the log of the server as well."""
    match error:
        case Failure():
            return error
        case TimeoutError():
            return Failure(503, "query timed out: ask for less, or for a shorter time", word="timeout")
        case BackendTimeout():
            return Failure(503, error.message, word="timeout")
        case Unsupported():
            return cannot_execute(error.message)
        case BadQuery() | Invalid():
            return bad_data(error.message)
        case _:
            pass
    status = status_for(error)
    if status.code == 500 and not isinstance(error, StatusError):
        return None
    # What is gone for good is nothing to try again, which 410 would not tell these clients.
    code = 422 if status.code == 410 else status.code
    return Failure(code, status.message, headers=status.headers())
