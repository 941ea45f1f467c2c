"""What was chosen of names: one, several, all, or those a pattern describes, in each of the ways in which Grafana writes a variable.

A variable in the text of a query or in the query builder is written as a regular expression, ``web`` or ``(web|api)`` with everything
special escaped, in JSON as a list, and elsewhere as ``{web,api}`` or ``web,api`` (grafana/grafana,
packages/grafana-data/src/types/templateVars.ts and public/app/features/templating/formatVariableValue.ts).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apiservice.surfaces.pattern import Pattern
from metrics_api.errors import BadQuery

__all__ = ["ALL", "Choice", "parse_choice"]

_EVERYTHING = frozenset({"", "*", ".*", ".+", "()", "All", "$__all"})
_SPECIAL = frozenset("\\^$|?*+()[]{}")
_NAME = re.compile(r"[A-Za-z0-9._@:/-]+")
_VARIABLE = re.compile(r"\$\{?\w|\[\[\w+\]\]")
_LONGEST = 100_000  # characters: more than the names of all workloads of a cluster


@dataclass(frozen=True, slots=True)
class Choice:
    """The names that are ``listed``, and those that one of ``patterns`` describes; everything when there are neither."""

    listed: frozenset[str] = frozenset()
    patterns: tuple[Pattern, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether there is nothing that was not chosen."""
        return not self.listed and not self.patterns

    @property
    def names(self) -> frozenset[str] | None:
        """All names that were chosen; None when only a look at what there is tells which they are."""
        return self.listed if self.listed and not self.patterns else None

    @property
    def only(self) -> str | None:
        """The one name that was chosen, or None."""
        return next(iter(self.listed)) if len(self.listed) == 1 and not self.patterns else None

    def has(self, name: str) -> bool:
        """Whether a name is among them."""
        return self.everything or name in self.listed or any(pattern.matches(name) for pattern in self.patterns)


ALL = Choice()


def parse_choice(given: Any, what: str) -> Choice:
    """The choice of ``what``, which an error names. :class:`metrics_api.errors.BadQuery` for what is none."""
    values = given if isinstance(given, list) else [given]
    names: set[str] = set()
    patterns: list[Pattern] = []
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
        if len(text) > _LONGEST:
            raise BadQuery(f"{what} is longer than {_LONGEST} characters: leave it out to choose everything")
        if _VARIABLE.search(text):
            raise BadQuery(f'{what} is "{text[:100]}": the dashboard has no variable of that name')
        found = _names(text)
        names.update(found or ())
        if found is None:
            patterns.append(_pattern(text, what))
    return Choice(frozenset(names), tuple(patterns))


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
        name, escaped = "", False
        for character in part.strip():
            if escaped and character.isalnum():
                return None
            if not escaped and character in _SPECIAL - {"\\"}:
                return None
            if not escaped and character == "\\":
                escaped = True
                continue
            name, escaped = name + character, False
        if escaped:
            return None
        if name:
            names.add(name)
    return names


def _alternatives(text: str) -> list[str]:
    """The text between those ``|`` that are not escaped."""
    parts, start, escaped = [], 0, False
    for at, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "|":
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
