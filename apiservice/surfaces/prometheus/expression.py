"""The part of PromQL that is answered: selectors, and ``vector(1)`` and ``1+1``, which clients send to see whether anybody is there.

Everything else of PromQL is told apart from what is no PromQL at all: the former cannot be evaluated here, the latter nowhere.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

from apiservice.surfaces.prometheus.selector import NAME, Comparison, Matcher, Selector
from apiservice.surfaces.prometheus.tokens import BadSyntax, Token, bad_syntax, read_tokens
from metrics_api.errors import BadQuery

__all__ = ["BadSyntax", "Expression", "NotEvaluated", "Scalar", "Vector", "parse_expression", "parse_selector"]

_DEEPEST = 100
_LONGEST = 32 * 1024
"""Characters of a query. Half of them may be terms of a sum, which take a while to add up."""

_MOST_MATCHERS = 100
_COMPARISONS = frozenset(comparison.value for comparison in Comparison)
_BEFORE_GROUPS = frozenset({"by", "without"})
_BETWEEN = frozenset({"and", "or", "unless", "atan2"})
_BINARY = frozenset({"==", "!=", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "^"})
_ORDER: dict[str, int] = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
_SIGNED = 3
_CALCULATE: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
    "^": math.pow,
}


class NotEvaluated(Exception):
    """It is PromQL, and more than is evaluated here; the message says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:.17g}"


@dataclass(frozen=True, slots=True)
class Vector:
    """A number as the one element of a vector without labels."""

    value: float

    def __str__(self) -> str:
        return f"vector({self.value:.17g})"


Expression = Scalar | Vector | Selector


def parse_expression(query: str) -> Expression:
    """Read a query. Raises :class:`BadSyntax` and :class:`NotEvaluated`, and nothing else."""
    if len(query) > _LONGEST:
        raise NotEvaluated(f"a query of {len(query):,} characters is not evaluated here: {_LONGEST:,} are the most")
    parser = _Parser(query)
    found = parser.expression(0, 0)
    parser.end()
    return found


def parse_selector(text: str) -> Selector:
    """Read what must be a selector, as the values of ``match[]`` are. Raises as above."""
    found = parse_expression(text)
    if isinstance(found, Selector):
        return found
    raise bad_syntax(text, 0, "expected a selector of series")


class _Parser:
    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = read_tokens(query)
        self._token = next(self._tokens)

    def end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected()

    def expression(self, least: int, depth: int) -> Expression:
        """What binds at least so tightly."""
        if depth > _DEEPEST:
            raise self._bad(f"nested more than {_DEEPEST} deep")
        if self._token.value in ("+", "-") and self._token.kind == "sign":
            sign = self._take()
            signed = self._number(self.expression(_SIGNED, depth + 1), sign)
            found: Expression = Scalar(-signed.value if sign.value == "-" else signed.value)
        else:
            found = self._operand(depth)
        while self._is_sign(*_BINARY) or (self._token.kind == "name" and self._token.value.lower() in _BETWEEN):
            sign = self._token
            order = _ORDER.get(sign.value)
            if order is None:
                raise self._beyond(f'"{sign.value}"')
            if order < least:
                break
            self._take()
            left = self._number(found, sign)
            # Powers are taken from the right.
            right = self._number(self.expression(order if sign.value == "^" else order + 1, depth + 1), sign)
            found = self._calculated(sign.value, left.value, right.value)
        return found

    def _operand(self, depth: int) -> Expression:
        token = self._token
        if token.kind == "number":
            return Scalar(_value_of(self._take().value))
        if token.kind == "text":
            raise self._beyond("a string by itself")
        if token.kind == "duration":
            raise self._bad(f'unexpected duration "{token.value}"')
        if self._is_sign("("):
            self._take()
            found = self.expression(0, depth + 1)
            self._close()
            return found
        if token.kind == "name" and token.value.lower() in ("inf", "nan"):
            raise self._beyond("a number that is none (NaN) or has no end (Inf)")
        if token.kind == "name" or self._is_sign("{"):
            return self._named(depth)
        raise self._unexpected()

    def _named(self, depth: int) -> Expression:
        name = ""
        if self._token.kind == "name":
            name = self._take().value
            if self._is_sign("("):
                return self._call(name, depth)
            if self._token.kind == "name" and self._token.value.lower() in _BEFORE_GROUPS:
                raise self._beyond(f"{name}()")
        matchers = [Matcher(NAME, Comparison.EQUAL, name)] if name else []
        if self._is_sign("{"):
            matchers += self._matchers(named=bool(name))
        if all(matcher.accepts("") for matcher in matchers):
            raise self._bad("vector selector must contain at least one non-empty matcher")
        if self._is_sign("["):
            raise self._beyond("a range of samples ([5m])")
        if self._is_sign("@"):
            raise self._beyond("the modifier @")
        if self._token.kind == "name" and self._token.value.lower() == "offset":
            raise self._beyond("the modifier offset")
        return Selector(tuple(matchers))

    def _call(self, name: str, depth: int) -> Expression:
        if name != "vector":
            raise self._beyond(f"{name}()")
        self._take()
        found = self.expression(0, depth + 1)
        if not isinstance(found, Scalar):
            raise self._bad('expected type scalar in call to function "vector"')
        self._close()
        return Vector(found.value)

    def _matchers(self, *, named: bool) -> list[Matcher]:
        self._take()
        found: list[Matcher] = []
        while not self._is_sign("}"):
            label = self._take()
            if label.kind not in ("name", "text") or (label.kind == "name" and ":" in label.value):
                raise self._bad(f"unexpected {_told(label)} in label matching, expected a label", label)
            if label.kind == "text" and self._is_sign(",", "}"):
                found.append(Matcher(NAME, Comparison.EQUAL, label.value))
            else:
                found.append(self._matcher(label.value))
            if named and found[-1].label == NAME and found[-1].comparison is Comparison.EQUAL:
                raise self._bad("metric name must not be set twice", label)
            if len(found) > _MOST_MATCHERS:
                raise NotEvaluated(f"a selector of more than {_MOST_MATCHERS} matchers is not evaluated here")
            if not self._is_sign("}"):
                self._expect(",", "in label matching")
        self._take()
        return found

    def _matcher(self, label: str) -> Matcher:
        sign = self._take()
        if sign.kind != "sign" or sign.value not in _COMPARISONS:
            raise self._bad(f"unexpected {_told(sign)} in label matching, expected one of = != =~ !~", sign)
        value = self._take()
        if value.kind != "text":
            raise self._bad(f"unexpected {_told(value)} in label matching, expected string", value)
        try:
            return Matcher(label, Comparison(sign.value), value.value)
        except BadQuery as error:
            raise self._bad(f"error parsing regexp: {error.message}", value) from error

    def _calculated(self, sign: str, left: float, right: float) -> Scalar:
        try:
            value = _CALCULATE[sign](left, right)
        except (ArithmeticError, ValueError):
            value = math.nan
        if not math.isfinite(value):
            raise NotEvaluated(f"{left:.17g} {sign} {right:.17g} is no finite number")
        return Scalar(value)

    def _number(self, found: Expression, sign: Token) -> Scalar:
        if isinstance(found, Scalar):
            return found
        raise self._beyond(f'"{sign.value}" with anything but numbers')

    def _take(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._token = next(self._tokens)
        return token

    def _is_sign(self, *values: str) -> bool:
        return self._token.kind == "sign" and self._token.value in values

    def _close(self) -> None:
        if self._token.kind == "end":
            raise self._bad("unclosed left parenthesis")
        self._expect(")", "in parenthesised expression")

    def _expect(self, sign: str, where: str) -> None:
        if not self._is_sign(sign):
            raise self._bad(f'unexpected {_told(self._token)} {where}, expected "{sign}"')
        self._take()

    def _unexpected(self) -> BadSyntax:
        return self._bad(f"unexpected {_told(self._token)}")

    def _bad(self, problem: str, token: Token | None = None) -> BadSyntax:
        return bad_syntax(self._query, (token or self._token).at, problem)

    def _beyond(self, what: str) -> NotEvaluated:
        return NotEvaluated(
            f"{what} is not evaluated here: this is no PromQL engine, and answers plain selectors, such as "
            'trafficmetrics_success_ratio{namespace="shop", kind="Deployment", name="web"}; for the rest of PromQL let a Prometheus scrape '
            "…/prometheus/metrics and ask that"
        )


def _value_of(text: str) -> float:
    try:
        value = float(int(text, 16)) if text[:2] in ("0x", "0X") else float(text)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise NotEvaluated(f"{text[:40]} is no finite number")
    return value


def _told(token: Token) -> str:
    return "end of input" if token.kind == "end" else f"<{token.value[:40]}>"
