"""Codes of responses as configuration names them: which of them fail, and which count as nothing at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from metrics_api.document import Node
from metrics_api.keys import Form

__all__ = ["CODES", "FAILING_GRPC", "FAILING_HTTP", "GRPC_STATUSES", "NO_RESPONSE", "CodeSet", "read_code_set"]

T = TypeVar("T")

GRPC_STATUSES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""The statuses of gRPC by their numbers. Source: grpc/grpc, doc/statuscodes.md."""

NO_RESPONSE = "0"
"""The HTTP code of a request that nobody answered."""

FAILING_HTTP = ("5xx", NO_RESPONSE)
FAILING_GRPC = (2, 4, 7, 13, 14, 15)
"""What fails unless something else is said, as in Linkerd: linkerd/linkerd2-proxy, linkerd/app/core/src/classify.rs."""

_HTTP = re.compile(r"[1-5][0-9][0-9]|[1-5]xx|0")

_GRPC = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": len(GRPC_STATUSES) - 1}, {"enum": list(GRPC_STATUSES)}]}
CODES: Form[Any] = Form(
    "`{http: [...], grpc: [...]}`",
    {
        "type": "object",
        "properties": {
            "http": {
                "type": "array",
                "items": {"anyOf": [{"type": "string", "pattern": f"^({_HTTP.pattern})$"}, {"type": "integer"}]},
            },
            "grpc": {"type": "array", "items": _GRPC},
        },
        "additionalProperties": False,
    },
)
"""Codes as :func:`read_code_set` takes them."""


@dataclass(frozen=True, slots=True)
class CodeSet:
    """HTTP codes (``503``), classes of them (``5xx``) or none at all (``0``), and numbers of gRPC statuses; None where nothing was said."""

    http: tuple[str, ...] | None = None
    grpc: tuple[int, ...] | None = None

    @property
    def told(self) -> bool:
        """Whether anything was said."""
        return self.http is not None or self.grpc is not None


def read_code_set(node: Node) -> CodeSet:
    """``{http: ["5xx", "429"], grpc: [2, UNAVAILABLE]}``; mistakes go to the node's problems."""
    entries = node.mapping(("http", "grpc"))
    if not node.value:
        node.problem('name codes, as in {http: ["5xx", "429"], grpc: [2, UNAVAILABLE]}')
    return CodeSet(
        http=_codes(entries["http"], _http, "") if "http" in entries else None,
        grpc=_codes(entries["grpc"], _grpc, -1) if "grpc" in entries else None,
    )


def _codes(node: Node, parse: Callable[[str], T], wrong: T) -> tuple[T, ...]:
    if node.value is None:
        # Taken for an empty list, a key left dangling would make failures successes.
        node.problem('name codes, or write [] for "none of them"')
    codes = [item.read(parse, wrong) for item in node.items()]
    for index, code in enumerate(codes):
        if code != wrong and code in codes[:index]:
            node.items()[index].problem(f'"{node.items()[index].text()}" is named twice')
    return tuple(codes)


def _http(text: str) -> str:
    code = text.lower()
    if not _HTTP.fullmatch(code):
        raise ValueError(
            f'"{text}" is not an HTTP code: write 503, or 5xx for all of a class, or 0 for requests without a response'
        )
    return code


def _grpc(text: str) -> int:
    if text.upper() in GRPC_STATUSES:
        return GRPC_STATUSES.index(text.upper())
    if text.isascii() and text.isdigit() and int(text) < len(GRPC_STATUSES):
        return int(text)
    raise ValueError(f'"{text}" is not a gRPC status: write a number from 0 to 16, or a word such as UNAVAILABLE')
