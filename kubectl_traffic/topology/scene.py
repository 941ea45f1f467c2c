"""What is drawn: a graph, what each of its nodes received in all, and where it is seen from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_traffic.health import Health, health_of
from metrics_api.graph import Graph, Link, Node
from metrics_api.objects import TrafficMetrics

__all__ = ["Scene", "around"]


@dataclass(frozen=True, slots=True)
class Scene:
    """``totals`` are what nodes received, where it is known; names are given as in the namespace ``home``, empty for none."""

    graph: Graph
    totals: Mapping[Node, TrafficMetrics] = field(default_factory=dict)
    home: str = ""

    def conditions(self) -> dict[Node, Health]:
        """The condition of each node: of what it received in all, or else the worst of what is told to have reached it."""
        found = dict.fromkeys(self.graph.nodes, Health.UNKNOWN)
        for link in self.graph.links:
            found[link.server] = min(found[link.server], health_of(link.row), key=lambda health: health.rank)
        return {node: health_of(self.totals[node]) if node in self.totals else health for node, health in found.items()}


def around(graph: Graph, centres: frozenset[Node], depth: int) -> Graph:
    """The neighbourhood of some nodes: what they call within so many calls, and what calls them."""
    links: set[int] = set()
    for towards in (True, False):
        seen, edge = set(centres), set(centres)
        for _ in range(depth):
            found = {at for at, link in enumerate(graph.links) if (link.client if towards else link.server) in edge}
            links |= found
            edge = {_far(graph.links[at], towards=towards) for at in found} - seen
            seen |= edge
            if not edge:
                break
    kept = tuple(link for at, link in enumerate(graph.links) if at in links)
    nodes = {*centres, *(link.client for link in kept), *(link.server for link in kept)}
    return Graph(tuple(node for node in graph.nodes if node in nodes), kept)


def _far(link: Link, *, towards: bool) -> Node:
    return link.server if towards else link.client
