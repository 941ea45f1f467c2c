"""Documents that are known when the server starts: encoded once, then sent from memory whatever the sources do."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web
from multidict import MultiMapping

from apiservice.encoding import accepts_gzip, compress, encode
from apiservice.negotiate import Encoding

__all__ = ["Form", "Pages", "make_form", "send"]

_WORTH_COMPRESSING = 1024


class Pages(Protocol):
    """A group of non-resource paths, answered without asking anyone. Paths have no trailing slash; the root is ``/``."""

    @property
    def paths(self) -> Collection[str]:
        """The paths answered, as the index lists them."""
        ...

    def respond(self, path: str, query: Mapping[str, str], headers: MultiMapping[str]) -> web.Response | None:
        """The answer to a GET, or None when the path is not one of these. Raises what :mod:`apiservice.status` knows."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One document in one encoding. ``etag`` is quoted; ``compressed`` is None for a body too small to gain."""

    body: bytes
    compressed: bytes | None
    content_type: str
    etag: str


def make_form(document: Any, encoding: Encoding = Encoding.JSON, content_type: str = "", *, pretty: bool = False) -> Form:
    """Encode a document once; ``content_type`` defaults to the media type of the encoding."""
    body = encode(document, encoding, pretty=pretty)
    compressed = compress(body) if len(body) > _WORTH_COMPRESSING else None
    return Form(body, compressed, content_type or encoding.value, f'"{hashlib.sha256(body).hexdigest().upper()}"')


def send(form: Form, headers: Mapping[str, str], extra: Mapping[str, str] | None = None) -> web.Response:
    """The response for one form: 304 when the client holds it already, compressed when it may be."""
    sent = {"ETag": form.etag, "Vary": "Accept, Accept-Encoding", **(extra or {})}
    if _holds(headers.get("If-None-Match", ""), form.etag):
        return web.Response(status=304, headers=sent)
    sent["Content-Type"] = form.content_type
    if form.compressed is not None and accepts_gzip(headers):
        sent["Content-Encoding"] = "gzip"
        return web.Response(body=form.compressed, headers=sent)
    return web.Response(body=form.body, headers=sent)


def _holds(if_none_match: str, etag: str) -> bool:
    held = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in held or etag in held
