"""What a query may ask for by name, and in which unit Grafana shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apiservice.surfaces.grafana.choice import parse_choice
from metrics_api.errors import BadQuery
from metrics_api.golden import Golden

__all__ = ["METRICS", "TARGETS", "Form", "Metric", "Target", "find_target"]


class Form(StrEnum):
    """In which form an answer is wanted."""

    SERIES = "timeseries"
    TABLE = "table"
    GRAPH = "graph"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a row. ``unit`` is one of Grafana's (grafana/grafana, packages/grafana-data/src/valueFormats/categories.ts)."""

    name: str
    label: str
    unit: str
    value: Callable[[Golden], float | None]
    short: str = ""


METRICS: tuple[Metric, ...] = (
    Metric("requests_per_second", "Requests per second", "reqps", lambda of: of.requests_per_second, "rps"),
    Metric("success_rate", "Success rate", "percentunit", lambda of: of.success_rate, "success"),
    Metric("failure_ratio", "Failure ratio", "percentunit", lambda of: of.failure_ratio, "failures"),
    Metric("p50_response_latency", "Response latency, p50", "s", lambda of: of.p50, "p50"),
    Metric("p90_response_latency", "Response latency, p90", "s", lambda of: of.p90, "p90"),
    Metric("p99_response_latency", "Response latency, p99", "s", lambda of: of.p99, "p99"),
    Metric("success_count", "Successful requests in the window", "short", lambda of: of.success, "successes"),
    Metric("failure_count", "Failed requests in the window", "short", lambda of: of.failure, "failed"),
)
"""In the order in which tables have them. Rates and ratios are from 0 to 1, latencies in seconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a query may name. ``edges`` says that it is about edges unless the query says otherwise; ``form`` is the usual one."""

    name: str
    label: str
    metrics: tuple[Metric, ...]
    form: Form
    edges: bool = False


_TABLE = Target("golden_metrics", "Golden metrics, as a table", METRICS, Form.TABLE)
_EDGES = Target("edges", "Edges: who calls whom, as a table", METRICS, Form.TABLE, edges=True)
_GRAPH = Target("node_graph", "Node graph: who calls whom, drawn", METRICS, Form.GRAPH, edges=True)
_SINGLE = [Target(metric.name, metric.label, (metric,), Form.SERIES) for metric in METRICS]

TARGETS: tuple[Target, ...] = (*_SINGLE, _TABLE, _EDGES, _GRAPH)

_BY_NAME = {target.name: target for target in TARGETS} | {
    metric.short: target for metric, target in zip(METRICS, _SINGLE, strict=True) if metric.short in ("rps", "p50", "p90", "p99")
}


def find_target(given: Any) -> Target:
    """What a query names; several metrics, as a variable has them, are one target. BadQuery names what there is."""
    choice = parse_choice(given, "target")
    found = [_BY_NAME.get(name) for name in sorted(choice.names or ())]
    named = [target for target in found if target is not None]
    if not named or len(named) < len(found) or (len(named) > 1 and any(target not in _SINGLE for target in named)):
        raise BadQuery(f'"{str(given)[:100]}" is no metric: there are {_known(TARGETS)}')
    if len(named) == 1:
        return named[0]
    metrics = tuple(metric for metric in METRICS if any(metric in target.metrics for target in named))
    return Target("metrics", "Metrics", metrics, Form.SERIES)


def _known(targets: Sequence[Target]) -> str:
    return ", ".join(target.name for target in targets)
