"""The small words of a dialect file: names of labels and of metrics, one or several of them, and selectors."""

from __future__ import annotations

import re

from backends.dialects.dialect import Sign
from backends.dialects.matcher import parse_matchers
from backends.dialects.names import LABEL, METRIC
from metrics_api.document import Node

__all__ = ["label_name", "metric_name", "metric_names", "read_sign", "read_signs"]


def label_name(node: Node) -> str:
    """The name of a label."""
    return _matched(node, LABEL, "label")


def metric_name(node: Node) -> str:
    """The name of a metric."""
    return _matched(node, METRIC, "metric")


def metric_names(node: Node) -> tuple[str, ...]:
    """One metric, or a list of several."""
    if not isinstance(node.value, list):
        return (metric_name(node),)
    names = tuple(metric_name(item) for item in node.items())
    if not names:
        node.problem("name at least one metric")
    if len(set(names)) < len(names):
        node.problem("a metric that is named twice would count twice")
    return names


def read_signs(node: Node) -> tuple[Sign, ...]:
    """One selector, or a list of several, each ``metric`` or ``metric{label="value"}``."""
    nodes = node.items() if isinstance(node.value, list) else [node]
    return tuple(read_sign(item) for item in nodes)


def read_sign(node: Node) -> Sign:
    """One selector, ``metric`` or ``metric{label="value"}``."""
    return node.read(_sign, Sign(""))


def _sign(text: str) -> Sign:
    metric, brace, rest = text.partition("{")
    if not METRIC.fullmatch(metric) or (brace and not rest.endswith("}")):
        raise ValueError(f'"{text}" is not a selector such as requests_total{{reporter!=""}}')
    return Sign(metric, parse_matchers(rest[:-1]) if brace else ())


def _matched(node: Node, pattern: re.Pattern[str], what: str) -> str:
    text = node.text()
    if not pattern.fullmatch(text):
        node.problem(f'"{text}" is not a {what} name')
    return text
