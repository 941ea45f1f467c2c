"""SEARCH, as far as sources of traffic use it, and labels with properties.

Rules: CloudWatch User Guide, "CloudWatch search expression syntax" (braces name the exact set of dimensions, double quotes match exactly,
metrics seen in the last two weeks) and "Using dynamic labels".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.doubles.cloudwatch import statistics
from tests.doubles.cloudwatch.errors import Refusal, validation
from tests.doubles.cloudwatch.store import MetricKey, Store

__all__ = ["MOST_FOUND", "TWO_WEEKS", "Found", "label", "search"]

TWO_WEEKS = 14 * 86400
MOST_FOUND = 500
MOST_TEXT = 1024
_MOST_EXPRESSION = 2048
MOST_PROPERTIES = 5

_OUTER = re.compile(
    r"\s*(?:REMOVE_EMPTY\s*\(\s*)?SEARCH\s*\(\s*'(?P<text>.*)'\s*,\s*'(?P<stat>[^']*)'\s*(?:,\s*(?P<period>\d+)\s*)?\)\s*\)?\s*",
    re.DOTALL,
)
_SCHEMA = re.compile(r"\s*\{(?P<schema>[^}]*)\}(?P<terms>.*)", re.DOTALL)
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_TERM = re.compile(rf"\s*(?:AND\s+)?(?P<name>{_QUOTED}|[A-Za-z0-9_.]+)\s*=\s*(?P<value>{_QUOTED})")
_PROPERTY = re.compile(r"\$\{PROP\('([^']*)'\)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """The metrics that an expression finds, in a fixed order, and what is asked of each."""

    metrics: tuple[MetricKey, ...]
    stat: str
    period: int


def search(expression: str, store: Store, now: float) -> Found:
    """What an expression finds; Refusal for what is none or is beyond this double."""
    if len(expression) > _MOST_EXPRESSION:
        raise validation(f"An expression must not be longer than {_MOST_EXPRESSION} characters.")
    outer = _OUTER.fullmatch(expression)
    schema = _SCHEMA.fullmatch(outer["text"]) if outer else None
    if outer is None or schema is None:
        raise Refusal("NotImplemented", f"the double of CloudWatch does not understand the expression {expression}", 501)
    if len(outer["text"]) > MOST_TEXT:
        raise validation(f"The search text must not be longer than {MOST_TEXT} characters.")
    statistics.check(outer["stat"])
    namespace, *names = (_unquoted(part.strip()) for part in schema["schema"].split(","))
    terms = _terms(schema["terms"], expression)
    metrics = [
        key
        for key, data in store.metrics.items()
        if key.namespace == namespace
        and {name for name, _ in key.dimensions} == set(names)
        and all(_has(key, name, value) for name, value in terms)
        and any(datum.visible <= now and now - datum.stamp <= TWO_WEEKS for datum in data)
    ]
    return Found(
        tuple(sorted(metrics, key=lambda key: (key.name, sorted(key.dimensions)))), outer["stat"], int(outer["period"] or 300)
    )


def _terms(text: str, expression: str) -> list[tuple[str, str]]:
    terms = []
    position = 0
    while text[position:].strip():
        term = _TERM.match(text, position)
        if term is None:
            raise Refusal(
                "NotImplemented", f"the double of CloudWatch does not understand {text[position:]!r} in {expression}", 501
            )
        terms.append((_unquoted(term["name"]), _unquoted(term["value"])))
        position = term.end()
    return terms


def _has(key: MetricKey, name: str, value: str) -> bool:
    return key.name == value if name == "MetricName" else (name, value) in key.dimensions


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def label(template: str | None, metric: MetricKey, stat: str, period: int) -> str:
    """The label of a result: the name of the metric, or the template with its properties filled in."""
    if template is None:
        return metric.name
    if len(_PROPERTY.findall(template)) > MOST_PROPERTIES:
        raise validation(f"A label can have {MOST_PROPERTIES} dynamic values.")
    properties = {"MetricName": metric.name, "Namespace": metric.namespace, "Stat": stat, "Period": str(period)}
    properties |= {f"Dim.{name}": value for name, value in metric.dimensions}
    return _PROPERTY.sub(lambda found: properties.get(found[1], ""), template)
