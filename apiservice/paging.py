"""Lists in pages: every page of one list comes from the same answer, however long the client takes between them.

A continue token says of which instant the answer is and how far it was read. An answer that does not fit a page is kept; when it is not
there any more, or the client has come to another replica, the sources are asked about that instant again, and the token tells whether
the rows are the same. It is signed together with the question, so that it can be neither made up nor used for another list; replicas
that share a secret take each other's tokens.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from apiservice.requestinfo import RequestInfo
from apiservice.result import Result
from apiservice.shortlived import ShortLived
from metrics_api.errors import BadQuery, Expired

__all__ = ["Page", "Pager", "question_key"]

_BODY = struct.Struct(">8s8sQQ")
_MAC_BYTES = 16  # a token of 48 bytes needs no padding in base64
_NOT_THE_QUESTION = frozenset(
    {
        "continue",
        "format",
        "includeObject",
        "limit",
        "pretty",
        "resourceVersion",
        "resourceVersionMatch",
        "timeout",
        "timeoutSeconds",
    }
)


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an answer. ``token`` asks for the next part and is empty on the last; ``remaining`` counts the rows of those."""

    result: Result
    token: str = ""
    remaining: int = 0


class _Snapshot(NamedTuple):
    """Which answer: to which question, of which instant, and a digest of which rows it has."""

    question: bytes
    instant: int
    rows: bytes


class Pager:
    """The answers kept for clients that are reading them page by page.

    At most ``max_rows`` rows are kept in all, for ``ttl`` seconds each; the least recently read answer goes first, and is asked for again
    when somebody goes on with it. An answer that alone is larger is sent whole, as a server may. A token is good for ``ttl`` seconds, too.
    ``secret`` gives the key that signs them; with none, they are good for this process alone. ``clock`` gives seconds that only grow,
    ``now`` Unix time.
    """

    def __init__(
        self,
        max_rows: int = 50_000,
        ttl: float = 300.0,
        *,
        secret: Callable[[], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._max_rows = max_rows
        self._ttl = ttl
        own = secrets.token_bytes(32)
        self._secret = secret or (lambda: own)
        self._now = now
        self._kept: ShortLived[_Snapshot, Result] = ShortLived(max_rows, ttl, lambda kept: len(kept.rows), clock)

    @property
    def rows(self) -> int:
        """Rows kept at the moment."""
        self._kept.expire()
        return int(self._kept.currsize)

    def first(self, question: str, result: Result, limit: int) -> Page:
        """The first page of a fresh answer; all of it when ``limit`` is 0 or it fits."""
        if not 0 < limit < len(result.rows) or len(result.rows) > self._max_rows:
            return Page(result)
        snapshot = _Snapshot(_digest(question), result.instant, _names(result))
        self._kept[snapshot] = result
        return self._page(snapshot, result, 0, limit)

    async def resume(
        self, question: str, token: str, limit: int, ask: Callable[[int], Awaitable[Result]], *, lasting: bool = False
    ) -> Page:
        """The page a token asks for; ``ask`` answers the question as of an instant, in Unix seconds.

        The token of a ``lasting`` question, which is about one past instant for ever, does not grow old.

        Raises :class:`BadQuery` for a token that was not given out for this very question, :class:`Expired` when its answer
        is gone, and what ``ask`` raises.
        """
        key, rows, instant, offset, signature = _unpack(token)
        if key != self._key_id():
            raise _expired()
        snapshot = _Snapshot(_digest(question), instant, rows)
        if not hmac.compare_digest(signature, self._sign(snapshot, offset)):
            raise _not_valid()
        kept = self._kept.get(snapshot)
        if kept is None:
            if not lasting and instant < self._now() - self._ttl:
                raise _expired()
            kept = await ask(instant)
            if (kept.instant, _names(kept)) != (instant, rows):
                raise _expired()
            self._kept[snapshot] = kept
        return self._page(snapshot, kept, offset, limit)

    def _page(self, snapshot: _Snapshot, kept: Result, offset: int, limit: int) -> Page:
        end = offset + limit if limit else len(kept.rows)
        part = replace(kept, rows=kept.rows[offset:end])
        if end >= len(kept.rows):
            return Page(part)
        token = _BODY.pack(self._key_id(), snapshot.rows, snapshot.instant, end) + self._sign(snapshot, end)
        return Page(part, urlsafe_b64encode(token).decode(), len(kept.rows) - end)

    def _key_id(self) -> bytes:
        return hmac.digest(self._secret(), b"the name of the key", "sha256")[:8]

    def _sign(self, snapshot: _Snapshot, offset: int) -> bytes:
        signed = _BODY.pack(self._key_id(), snapshot.rows, snapshot.instant, offset) + snapshot.question
        return hmac.digest(self._secret(), signed, "sha256")[:_MAC_BYTES]


def question_key(info: RequestInfo, query: Mapping[str, str]) -> str:
    """What makes two requests the same question: the path, and every parameter that changes which rows are meant."""
    asked = sorted((key, value) for key, value in query.items() if key not in _NOT_THE_QUESTION)
    return repr((info.namespace, info.parts, asked))


def _digest(question: str) -> bytes:
    return hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()


def _names(result: Result) -> bytes:
    """Which rows there are, in their order: pages of two answers fit together when these agree."""
    # None of these can hold a line break or a tab, or the digest would not tell one list from another.
    names = "\n".join(["\t".join((row.namespace, row.name, row.edge.direction, *row.edge.peer)) for row in result.rows])
    return _digest(names)[:8]


def _unpack(token: str) -> tuple[bytes, bytes, int, int, bytes]:
    try:
        raw = urlsafe_b64decode(token.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise _not_valid() from error
    # The decoder skips what is not base64; only the spelling that was given out counts.
    if len(raw) != _BODY.size + _MAC_BYTES or urlsafe_b64encode(raw).decode() != token:
        raise _not_valid()
    key, rows, instant, offset = _BODY.unpack_from(raw)
    return key, rows, instant, offset, raw[_BODY.size :]


def _not_valid() -> BadQuery:
    return BadQuery("continue key is not valid")


def _expired() -> Expired:
    return Expired("The provided continue parameter is too old to display a consistent list result: list again without it")
