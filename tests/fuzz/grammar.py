"""Requests made up: from what the server's own OpenAPI document says can be asked, and from what can be wrong with that.

Everything is drawn from one :class:`random.Random`, so that the same seed gives the same requests. In each choice the first of the
alternatives is the harmless one: hypothesis, which can stand in for the generator, makes a failing request as plain as it can.
"""

from __future__ import annotations

import random
import re
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from tests.fuzz.values import ACCEPTS, GOOD, HEADERS, HOSTILE, METHODS, NAMES, NAMESPACES, UNENCODED, UNWELL
from tests.fuzz.wire import Request

__all__ = ["Grammar", "Shaped"]

_T = TypeVar("_T")
_Pairs = list[tuple[str, str]]
_Template = tuple[str, list[str]]

_VARIABLE = re.compile(r"\{(\w+)\}")
_UNTOLD = ("timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks", "includeObject", "watch", "exclude", "verbose", "hash")
_CONDITIONAL = frozenset(
    {"resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector", "edgeKind", "t", "time", "sendInitialEvents"}
)
"""Parameters whose values, though good, do not go with every path or every other parameter."""
_TOKENS = 64
_BODIES = (
    b"{}",
    b"",
    b'{"kind":"DeleteOptions"}',
    b"\0" * 100,
    b"k8s\0" + b"\xff" * 300,
    b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n",
)


@dataclass(frozen=True, slots=True)
class Shaped:
    """A request, and what is known of it.

    ``audit`` is the id its response must have, "" for any. ``namespace`` is the only one its rows may be in, "" for any. ``plain``
    says that nothing is wrong with it. ``turns`` says that it continues a list with a token that was given out for it.
    """

    request: Request
    audit: str = ""
    namespace: str = ""
    plain: bool = False
    turns: bool = False


class Grammar:
    """Makes requests up, from ``documented``, the paths of an OpenAPI 3 document, and ``others``, the paths beside the API."""

    def __init__(self, documented: Mapping[str, Any], others: Sequence[str], random: random.Random) -> None:
        self._documented = [
            (template, [each["name"] for each in item["parameters"] if each["in"] == "query"])
            for template, item in documented.items()
        ]
        self._lists = [each for each in self._documented if "limit" in each[1] and "{name}" not in each[0]]
        self._others = list(others)
        self._random = random
        self._tokens: deque[tuple[str, str, _Pairs, str]] = deque(maxlen=_TOKENS)
        self._asked: dict[str, tuple[str, str, _Pairs]] = {}

    def make(self) -> Shaped:
        """The next request."""
        namespace, plain, turns = "", True, False
        known: Sequence[str] = ()
        if self._tokens and self._rarely(0.03):
            path, namespace, pairs, token = self._pick(tuple(self._tokens))
            plain = turns = not self._rarely(0.5)
            pairs = [*pairs, ("limit", "1"), ("continue", token if turns else self._bent(token))]
        elif self._rarely(0.02):
            path, namespace, known, plain = self._documented_path(self._lists)
            pairs = [("limit", "1")]
        else:
            if self._rarely(0.1):
                path = self._other_path()
            else:
                path, namespace, known, plain = self._documented_path(self._documented)
            if self._rarely(0.08):
                path, plain, namespace = self._wrong_path(path), False, ""
            pairs, good = self._pairs(known)
            plain = plain and good and bool(known)
        target = self._target(path, pairs)
        if self._rarely(0.04) and b"watch" not in target:
            target, plain, namespace = self._bent_bytes(target), False, ""
            turns = False
        method = b"GET" if not self._rarely(0.15) else b"HEAD" if not self._rarely(0.6) else self._pick(METHODS)
        audit = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        headers, untouched, audit = self._headers(audit)
        body, headers = self._body(headers)
        if turns or (known and plain):
            self._remember(audit, path, namespace, pairs)
        request = Request(method, target, tuple(headers), body, b"HTTP/1.1" if not self._rarely(0.005) else b"HTTP/1.0")
        readable = untouched and method in (b"GET", b"HEAD")
        return Shaped(request, audit, namespace, plain and readable, turns and readable)

    def take(self, audit: str, token: str) -> None:
        """Keep a continue token that the response with this audit id gave out."""
        asked = self._asked.pop(audit, None)
        if asked is not None and token:
            self._tokens.append((*asked, token))

    # Choices

    def _rarely(self, share: float) -> bool:
        return self._random.random() > 1 - share

    def _pick(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._random.random() * len(choices))]

    def _hostile(self) -> str:
        return self._pick(HOSTILE) if not self._rarely(0.05) else self._pick(HOSTILE) + self._pick(HOSTILE)

    def _bent(self, text: str) -> str:
        """Text with something wrong at one place."""
        at = int(self._random.random() * (len(text) + 1))
        change = int(self._random.random() * 5)
        if change == 0:
            return text[:at]
        if change == 1:
            return text[:at] + self._pick("aA0-_=/+. \0é") + text[at + 1 :]
        if change == 2:
            return text[:at] + self._hostile() + text[at:]
        if change == 3:
            return text + text
        return text.swapcase()

    def _bent_bytes(self, target: bytes) -> bytes:
        at = 1 + int(self._random.random() * len(target))
        return target[:at] + self._pick(UNENCODED) + target[at:]

    # Where to

    def _other_path(self) -> str:
        path = self._pick(self._others)
        # The exposition is much larger than any other answer, so it is not asked for that often.
        return path if path != "/metrics" or self._rarely(0.05) else self._others[0]

    def _documented_path(self, templates: Sequence[_Template]) -> tuple[str, str, Sequence[str], bool]:
        """A path, the namespace it is in, the parameters it takes, and whether nothing is wrong with it."""
        template, known = self._pick(templates)
        given = {"namespace": NAMESPACES[0], "name": NAMES[0]}
        good = True
        if "{namespace}" in template:
            given["namespace"] = self._pick(NAMESPACES)
            if self._rarely(0.05):
                given["namespace"], good = self._pick(UNWELL), False
        if "{name}" in template:
            given["name"] = self._pick(NAMES)
        if self._rarely(0.05):
            good = False
            given[self._pick(tuple(given))] = self._hostile()
        path = _VARIABLE.sub(lambda variable: quote(given[variable[1]], safe="", errors="surrogatepass"), template)
        return path, given["namespace"] if good and "{namespace}" in template else "", known, good

    def _wrong_path(self, path: str) -> str:
        segments = path.split("/")
        at = int(self._random.random() * len(segments))
        change = int(self._random.random() * 8)
        if change == 0:
            segments[at] = quote(self._hostile(), safe="", errors="surrogatepass")
        elif change == 1:
            segments.insert(at + 1, quote(self._hostile(), safe="/%", errors="surrogatepass"))
        elif change == 2:
            del segments[at]
        elif change == 3:
            segments[at] += "%2F" + self._pick(("edges", "..", "web", ""))
        elif change == 4:
            segments.insert(at, self._pick(("", ".", "..", "proxy", "status", "finalize", "namespaces", "edges", "api", "apis")))
        elif change == 5:
            segments[at] = "".join(f"%{ord(letter):02x}" for letter in segments[at][:40] if letter.isascii())
        elif change == 6:
            segments[at] = segments[at].swapcase()
        else:
            segments *= self._pick((2, 3, 50))
        return "/" + "/".join(segments).lstrip("/") if not self._rarely(0.1) else "//" + "/".join(segments)

    def _pairs(self, known: Sequence[str]) -> tuple[_Pairs, bool]:
        """Parameters in an order of their own, and whether nothing is wrong with each of them."""
        pairs: _Pairs = []
        good = True
        for _ in range(int(self._random.random() ** 2 * 5)):
            names = known or _UNTOLD
            if self._rarely(0.2):
                good, names = False, _UNTOLD
            name = self._pick(names)
            value = self._pick(GOOD.get(name, HOSTILE))
            if self._rarely(0.25) and name != "watch":
                good, value = False, self._bent(value) if self._rarely(0.4) else self._hostile()
            if self._rarely(0.03):
                # Never a watch by chance: those take a second each and have a test of their own.
                good, name = False, self._hostile().replace("watch", "")
            good = good and name not in _CONDITIONAL and name not in dict(pairs)
            pairs.append((name, value))
            if self._rarely(0.03):
                good = False
                pairs *= self._pick((2, 2, 50))
        return pairs, good

    def _target(self, path: str, pairs: _Pairs) -> bytes:
        if not pairs:
            return path.encode() + (b"?" if self._rarely(0.01) else b"")
        style = quote_plus if not self._rarely(0.5) else quote
        query = "&".join(
            f"{style(name, safe='', errors='surrogatepass')}={style(value, safe='', errors='surrogatepass')}"
            for name, value in pairs
        )
        # What is encoded already would be another text if it were encoded again.
        if self._rarely(0.02) and "%" not in query:
            query = "".join(f"%{byte:02x}" if byte not in b"&=" else chr(byte) for byte in query.encode())
        return f"{path}?{query}".encode()

    # With what

    def _headers(self, audit: str) -> tuple[list[tuple[bytes, bytes]], bool, str]:
        """The headers, whether they change nothing but the form, and the audit id to expect."""
        headers = [(b"Host", b"localhost"), (b"Audit-Id", audit.encode()), (b"Accept", b"application/json")]
        untouched = True
        if self._rarely(0.3):
            untouched = False
            headers[2] = (b"Accept", self._pick(ACCEPTS) if not self._rarely(0.1) else self._header_value())
            if self._rarely(0.05):
                headers.append((b"Accept", self._pick(ACCEPTS)))
        if self._rarely(0.02):
            untouched = False
            headers[0] = (
                b"Host",
                self._pick((b"localhost:1", b"[::1]", b"127.0.0.1:65536", b"evil.example", b"", b"a" * 300, b"\xff", b"[", b":")),
            )
        for _ in range(int(self._random.random() ** 6 * 6)):
            untouched = False
            name = self._pick(tuple(HEADERS))
            value = self._pick(HEADERS[name]) if not self._rarely(0.1) else self._header_value()
            if name == b"Audit-Id":
                headers[1], audit = (name, value), ""
            else:
                headers.append((name, value))
        return headers, untouched, audit

    def _header_value(self) -> bytes:
        """Hostile text that is one header value: without what would end it."""
        return re.sub(rb"[\0\r\n]", b"", self._hostile().encode("utf-8", "surrogatepass"))[:30_000]

    def _body(self, headers: list[tuple[bytes, bytes]]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        if not self._rarely(0.04):
            return b"", headers
        body = self._pick(_BODIES)
        if not self._rarely(0.5):
            return body, [*headers, (b"Content-Length", str(len(body)).encode())]
        chunks = (b"%x;name=value\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\nTrailing: 1\r\n\r\n"
        return chunks, [*headers, (b"Transfer-Encoding", b"chunked")]

    def _remember(self, audit: str, path: str, namespace: str, pairs: _Pairs) -> None:
        if audit and "limit" in dict(pairs):
            kept = [(name, value) for name, value in pairs if name not in ("limit", "continue")]
            self._asked[audit] = path, namespace, kept
            if len(self._asked) > 1_000:
                self._asked.pop(next(iter(self._asked)))
