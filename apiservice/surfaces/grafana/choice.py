"""What was chosen of names: one, several, all, or those a pattern describes, in each of the ways in which Grafana writes a variable.

A variable in the text of a query or in the query builder is written as a regular expression, ``web`` or ``(web|api)`` with everything
special escaped, in JSON as a list, and elsewhere as ``{web,api}`` or ``web,api`` (grafana/grafana,
packages/grafana-data/src/types/templateVars.ts and public/app/features/templating/formatVariableValue.ts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from apiservice.surfaces.pattern import Pattern
from metrics_api.errors import BadQuery

__all__ = ["ALL", "Choice", "parse_choice"]

_EVERYTHING = frozenset({"", "*", ".*", ".+", "()", "All", "$__all"})
_NAME = re.compile(r"[A-Za-z0-9._@:/-]+")
_LITERAL = re.compile(r"(?:[^\\^$|?*+()\[\]{}]|\\[\W_])*")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ALTERNATIVE = re.compile(r"(?:[^\\|]|\\.)*\\?", re.DOTALL)
_VARIABLE = re.compile(r"\$\{?\w|\[\[\w+\]\]")
_MOST_PATTERNS = 20
_LONGEST = 100_000  # characters: more than the names of all workloads of a cluster


@dataclass(frozen=True, slots=True)
class Choice:
    """The names that are ``listed``, and those that ``pattern`` describes; everything when there are neither."""

    listed: frozenset[str] = frozenset()
    pattern: Pattern | None = None

    @property
    def everything(self) -> bool:
        """Whether there is nothing that was not chosen."""
        return not self.listed and self.pattern is None

    @property
    def names(self) -> frozenset[str] | None:
        """All names that were chosen; None when only a look at what there is tells which they are."""
        return self.listed if self.listed and self.pattern is None else None

    @property
    def only(self) -> str | None:
        """The one name that was chosen, or None."""
        return next(iter(self.listed)) if len(self.listed) == 1 and self.pattern is None else None

    def has(self, name: str) -> bool:
        """Whether a name is among them."""
        return self.everything or name in self.listed or (self.pattern is not None and self.pattern.matches(name))


ALL = Choice()


def parse_choice(given: Any, what: str) -> Choice:
    """The choice of ``what``, which an error names. :class:`metrics_api.errors.BadQuery` for what is none."""
    values = given if isinstance(given, list) else [given]
    if sum(len(value) for value in values if isinstance(value, str)) > _LONGEST:
        raise BadQuery(f"{what} is longer than {_LONGEST} characters: leave it out to choose everything")
    names: set[str] = set()
    patterns: dict[str, None] = {}
    for value in values:
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise BadQuery(f'{what} is a name, several as "(web|api)" or ["web", "api"], or a pattern')
        text = str(value).strip()
        if text in _EVERYTHING:
            # One of several is empty when a variable has nothing to choose from.
            if len(values) == 1:
                return ALL
            continue
        if _VARIABLE.search(text):
            raise BadQuery(f'{what} is "{text[:100]}": the dashboard has no variable of that name')
        found = _names(text)
        names.update(found or ())
        if found is None:
            patterns[text] = None
    return Choice(frozenset(names), _either(tuple(patterns), what))


def _either(texts: Sequence[str], what: str) -> Pattern | None:
    """What describes all that one of ``texts`` does: one expression, which takes no longer to match for being made of many."""
    if len(texts) < 2:
        return _pattern(texts[0], what) if texts else None
    if len(texts) > _MOST_PATTERNS:
        raise BadQuery(f"{what} has {len(texts)} patterns: {_MOST_PATTERNS} is the most")
    for text in texts:
        # Each for itself: what is half of an expression must not become a whole one beside the other half.
        _pattern(text, what)
    return _pattern("|".join(f"(?:{text})" for text in texts), what)


def _pattern(text: str, what: str) -> Pattern:
    try:
        return Pattern(text)
    except BadQuery as error:
        raise BadQuery(f"{what}: {error.message}") from error


def _names(text: str) -> set[str] | None:
    """The names a text lists; None when it is a pattern. A dot is in many names, and by itself makes no pattern."""
    if _NAME.fullmatch(text):
        return {text}
    if text.startswith("{") and text.endswith("}") and "," in text:
        return _plain(text[1:-1].split(","))
    if "," in text and "|" not in text:
        return _plain(text.split(","))
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return _plain(_alternatives(text))


def _plain(parts: Iterable[str]) -> set[str] | None:
    """The names of which each is written as itself, with or without escapes; None when one is a pattern."""
    names: set[str] = set()
    for part in parts:
        text = part.strip()
        if not _LITERAL.fullmatch(text):
            return None
        names.add(_ESCAPED.sub(r"\1", text))
    return names - {""}


def _alternatives(text: str) -> list[str]:
    """The text between those ``|`` that are not escaped."""
    parts, start = [], 0
    while start <= len(text):
        match = _ALTERNATIVE.match(text, start)
        assert match is not None  # noqa: S101 it matches the empty text
        parts.append(match[0])
        start = match.end() + 1
    return parts
