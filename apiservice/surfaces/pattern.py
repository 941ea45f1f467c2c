"""Regular expressions of readers, in the language of Prometheus and Grafana's Go: RE2, matched against whole values in linear time.

Who may ask may write what they like: no expression may keep the server from answering others, as Python's own could.
"""

from __future__ import annotations

import re
from functools import lru_cache

import re2

from metrics_api.errors import BadQuery

__all__ = ["Pattern"]

_LONGEST = 10_000  # characters
_MEMORY = 1 << 20  # bytes that the states of one expression may take
_KEPT = 128
"""Expressions that are kept compiled, each with as much memory as its states have taken."""

_TOKEN = re.compile(r"\\.|.|\\", re.DOTALL)
_PLAIN = re.compile(r"[^\\.+*?()|\[\]{}^$]|\\[^0-9A-Za-z]", re.DOTALL)
"""A character that means itself, or that is escaped because it would not."""
_GROUP = re.compile(r"\((?:\?:)?((?:[^()\\]|\\.)*)\)", re.DOTALL)

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = _MEMORY
# A dot matches a newline, too, as in Prometheus 3.
_OPTIONS.dot_nl = True


class Pattern:
    r"""One expression. Raises :class:`metrics_api.errors.BadQuery` for what is none, or is too large.

    ``values`` are the only ones that it matches, when it just lists some: ``web``, ``web|api``, ``(web|api\.v2)``; None otherwise.
    """

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise BadQuery(f'the regular expression "{text[:40]}..." is longer than {_LONGEST} characters')
        self.text = text
        self.values = _listed(text)
        self._matches = _compiled(text).fullmatch

    def matches(self, value: str) -> bool:
        """Whether all of a value matches."""
        return value in self.values if self.values is not None else self._matches(value) is not None


@lru_cache(maxsize=_KEPT)
def _compiled(text: str) -> re2._Regexp:
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as error:
        (reason, *_) = error.args or (error,)
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise BadQuery(f'"{text[:100]}" is not a regular expression of RE2, as Prometheus has them: {told}') from error


def _listed(text: str) -> frozenset[str] | None:
    text = text.removeprefix("^")
    if text.endswith("$") and not _escapes(text[:-1]):
        text = text[:-1]
    inner = _GROUP.fullmatch(text)
    values = [""]
    for token in _TOKEN.findall(inner[1] if inner else text):
        if token == "|":
            values.append("")
        elif _PLAIN.fullmatch(token):
            values[-1] += token[-1]
        else:
            return None
    return frozenset(values)


def _escapes(text: str) -> bool:
    """Whether a text ends in the backslash of what comes next."""
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1
