"""Field selectors (``k8s.io/apimachinery/pkg/fields``, selector.go): ``k=v``, ``k==v``, ``k!=v``, a comma is AND.

In values a backslash escapes a backslash, a comma and an equals sign; nothing else may be escaped. Empty terms, and terms that
compare no field with nothing (``=``), say nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from metrics_api.errors import BadQuery

__all__ = ["FieldSelector", "FieldTerm"]


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One comparison; ``equal`` is False for ``!=``."""

    field: str
    value: str
    equal: bool

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'=' if self.equal else '!='}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of terms; the empty one matches everything."""

    terms: tuple[FieldTerm, ...] = ()

    @classmethod
    def parse(cls, text: str, known: Collection[str]) -> FieldSelector:
        """Read a selector over ``known`` fields; :class:`BadQuery` for bad syntax or a field that is not one of them."""
        read = (_term(part, text) for part in _parts(text) if part)
        terms = tuple(term for term in read if term.field or term.value)
        for term in terms:
            if term.field not in known:
                names = ", ".join(f'"{name}"' for name in known)
                raise BadQuery(f'"{term.field}" is not a known field selector: only {names}')
        return cls(terms)

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether every term holds; a field that is missing has the empty value."""
        return all((fields.get(term.field, "") == term.value) is term.equal for term in self.terms)

    def required(self, field: str) -> str | None:
        """The value this field must have, or None when the selector leaves it open."""
        return next((term.value for term in self.terms if term.field == field and term.equal), None)

    def mentions(self, prefix: str) -> bool:
        """Whether any term is about a field that starts with ``prefix``."""
        return any(term.field.startswith(prefix) for term in self.terms)

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __str__(self) -> str:
        return ",".join(map(str, self.terms))


def _parts(text: str) -> Iterator[str]:
    """Split at the commas that are not escaped."""
    start, escaped = 0, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            yield text[start:position]
            start = position + 1
    yield text[start:]


def _term(part: str, text: str) -> FieldTerm:
    for position in range(len(part)):
        for operator in ("!=", "==", "="):
            if part.startswith(operator, position):
                field, value = part[:position], part[position + len(operator) :]
                return FieldTerm(field, _unescape(value, text), operator != "!=")
    raise BadQuery(f'invalid field selector "{text}": "{part}" has no =, == or !=')


def _unescape(value: str, text: str) -> str:
    out: list[str] = []
    escaped = False
    for character in value:
        if escaped:
            if character not in "\\,=":
                raise BadQuery(f'invalid field selector "{text}": "\\{character}" is not an escape')
            out.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character in ",=":
            raise BadQuery(f'invalid field selector "{text}": "{character}" in a value must be escaped')
        else:
            out.append(character)
    if escaped:
        raise BadQuery(f'invalid field selector "{text}": it ends in the middle of an escape')
    return "".join(out)
