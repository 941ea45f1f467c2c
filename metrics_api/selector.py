"""Label selectors, with the whole grammar of Kubernetes (``k8s.io/apimachinery/pkg/labels``, selector.go).

A comma is AND; ``k``, ``!k``, ``k=v``, ``k==v``, ``k!=v``, ``k in (a,b)``, ``k notin (a,b)``, ``k>5``, ``k<5``. The negative
forms match objects that lack the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from metrics_api.errors import BadQuery

__all__ = ["LabelSelector", "Operator", "Requirement"]

_TOKEN = re.compile(r"==|!=|[=!<>(),]|[^ \t\r\n=!<>(),]+")  # with spaces between them, these are all there can be
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_INTEGER = re.compile(r"[+-]?[0-9]{1,63}")  # a label value is no longer
_WORDS = frozenset({"in", "notin"})
_SYMBOLS = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})


class Operator(Enum):
    """How a requirement compares; the values are the words SubjectAccessReview and LabelSelector objects use."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"
    GREATER_THAN = "Gt"
    LESS_THAN = "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a selector; ``values`` is empty for existence, and holds one integer for ``>`` and ``<``."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels satisfies the term."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.GREATER_THAN:
                return value is not None and _is_integer(value) and int(value) > int(self.values[0])
            case Operator.LESS_THAN:
                return value is not None and _is_integer(value) and int(value) < int(self.values[0])

    def __str__(self) -> str:
        match self.operator:
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"
            case Operator.IN:
                return f"{self.key}={self.values[0]}" if len(self.values) == 1 else f"{self.key} in {self._set()}"
            case Operator.NOT_IN:
                return f"{self.key}!={self.values[0]}" if len(self.values) == 1 else f"{self.key} notin {self._set()}"
            case Operator.GREATER_THAN:
                return f"{self.key}>{self.values[0]}"
            case Operator.LESS_THAN:
                return f"{self.key}<{self.values[0]}"

    def _set(self) -> str:
        return f"({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements; the empty one matches everything."""

    requirements: tuple[Requirement, ...] = ()

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Read a selector; :class:`BadQuery` says what is wrong and where."""
        return cls(tuple(_Parser(text).selector()))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether every requirement holds for these labels."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


class _Parser:
    """Recursive descent over the tokens of one selector."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]
        self._at = 0

    def selector(self) -> list[Requirement]:
        requirements: list[Requirement] = []
        if not self._peek():
            return requirements
        while True:
            requirements.append(self._requirement())
            token = self._next()
            if token == "":
                return requirements
            if token != ",":
                raise self._error(f"found '{token}', expected: ',' or the end")
            if self._peek() in ("", ","):
                raise self._error(f"found '{self._peek()}', expected: a label key after ','")

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._next()
            return Requirement(self._key(), Operator.DOES_NOT_EXIST)
        key = self._key()
        operator = self._peek()
        if operator in ("", ","):
            return Requirement(key, Operator.EXISTS)
        self._next()
        if operator in ("=", "=="):
            return Requirement(key, Operator.IN, (self._value(),))
        if operator == "!=":
            return Requirement(key, Operator.NOT_IN, (self._value(),))
        if operator in _WORDS:
            return Requirement(key, Operator.IN if operator == "in" else Operator.NOT_IN, self._values())
        if operator in (">", "<"):
            bound = self._value()
            if not _is_integer(bound):
                raise self._error(f"'{bound}' after '{operator}' must be an integer")
            return Requirement(key, Operator.GREATER_THAN if operator == ">" else Operator.LESS_THAN, (bound,))
        raise self._error(f"found '{operator}', expected: '=', '!=', '==', 'in', 'notin', '>' or '<'")

    def _key(self) -> str:
        key = self._next()
        if key in _SYMBOLS or not key:
            raise self._error(f"found '{key}', expected: a label key")
        prefix, slash, name = key.rpartition("/")
        if slash and (len(prefix) > 253 or not _PREFIX.fullmatch(prefix)):
            raise self._error(f"'{key}' is not a label key: the part before '/' must be a DNS subdomain")
        if not _NAME.fullmatch(name):
            raise self._error(
                f"'{key}' is not a label key: the name must be 63 characters or less of letters, digits, '-', '_' and '.',"
                " beginning and ending with a letter or digit"
            )
        return key

    def _value(self) -> str:
        if self._peek() in ("", ",", ")"):
            return ""
        value = self._next()
        if value in _SYMBOLS:
            raise self._error(f"found '{value}', expected: a label value")
        if not _NAME.fullmatch(value):
            raise self._error(
                f"'{value}' is not a label value: it must be 63 characters or less of letters, digits, '-', '_' and '.',"
                " beginning and ending with a letter or digit"
            )
        return value

    def _values(self) -> tuple[str, ...]:
        if self._next() != "(":
            raise self._error("expected: '(' after 'in' or 'notin'")
        values = [self._value()]
        while True:
            token = self._next()
            if token == ")":
                return tuple(sorted(set(values)))
            if token != ",":
                raise self._error(f"found '{token}', expected: ',' or ')'")
            values.append(self._value())

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _error(self, why: str) -> BadQuery:
        return BadQuery(f'unable to parse label selector "{self._text}": {why}')


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63
