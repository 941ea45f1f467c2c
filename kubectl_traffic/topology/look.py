"""How nodes and links look, in every form of the graph: what they are called, what is said of their traffic, and in which colour."""

from __future__ import annotations

from typing import NamedTuple

from kubectl_traffic.health import Health
from kubectl_traffic.sheet import clean
from metrics_api.graph import Node
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import UNKNOWN
from metrics_api.table import RESOURCE_COLUMNS, cells

__all__ = ["COLOURS", "Figures", "figures", "label"]

COLOURS = {
    Health.FAILING: ("red", "#c62828"),
    Health.DEGRADED: ("yellow", "#b26a00"),
    Health.HEALTHY: ("green", "#2e7d32"),
    Health.IDLE: ("dim", "#757575"),
    Health.UNKNOWN: ("dim", "#757575"),
}
"""For each condition the colour in a terminal, and that of a line on a white or a black page. The word always stands beside it."""


class Figures(NamedTuple):
    """What is said of some traffic, as ``kubectl get`` says it: ``100.00%``, ``1.8rps``, ``12ms``; ``-`` is unknown."""

    success: str
    rps: str
    p99: str


def figures(row: TrafficMetrics) -> Figures:
    """The figures of a row."""
    _, success, rps, _, _, p99, *_ = cells(row, RESOURCE_COLUMNS)
    return Figures(success, rps, p99)


def label(node: Node, home: str) -> str:
    """What people call a node: ``deployment/web``, with the namespace behind a point where that is another one than ``home``.

    What is no object of Kubernetes is said to be outside of the mesh.
    """
    resource = node.resource
    name = f"{resource.name}.{resource.namespace}" if resource.namespace and resource.namespace != home else resource.name
    if node.cluster:
        name = f"{name}@{node.cluster}"
    if resource.kind:
        return clean(f"{resource.kind.lower()}/{name}")
    return clean(f"{name} ({'outside the mesh' if resource.name == UNKNOWN.name else 'external'})")
