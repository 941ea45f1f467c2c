"""Which form a client wants its answer in: the Accept header, as Kubernetes reads it.

Clauses are tried by descending ``q``, exact types before wildcards. A clause may carry ``as``, ``g`` and ``v``, which ask for the
answer to be transformed into another kind (a Table, for kubectl); a transform that is not offered fails its clause alone, and the
next is tried.
Rules: ``k8s.io/apiserver/pkg/endpoints/handlers/negotiation/negotiate.go``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from multidict import MultiMapping

__all__ = [
    "LIST_TRANSFORMS",
    "OBJECT_TRANSFORMS",
    "Encoding",
    "Negotiated",
    "NotAcceptable",
    "Transform",
    "accept_of",
    "negotiate",
    "wants_pretty",
]


class Encoding(Enum):
    """How a document becomes bytes; the values are the media types."""

    JSON = "application/json"
    YAML = "application/yaml"


class Transform(NamedTuple):
    """The kind an answer is asked as, and the group and version of that kind."""

    kind: str
    group: str
    version: str

    @property
    def api_version(self) -> str:
        """Group and version as objects carry them."""
        return f"{self.group}/{self.version}"


def _meta(kind: str) -> tuple[Transform, Transform]:
    return Transform(kind, "meta.k8s.io", "v1"), Transform(kind, "meta.k8s.io", "v1beta1")


LIST_TRANSFORMS: tuple[Transform, ...] = (*_meta("Table"), *_meta("PartialObjectMetadataList"))
"""What a list can be asked as."""

OBJECT_TRANSFORMS: tuple[Transform, ...] = (*_meta("Table"), *_meta("PartialObjectMetadata"))
"""What a single object can be asked as."""

_BROWSERS = ("curl", "Wget", "Mozilla/5.0")


class NotAcceptable(Exception):
    """Nothing in the Accept header can be served; ``types`` are the media types that can."""

    def __init__(self, types: Sequence[str]) -> None:
        super().__init__(f"only the following media types are accepted: {', '.join(types)}")
        self.types = tuple(types)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The form chosen. ``pretty`` says that the clause itself asked for indentation."""

    encoding: Encoding
    transform: Transform | None = None
    pretty: bool = False


class _Clause(NamedTuple):
    type: str
    subtype: str
    q: float
    parameters: Mapping[str, str]

    @property
    def order(self) -> tuple[float, int]:
        return -self.q, (self.type == "*") + (self.subtype == "*")

    def matches(self, media_type: str) -> bool:
        kind, _, subtype = media_type.partition("/")
        return self.type in ("*", kind) and self.subtype in ("*", subtype)


def negotiate(
    accept: str,
    transforms: Collection[Transform] = (),
    encodings: Sequence[Encoding] = (Encoding.JSON, Encoding.YAML),
) -> Negotiated:
    """The best of what is offered for an Accept header; an empty one takes the first encoding. Raises :class:`NotAcceptable`."""
    if not accept.strip():
        return Negotiated(encodings[0])
    for clause in sorted(_clauses(accept), key=lambda clause: clause.order):
        encoding = next((offer for offer in encodings if clause.matches(offer.value)), None)
        if encoding is None or clause.q <= 0:
            continue
        wanted = Transform(*(clause.parameters.get(key, "") for key in ("as", "g", "v")))
        pretty = clause.parameters.get("pretty") == "1"
        if not any(wanted):
            return Negotiated(encoding, None, pretty)
        if wanted in transforms:
            return Negotiated(encoding, wanted, pretty)
    raise NotAcceptable([encoding.value for encoding in encodings])


def accept_of(headers: MultiMapping[str]) -> str:
    """The Accept header as one value: repeated headers mean the same as one with commas."""
    return ",".join(headers.getall("Accept", []))


def wants_pretty(query: Mapping[str, str], user_agent: str) -> bool:
    """Whether to indent: what ``?pretty`` says, and without it whether a person seems to be reading (curl, Wget, a browser)."""
    asked = query.get("pretty", "")
    if asked:
        return asked in ("1", "t", "T", "true", "True", "TRUE")
    return user_agent.startswith(_BROWSERS)


def _clauses(accept: str) -> Iterator[_Clause]:
    """The clauses of a header; one that is no media range is left out."""
    for text in accept.split(","):
        media, *rest = (part.strip() for part in text.split(";"))
        kind, slash, subtype = media.lower().partition("/")
        if media == "*":
            kind, slash, subtype = "*", "/", "*"
        if not (kind and slash and subtype):
            continue
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in (part.partition("=") for part in rest)}
        yield _Clause(kind, subtype, _quality(parameters.get("q", "")), parameters)


def _quality(text: str) -> float:
    """The weight of a clause, from 0 to 1; 1 when it is absent or not a number."""
    try:
        quality = float(text)
    except ValueError:
        return 1.0
    return quality if 0 <= quality <= 1 else 1.0
