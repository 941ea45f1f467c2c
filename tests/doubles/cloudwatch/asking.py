"""Questions as clients of CloudWatch write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["dimensions", "expression", "points", "question"]


def dimensions(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Dimensions as the API has them."""
    return [{"Name": name, "Value": value} for name, value in values.items()]


def question(
    name: str, stat: str, of: Mapping[str, str], *, namespace: str = "Shop", period: int = 60, ident: str = "q", **further: Any
) -> dict[str, Any]:
    """A query of one statistic of one metric; ``further`` are members of the query, but Unit."""
    unit = {"Unit": further.pop("Unit")} if "Unit" in further else {}
    metric = {"Namespace": namespace, "MetricName": name, "Dimensions": dimensions(of)}
    return {"Id": ident, "MetricStat": {"Metric": metric, "Period": period, "Stat": stat} | unit} | further


def expression(text: str, *, ident: str = "q", **further: Any) -> dict[str, Any]:
    """A query with an expression; ``further`` are members of the query."""
    return {"Id": ident, "Expression": text} | further


def points(result: Mapping[str, Any]) -> dict[int, float]:
    """The values of one result by their stamps, in the order in which they came."""
    return {int(stamp.timestamp()): value for stamp, value in zip(result["Timestamps"], result["Values"], strict=True)}
