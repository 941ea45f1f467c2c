"""The protocols: what a request asks for, and how an answer or an error is written in return.

Rules: botocore data of each service (CloudWatch speaks JSON 1.0 here, which botocore prefers; X-Ray and Application Signals REST-JSON;
STS the query protocol), and ``botocore.parsers``, which reads the errors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from aiohttp import web

from tests.doubles.cloudwatch.errors import Refusal

__all__ = ["POD_IDENTITY", "Asked", "answer", "read", "refuse"]

POD_IDENTITY = "pod-identity"

_TARGET = "GraniteServiceVersion20100801."
_TYPES = {"cloudwatch": "application/x-amz-json-1.0", "sts": "text/xml"}
_SIGNED_FOR = {"cloudwatch": "monitoring"}
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: which service ("" for none) and operation, with which parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]

    @property
    def signed_for(self) -> str:
        """The service, as signatures name it."""
        return _SIGNED_FOR.get(self.service, self.service)


def read(request: web.Request, body: bytes) -> Asked:
    """What a request asks for."""
    target = request.headers.get("X-Amz-Target", "")
    match (request.method, request.path):
        case ("POST", "/") if target.startswith(_TARGET):
            return Asked("cloudwatch", target.removeprefix(_TARGET), _document(body))
        case ("POST", "/"):
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            return Asked("sts", form.pop("Action", ""), form)
        case ("POST", "/ServiceGraph"):
            return Asked("xray", "GetServiceGraph", _document(body))
        case (_, "/services"):
            return Asked("application-signals", "ListServices", dict(request.query))
        case ("GET", "/v1/credentials"):
            return Asked(POD_IDENTITY, "GetCredentials", {})
        case _:
            return Asked("", f"{request.method} {request.path}", {})


def _document(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    assert isinstance(document, dict)
    return document


def answer(asked: Asked, document: Mapping[str, Any]) -> web.Response:
    """An answer, in the protocol of the request."""
    if asked.service == "sts":
        name = asked.operation
        inside = f"<{name}Result>{_xml(document)}</{name}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>"
        return _response(asked, 200, f'<{name}Response xmlns="{_STS}">{inside}</{name}Response>')
    return _response(asked, 200, json.dumps(document))


def refuse(asked: Asked, refusal: Refusal, *, query: bool) -> web.Response:
    """An error; ``query`` tells what its code is in the query protocol, as CloudWatch does for clients that used to speak that."""
    who = "Sender" if refusal.status < 500 else "Receiver"
    match asked.service:
        case "cloudwatch":
            body = {"__type": f"com.amazonaws.cloudwatch.v2010_08_01#{refusal.code}", "message": refusal.message}
            headers = {"x-amzn-query-error": f"{refusal.query_code};{who}"} if query else {}
            return _response(asked, refusal.status, json.dumps(body), headers)
        case "sts":
            error = _xml({"Type": who, "Code": refusal.query_code, "Message": refusal.message})
            return _response(asked, refusal.status, f'<ErrorResponse xmlns="{_STS}"><Error>{error}</Error></ErrorResponse>')
        case _:
            member = "message" if refusal.code == "ValidationException" else "Message"
            return _response(asked, refusal.status, json.dumps({member: refusal.message}), {"x-amzn-errortype": refusal.code})


def _xml(document: Mapping[str, Any]) -> str:
    texts = {name: _xml(value) if isinstance(value, Mapping) else escape(str(value)) for name, value in document.items()}
    return "".join(f"<{name}>{text}</{name}>" for name, text in texts.items())


def _response(asked: Asked, status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, headers=headers, body=text.encode(), content_type=_TYPES.get(asked.service, "application/json")
    )
