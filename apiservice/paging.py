"""Lists in pages: every page of one list comes from the same answer, however long the client takes between them.

An answer that does not fit a page is kept, whole, until it is too old or newer ones need the room. A continue token names the kept
answer and a position in it; it is signed with a key that lives as long as the process, together with the question, so that it can
be neither made up nor used for another list. A token of another replica, or of a process that has ended, has expired.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cachetools import TTLCache

from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from metrics_api.errors import BadQuery, Expired

__all__ = ["Page", "Pager", "question_key"]

_BODY = struct.Struct(">8s8sQ")
_MAC_BYTES = 18  # a token of 42 bytes needs no padding in base64
_NOT_THE_QUESTION = frozenset(
    {"limit", "continue", "timeout", "timeoutSeconds", "pretty", "includeObject", "resourceVersion", "resourceVersionMatch"}
)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer. ``token`` asks for the next part and is empty on the last; ``remaining`` counts the rows of those."""

    result: Result
    token: str = ""
    remaining: int = 0


@dataclass(frozen=True, slots=True)
class _Kept:
    result: Result
    question: bytes


class Pager:
    """The answers kept for clients that are reading them page by page.

    At most ``max_rows`` rows are kept in all, for ``ttl`` seconds each; the least recently read answer goes first. An answer that
    alone is larger is sent whole, as a server may.
    """

    def __init__(self, max_rows: int = 250_000, ttl: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_rows = max_rows
        self._key = secrets.token_bytes(32)
        self._process = secrets.token_bytes(8)
        self._kept: TTLCache[bytes, _Kept] = TTLCache(max_rows, ttl, timer=clock, getsizeof=lambda kept: len(kept.result.rows))

    @property
    def rows(self) -> int:
        """Rows kept at the moment."""
        self._kept.expire()
        return int(self._kept.currsize)

    def first(self, question: str, result: Result, limit: int) -> Page:
        """The first page of a fresh answer; all of it when ``limit`` is 0 or it fits."""
        if not 0 < limit < len(result.rows) or len(result.rows) > self._max_rows:
            return Page(result)
        identity = secrets.token_bytes(8)
        kept = _Kept(result, _digest(question))
        self._kept[identity] = kept
        return self._page(identity, kept, 0, limit)

    def resume(self, question: str, token: str, limit: int) -> Page:
        """The page a token asks for.

        Raises :class:`BadQuery` for a token that was not given out for this very question, and :class:`Expired` when its answer
        is gone.
        """
        identity, process, offset, signature = _unpack(token)
        if process != self._process:
            raise _expired()
        if not hmac.compare_digest(signature, self._sign(identity, offset, _digest(question))):
            raise _not_valid()
        kept = self._kept.get(identity)
        if kept is None:
            raise _expired()
        return self._page(identity, kept, offset, limit)

    def _page(self, identity: bytes, kept: _Kept, offset: int, limit: int) -> Page:
        rows = kept.result.rows
        end = offset + limit if limit else len(rows)
        part = replace(kept.result, rows=rows[offset:end])
        if end >= len(rows):
            return Page(part)
        token = _BODY.pack(identity, self._process, end) + self._sign(identity, end, kept.question)
        return Page(part, urlsafe_b64encode(token).decode(), len(rows) - end)

    def _sign(self, identity: bytes, offset: int, question: bytes) -> bytes:
        signed = _BODY.pack(identity, self._process, offset) + question
        return hmac.digest(self._key, signed, "sha256")[:_MAC_BYTES]


def question_key(info: RequestInfo, query: Mapping[str, str]) -> str:
    """What makes two requests the same question: the path, and every parameter that changes which rows are meant."""
    asked = sorted((key, value) for key, value in query.items() if key not in _NOT_THE_QUESTION)
    return repr((info.namespace, info.parts, asked))


def _digest(question: str) -> bytes:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()


def _unpack(token: str) -> tuple[bytes, bytes, int, bytes]:
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _not_valid() from error
    # The decoder skips what is not base64; only the spelling that was given out counts.
    if len(raw) != _BODY.size + _MAC_BYTES or urlsafe_b64encode(raw).decode() != token:
        raise _not_valid()
    identity, process, offset = _BODY.unpack_from(raw)
    return identity, process, offset, raw[_BODY.size :]


def _not_valid() -> BadQuery:
    return BadQuery("continue key is not valid")


def _expired() -> Expired:
    return Expired("The provided continue parameter is too old to display a consistent list result: list again without it")
