"""Selectors of series: a name and label matchers, as PromQL has them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from apiservice.surfaces.pattern import Pattern

__all__ = ["NAME", "Comparison", "Matcher", "Selector", "quoted"]

NAME = "__name__"
"""The label that holds the name of the metric."""

_METRIC = re.compile(r"(?!(?:inf|nan)\Z)[A-Za-z_:][A-Za-z0-9_:]*", re.IGNORECASE | re.ASCII)
"""Names that are written as they are; two words of letters are numbers."""

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


class Comparison(StrEnum):
    """How a label is compared; the values are PromQL's operators. Regular expressions match the whole value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of a label with a value. A series without the label has the empty value.

    Raises :class:`metrics_api.errors.BadQuery` for a regular expression that is none.
    """

    label: str
    comparison: Comparison
    value: str
    pattern: Pattern | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        matches = self.comparison in (Comparison.MATCHES, Comparison.MATCHES_NOT)
        object.__setattr__(self, "pattern", Pattern(self.value) if matches else None)

    def accepts(self, value: str) -> bool:
        """Whether a series that has this value is selected."""
        same = value == self.value if self.pattern is None else self.pattern.matches(value)
        return same is (self.comparison in (Comparison.EQUAL, Comparison.MATCHES))

    @property
    def only(self) -> Collection[str] | None:
        """The values that it accepts when it lists them; None when they are any others than some, or cannot be listed."""
        if self.comparison is Comparison.EQUAL:
            return frozenset({self.value})
        return self.pattern.values if self.pattern is not None and self.comparison is Comparison.MATCHES else None

    def __str__(self) -> str:
        label = self.label if _LABEL.fullmatch(self.label) else quoted(self.label)
        return f"{label}{self.comparison.value}{quoted(self.value)}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of matchers; the name of the metric is one of them."""

    matchers: tuple[Matcher, ...]

    def about(self, label: str) -> tuple[Matcher, ...]:
        """The matchers of one label."""
        return tuple(matcher for matcher in self.matchers if matcher.label == label)

    def accepts(self, labels: Mapping[str, str], among: Iterable[str] | None = None) -> bool:
        """Whether a series with these labels is selected, as far as the labels ``among`` them say; None is all."""
        return all(
            matcher.accepts(labels.get(matcher.label, "")) for matcher in self.matchers if among is None or matcher.label in among
        )

    def allows(self, label: str, value: str) -> bool:
        """Whether a series may have this value of one label."""
        return all(matcher.accepts(value) for matcher in self.about(label))

    def only(self, label: str) -> frozenset[str] | None:
        """The values that a label may have, when the matchers list them; None when it may be any others than some."""
        listed = [found for matcher in self.about(label) if (found := matcher.only) is not None]
        return frozenset(value for value in listed[0] if self.allows(label, value)) if listed else None

    def __str__(self) -> str:
        """The selector in PromQL: the same to whoever reads it."""
        names = self.about(NAME)
        plain = len(names) == 1 and names[0].comparison is Comparison.EQUAL and _METRIC.fullmatch(names[0].value) is not None
        inside = ", ".join(str(matcher) for matcher in self.matchers if not plain or matcher.label != NAME)
        return (names[0].value if plain else "") + (f"{{{inside}}}" if inside or not plain else "")


def quoted(text: str) -> str:
    """A text as a string of PromQL."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
