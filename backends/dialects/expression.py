"""Regular expressions that mean the same to a Prometheus, which speaks RE2, and to Python, which evaluates scraped series.

Both match the whole value. What only one of the two knows, or each reads differently, is refused when a dialect is loaded.

Source of the language: google/re2, doc/syntax.txt; golang/go, regexp/syntax.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["expression", "quote"]

_METACHARACTERS = re.compile(r"([\\.+*?()|\[\]{}^$])")
_MOST_REPEATS = 1000
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")

_TOKEN = re.compile(
    r"""
      \\.                                # an escape
    | \[ \^? \]? (?: \\. | \[:\^?\w+:\] | [^\]\\] )* \]    # a class of characters
    | \(\? (?: <[=!] | P[=>] | [a-zA-Z-]+ | . )?           # a group that is more than a group
    | [*+?}]\+                           # a quantifier that gives nothing back
    | \{ [0-9,]* (?=\})                  # a number of repeats
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
_FOREIGN = re.compile(
    r"""
      \\[0-9ZuUN].*                      # references back, octal numbers, escapes of Python's own
    | \[ .* (?: \[: | \\[0-9uUN] ) .*    # the same in a class, and classes by name
    | \(\? (?: [=!>#(] | <[=!] | P[=>] | [a-zA-Z-]*[aLux][a-zA-Z-]* )    # looks around and back, conditions, comments, flags
    | [*+?}]\+
    | \{,.*                              # RE2 takes it for text
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=4096)
def expression(text: str) -> re.Pattern[str]:
    """``text`` compiled, to be used with ``fullmatch``. ValueError when it is wrong, or not the same in both languages."""
    for token in _TOKEN.findall(text):
        if _FOREIGN.fullmatch(token):
            raise ValueError(f'"{text}" has "{token}", which RE2, the language of PromQL, does not know or reads differently')
        if token[0] == "{" and any(int(number) > _MOST_REPEATS for number in token[1:].split(",") if number):
            raise ValueError(f'"{text}" repeats more than {_MOST_REPEATS} times, which RE2, the language of PromQL, does not')
    if not text.isascii() and _IGNORES_CASE.search(text):
        raise ValueError(
            f'"{text}" ignores the case of letters outside ASCII, which are not the same in RE2, the language of PromQL'
        )
    try:
        # A dot matches a newline too, as in Prometheus 3; classes such as \d are those of ASCII.
        return re.compile(text, re.DOTALL | re.ASCII)
    except re.error as error:
        raise ValueError(f'"{text}" is not a regular expression: {error}') from error


def quote(value: str) -> str:
    """``value`` as a regular expression that matches just it, in RE2 and in Python."""
    return _METACHARACTERS.sub(r"\\\1", value)
