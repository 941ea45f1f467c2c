"""What must be true of every response, whatever was asked."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import yaml
from openapi_schema_validator import OAS30Validator

from tests.fuzz.grammar import Shaped
from tests.fuzz.wire import Misbehaved, Response

__all__ = ["DOCUMENTED", "UNREADABLE", "Rules"]

DOCUMENTED: Final = frozenset({200, 304, 400, 401, 403, 404, 405, 406, 410, 413, 415, 417, 421, 422, 429, 431, 503, 504, 505})
"""Every status the server has a reason for. 500 is none of them."""

UNREADABLE: Final = frozenset({400, 431})
"""Statuses of what the server cannot read as a request: it then knows neither its audit id nor its method."""

_ROWS = "io.smi-spec.metrics.v1alpha1.TrafficMetrics"
_KINDS = {"TrafficMetrics": _ROWS, "TrafficMetricsList": f"{_ROWS}List"}
_EVENTS = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"})
_TEXTS = ("text/plain", "application/openmetrics-text")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Rules:
    """The rules. ``document`` is the OpenAPI 3 document the shapes of objects and lists are held against, one in ``sample`` of them.

    ``knowing`` says that what is there and who may ask is known, so that what is right must be answered.
    """

    def __init__(self, document: Mapping[str, Any], sample: int = 1, *, knowing: bool = True) -> None:
        components = {"components": document["components"]}
        self._shapes = {
            kind: OAS30Validator({"$ref": f"#/components/schemas/{name}", **components}) for kind, name in _KINDS.items()
        }
        self._sample = sample
        self._knowing = knowing
        self.seen: dict[str, int] = {}

    def check(self, shaped: Shaped, response: Response) -> str:
        """The continue token the response gives out, or ""; raises :class:`Misbehaved` for a rule that is broken."""
        status = response.status
        _require(status in DOCUMENTED, f"status {status} is none this server has a reason for")
        audit = response.values("audit-id")
        _require(len(audit) == 1 and audit[0] != "", f"audit ids: {audit}")
        _require(
            not shaped.audit or status in UNREADABLE or audit[0] == shaped.audit, f"the audit id of another request: {audit[0]}"
        )
        _require("no-cache" in response.value("cache-control") or bool(response.value("etag")), "it may be cached")
        _require((status == 405) == bool(response.value("allow")), "Allow goes with 405")
        _require(status not in (429, 503) or response.value("retry-after").isdigit(), "no Retry-After")
        _require(not response.value("location"), "a redirect")
        _require(
            not (self._knowing and shaped.turns) or status in (200, 400, 410),
            f"a token that was given out is refused with {status}",
        )
        _require(
            not (self._knowing and shaped.plain) or status in (200, 404, 410),
            f"nothing is wrong with the request, but the answer is {status}",
        )
        _require(status not in (304, 204) or not response.body, "a body that must not be there")
        if shaped.request.method == b"HEAD" or status == 304:
            return ""
        _require(bool(response.value("content-type")), "no Content-Type")
        document = _document(response)
        return self._of_document(shaped, response, document)

    def check_watch(self, shaped: Shaped, response: Response) -> int:
        """Like :meth:`check` for a watch, which is refused or answered with events; how many there are.

        A path of one object has nothing to watch, and is answered as if it were not asked to be.
        """
        if response.status != 200 or not response.values("transfer-encoding"):
            self.check(shaped, response)
            return 0
        _require(not response.value("content-encoding"), "a stream that is compressed")
        lines = response.body.splitlines()
        for line in lines:
            try:
                event = msgspec.json.decode(line)
            except ValueError as error:
                raise Misbehaved(f"an event that is no JSON: {line[:200]!r}") from error
            _require(event.keys() == {"type", "object"}, f"no event: {line[:200]!r}")
            _require(event["type"] in _EVENTS, f"an event of type {event['type']}")
            _require(bool(event["object"]["kind"]), "an event about nothing")
        return len(lines)

    def _of_document(self, shaped: Shaped, response: Response, document: Any) -> str:
        if response.status != 200:
            _check_status(response, document)
            self._count("Status")
            return ""
        if not isinstance(document, dict):
            self._count("text")
            return ""
        kind = str(document.get("kind", "other"))
        count = self._count(kind)
        if kind in self._shapes and count % self._sample == 0:
            for error in self._shapes[kind].iter_errors(document):
                raise Misbehaved(f"{kind} is not of the documented shape: {error.message} at {error.json_path}")
        if kind == "Table":
            width = len(document["columnDefinitions"])
            _require(all(len(row["cells"]) == width for row in document["rows"]), "a row with more or fewer cells than columns")
        if shaped.namespace and kind == "TrafficMetricsList":
            strangers = {item["metadata"].get("namespace", "") for item in document["items"]} - {shaped.namespace, ""}
            _require(not strangers, f"rows of {strangers} in an answer about {shaped.namespace}")
        metadata = document.get("metadata")
        return str(metadata.get("continue", "")) if isinstance(metadata, dict) else ""

    def _count(self, kind: str) -> int:
        count = self.seen[kind] = self.seen.get(kind, 0) + 1
        return count


def _document(response: Response) -> Any:
    """The body read as what its Content-Type says it is."""
    body = response.body
    if response.value("content-encoding") == "gzip":
        _require("Accept-Encoding" in response.value("vary"), "compressed without Vary")
        try:
            body = gzip.decompress(body)
        except (OSError, zlib.error, EOFError) as error:
            raise Misbehaved(f"the body is no gzip: {error}") from error
    media_type = response.value("content-type").partition(";")[0]
    try:
        match media_type:
            case "application/json":
                return msgspec.json.decode(body)
            case "application/yaml":
                return yaml.load(body, Loader=_Loader)  # noqa: S506 the safe one
            case _ if media_type in _TEXTS:
                return body.decode()
    except (ValueError, yaml.YAMLError) as error:
        raise Misbehaved(f"the body is no {media_type}: {error}") from error
    raise Misbehaved(f"Content-Type {response.value('content-type')!r}")


def _check_status(response: Response, document: Any) -> None:
    """A failure is a ``metav1.Status`` that says the same as the line and the headers before it."""
    _require(response.value("content-type") == "application/json", "a failure that is no JSON")
    _require(isinstance(document, dict), "a failure that is no object")
    head = tuple(document.get(key) for key in ("kind", "apiVersion", "status", "code"))
    _require(head == ("Status", "v1", "Failure", response.status), f"no Status of {response.status}: {head}")
    _require(bool(document["message"]) and isinstance(document["message"], str), "a failure without words")
    _require(response.value("x-content-type-options") == "nosniff", "a failure that may be taken for HTML")
    told = document.get("details", {}).get("retryAfterSeconds", 0)
    _require(response.value("retry-after") == (str(told) if told else ""), "Retry-After is not what the details say")


def _require(truth: bool, broken: str) -> None:  # noqa: FBT001 the truth is what it is about
    if not truth:
        raise Misbehaved(broken)
