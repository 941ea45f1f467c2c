"""Label matchers: PromQL's four comparisons, evaluated here exactly as a Prometheus would."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from backends.dialects.expression import expression, quote
from backends.dialects.names import LABEL

__all__ = ["Comparison", "Matcher", "equal", "one_of", "parse_matchers"]

_MATCHER = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*|"[^"\\]*")\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*')
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}


class Comparison(StrEnum):
    """How a label is compared; the values are PromQL's operators. Regular expressions match the whole value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of a label with a value. A series without the label has the empty value."""

    label: str
    comparison: Comparison
    value: str

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a series with these labels is selected."""
        actual = labels.get(self.label, "")
        match self.comparison:
            case Comparison.EQUAL:
                return actual == self.value
            case Comparison.NOT_EQUAL:
                return actual != self.value
            case Comparison.MATCHES:
                return expression(self.value).fullmatch(actual) is not None
            case Comparison.MATCHES_NOT:
                return expression(self.value).fullmatch(actual) is None


def equal(label: str, value: str) -> Matcher:
    """The label has exactly this value, whatever characters are in it."""
    return Matcher(label, Comparison.EQUAL, value)


def one_of(label: str, values: Iterable[str]) -> Matcher:
    """The label has exactly one of these values; nothing in them is read as a regular expression."""
    options = list(values)
    if len(options) == 1:
        return equal(label, options[0])
    return Matcher(label, Comparison.MATCHES, "|".join(quote(option) for option in options))


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Matchers as PromQL writes them: ``direction="inbound", "@resource.k8s.pod.name"!=""``. ValueError says what is wrong."""
    body = text.strip().removeprefix("{").removesuffix("}").strip()
    matchers: list[Matcher] = []
    position = 0
    while position < len(body):
        match = _MATCHER.match(body, position)
        if match is None:
            raise ValueError(f'"{text}" is not a list of matchers such as direction="inbound", code!~"1.."')
        label, comparison, value = match[1].strip('"'), Comparison(match[2]), re.sub(r"\\.", _unescape, match[3])
        if not LABEL.fullmatch(label):
            raise ValueError(f'"{label}" is not a label name')
        if comparison in (Comparison.MATCHES, Comparison.MATCHES_NOT):
            expression(value)
        matchers.append(Matcher(label, comparison, value))
        position = match.end()
        if position < len(body):
            if body[position] != ",":
                raise ValueError(f'"{text}": expected a comma after {match[0].strip()}')
            position += 1
    return tuple(matchers)


def _unescape(match: re.Match[str]) -> str:
    try:
        return _ESCAPES[match[0]]
    except KeyError:
        # PromQL strings follow Go: "\d" is an error there; as a regular expression it is plain here.
        return match[0]
