"""The words of PromQL, and what its strings say.

Source: prometheus/prometheus, promql/parser/lex.go; util/strutil/quote.go, which is Go's own ``strconv.Unquote`` with single quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["BadSyntax", "Token", "bad_syntax", "read_tokens"]

_TOKEN = re.compile(
    r"""
      (?P<space>   [ \t\r\n]+ | \#[^\r\n]* )
    | (?P<text>    "(?:[^"\\\n]|\\[^\n])*" | '(?:[^'\\\n]|\\[^\n])*' | `[^`]*` )
    | (?P<number>  0[xX][0-9a-fA-F]+ | (?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)? )(?![A-Za-z0-9_.])
    | (?P<duration> (?:[0-9]+(?:ms|[smhdwy]))+ )(?![A-Za-z0-9_])
    | (?P<name>    [A-Za-z_:][A-Za-z0-9_:]* )
    | (?P<sign>    =~ | !~ | != | == | <= | >= | [-+*/%^=<>(){}\[\],@:] )
    """,
    re.VERBOSE | re.ASCII,
)
_CONTROL = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_SURROGATE = re.compile("[\ud800-\udfff]")
_PART = re.compile(
    r"""
      (?P<plain> [^\\]+ )
    | \\ (?: x(?P<byte>[0-9a-fA-F]{2}) | (?P<octal>[0-7]{3}) | (?P<rune>u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}) | (?P<letter>.) )
    """,
    re.VERBOSE | re.DOTALL,
)


class BadSyntax(Exception):
    """It is no PromQL. The message begins with the line and the column, as Prometheus has them."""


class Token(NamedTuple):
    """A word: its ``kind`` (``text``, ``number``, ``duration``, ``name``, ``sign``, ``end``), what it says, and where it begins."""

    kind: str
    value: str
    at: int


def read_tokens(query: str) -> Iterator[Token]:
    """The words of a query, and at last its end. Raises :class:`BadSyntax`."""
    at = 0
    if not query.isprintable() and _SURROGATE.search(query):
        raise bad_syntax(query, 0, "the query is not UTF-8")
    while at < len(query):
        match = _TOKEN.match(query, at)
        if match is None or match.lastgroup is None:
            if query[at] in "\"'`":
                raise bad_syntax(query, at, "unterminated quoted string")
            raise bad_syntax(query, at, f"unexpected character: {query[at]!r}")
        if match.lastgroup == "text":
            yield Token("text", _said(query, match[0], at), at)
        elif match.lastgroup != "space":
            yield Token(match.lastgroup, match[0], at)
        at = match.end()
    yield Token("end", "", at)


def bad_syntax(query: str, at: int, problem: str) -> BadSyntax:
    """The error of a place in a query."""
    line = query.count("\n", 0, at) + 1
    column = at - (query.rfind("\n", 0, at) + 1) + 1
    return BadSyntax(f"{line}:{column}: parse error: {problem}")


def _said(query: str, text: str, at: int) -> str:
    """What a string says, without its quotes and escapes."""
    quote, body = text[0], text[1:-1]
    if quote == "`" or "\\" not in body:
        return body
    try:
        return b"".join(_bytes_of(match, quote) for match in _PART.finditer(body)).decode()
    except UnicodeDecodeError as error:
        raise bad_syntax(query, at, "a quoted string is not UTF-8") from error
    except _NoEscape as error:
        raise bad_syntax(
            query, at, f"unknown escape sequence {error} in a quoted string; for a backslash itself write two"
        ) from error


class _NoEscape(Exception):
    """An escape that means nothing."""


def _bytes_of(match: re.Match[str], quote: str) -> bytes:
    """The bytes of a part of a string: it is plain, or one of the escapes."""
    match match.lastgroup:
        case "plain":
            return match[0].encode()
        case "byte":
            return bytes([int(match["byte"], 16)])
        case "octal" if int(match["octal"], 8) < 0x100:
            return bytes([int(match["octal"], 8)])
        case "rune" if (code := int(match["rune"][1:], 16)) <= 0x10FFFF and not 0xD800 <= code < 0xE000:
            return chr(code).encode()
        case "letter" if match["letter"] == quote or match["letter"] in _CONTROL:
            return bytes([_CONTROL.get(match["letter"], ord(match["letter"]))])
        case _:
            raise _NoEscape(match[0])
