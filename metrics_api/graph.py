"""The graph of who talks to whom, out of rows of edges, in which most edges stand twice: as the caller's and as the callee's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from metrics_api.objects import TrafficMetrics
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, ResourceRef

__all__ = ["Graph", "Link", "Node", "graph"]

_MEANS_ITSELF = ":*+ "


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """An end of edges. ``cluster`` is empty for the one nobody had to name. What is outside of the mesh may have a name alone."""

    cluster: str
    resource: ResourceRef

    @property
    def id(self) -> str:
        """A name of its own among all nodes: ``shop/Deployment/web``, with ``@west`` behind it in another cluster.

        Names of hosts come from traffic, and may hold what parts others: it is percent-encoded.
        """
        parts = (self.resource.namespace, self.resource.kind, self.resource.name)
        path = "/".join(quote(part, safe=_MEANS_ITSELF) for part in parts if part)
        return f"{path}@{self.cluster}" if self.cluster else path


@dataclass(frozen=True, slots=True)
class Link:
    """The traffic from ``client`` to ``server``; ``row`` is the row of the API that tells of it, as one of its two ends has it."""

    client: Node
    server: Node
    row: TrafficMetrics


@dataclass(frozen=True, slots=True)
class Graph:
    """``nodes`` and ``links``, each once and sorted; the ends of every link are among the nodes."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]


def graph(edges: Iterable[TrafficMetrics], totals: Iterable[TrafficMetrics] = ()) -> Graph:
    """The graph of rows of edges; ``totals`` are rows of resources that belong in it, also where they have no edge.

    A pair of resources may exchange requests both ways, and each way is a link. Of two rows about the same requests the one that was
    observed at the server is taken, and of two such the callee's own (``from``); requests are never added.
    """
    links: dict[tuple[Node, Node], Link] = {}
    nodes: set[Node] = {Node(row.cluster, row.resource) for row in totals}
    for row in edges:
        own = Node(row.cluster, row.resource)
        nodes.add(own)
        if row.edge.peer == EVERYTHING:
            continue
        peer = Node(row.cluster, row.edge.peer)
        nodes.add(peer)
        client, server = (own, peer) if row.edge.direction is Direction.TO else (peer, own)
        link = Link(client, server, row)
        before = links.get((client, server))
        if before is None or _trust(link) < _trust(before):
            links[client, server] = link
    return Graph(tuple(sorted(nodes)), tuple(links[pair] for pair in sorted(links)))


def _trust(link: Link) -> tuple[bool, bool, bool]:
    """The order in which rows are believed, the best first: those with counts, then those of servers, then those of callees."""
    row = link.row
    counted = row.success is not None or row.failure is not None
    return (not counted, row.edge.side is not Side.SERVER, row.edge.direction is not Direction.FROM)
