"""Who calls whom, as Grafana's node graph draws it: one table of nodes, one of edges, and no edge without both of its ends.

Names of fields have meanings there: ``arc__`` are the parts of the circle around a node and ``detail__`` stands in its menu
(grafana/grafana, docs/sources/panels-visualizations/visualizations/node-graph/index.md). Statistics are texts, which are shown as they
are by every data source; details are numbers, rates from 0 to 1 and latencies in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apiservice.surfaces.grafana.frames import Field, Frame
from metrics_api.golden import Golden, golden
from metrics_api.graph import Graph, Link, Node
from metrics_api.objects import TrafficMetrics
from metrics_api.table import ABSENT, RESOURCE_COLUMNS, cells

__all__ = ["EDGE_FIELDS", "MOST_NODES", "NODE_FIELDS", "Drawing", "GraphField", "draw"]

MOST_NODES = 1_500
"""Grafana shows no more nodes (grafana/grafana, public/app/plugins/panel/nodeGraph/NodeGraph.tsx)."""

_THICKEST = 6.0


@dataclass(frozen=True, slots=True)
class GraphField:
    """One field of nodes or edges. ``type`` is string or number, ``unit`` one of Grafana's, ``color`` that of an arc."""

    name: str
    type: str = "string"
    title: str = ""
    unit: str = ""
    color: str = ""

    def config(self) -> dict[str, Any]:
        """The configuration of the field in a frame."""
        config: dict[str, Any] = {}
        if self.title:
            config["displayName"] = self.title
        if self.unit:
            config["unit"] = self.unit
        if self.color:
            config["color"] = {"mode": "fixed", "fixedColor": self.color}
        return config

    def declared(self) -> dict[str, str]:
        """The field as the Node Graph API data source declares it (hoptical/nodegraph-api-plugin, README.md)."""
        made = {"field_name": self.name, "type": self.type, "displayName": self.title, "color": self.color}
        return {name: value for name, value in made.items() if value}


_DETAILS = (
    GraphField("detail__requests_per_second", "number", "Requests per second", "reqps"),
    GraphField("detail__success_rate", "number", "Success rate", "percentunit"),
    GraphField("detail__p50_response_latency", "number", "Latency, p50", "s"),
    GraphField("detail__p90_response_latency", "number", "Latency, p90", "s"),
    GraphField("detail__p99_response_latency", "number", "Latency, p99", "s"),
)

NODE_FIELDS: tuple[GraphField, ...] = (
    GraphField("id"),
    GraphField("title"),
    GraphField("subTitle"),
    GraphField("mainStat", title="Requests received"),
    GraphField("secondaryStat", title="Success, p99"),
    GraphField("arc__success", "number", "Success", "percentunit", "green"),
    GraphField("arc__failure", "number", "Failure", "percentunit", "red"),
    GraphField("arc__none", "number", "No traffic, or unknown", "percentunit", "gray"),
    GraphField("detail__namespace", title="Namespace"),
    GraphField("detail__kind", title="Kind"),
    GraphField("detail__cluster", title="Cluster"),
    *_DETAILS,
)

EDGE_FIELDS: tuple[GraphField, ...] = (
    GraphField("id"),
    GraphField("source"),
    GraphField("target"),
    GraphField("mainStat", title="Requests"),
    GraphField("secondaryStat", title="Success, p99"),
    GraphField("thickness", "number"),
    GraphField("detail__side", title="Observed by"),
    *_DETAILS,
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """``nodes`` and ``edges`` by the names of their fields; ``remarks`` say what was left out."""

    nodes: Sequence[Mapping[str, Any]] = ()
    edges: Sequence[Mapping[str, Any]] = ()
    remarks: tuple[str, ...] = ()

    def frames(self, ref_id: str, notices: Sequence[str]) -> list[Frame]:
        """The two frames of a node graph."""
        meta = {"preferredVisualisationType": "nodeGraph"}
        return [
            Frame(ref_id, "nodes", _columns(NODE_FIELDS, self.nodes), meta, notices),
            Frame(ref_id, "edges", _columns(EDGE_FIELDS, self.edges), meta),
        ]

    def document(self) -> dict[str, Any]:
        """Both as plain objects. Infinity takes the colour of an arc from a column beside it."""
        colors = {f"{each.name}_color": each.color for each in NODE_FIELDS if each.color}
        return {"nodes": [{**node, **colors} for node in self.nodes], "edges": list(self.edges)}


def draw(graph: Graph, totals: Mapping[Node, TrafficMetrics]) -> Drawing:
    """The drawing of a graph. ``totals`` are what nodes received altogether; of a node without, that is unknown.

    Beyond :data:`MOST_NODES` those with most traffic are kept, with the edges between them.
    """
    traffic = _traffic(graph, totals)
    nodes = sorted(graph.nodes, key=lambda node: (-traffic[node], node))[:MOST_NODES]
    kept = set(nodes)
    links = [link for link in graph.links if link.client in kept and link.server in kept]
    remarks: tuple[str, ...] = ()
    if len(nodes) < len(graph.nodes):
        told = (
            f"the graph has {len(graph.nodes)} nodes and Grafana draws {MOST_NODES}: these have most traffic; choose a namespace, a kind "
            "or a name to see others"
        )
        remarks = (told,)
    most = max((_rps(golden(link.row)) for link in links), default=0.0)
    return Drawing([_node(node, totals.get(node)) for node in sorted(nodes)], [_edge(link, most) for link in links], remarks)


def _traffic(graph: Graph, totals: Mapping[Node, TrafficMetrics]) -> dict[Node, float]:
    """How many requests a second each node has to do with: what it received, or what is seen of it at its links if that is more."""
    received = {node: _rps(golden(totals[node])) if node in totals else 0.0 for node in graph.nodes}
    linked = dict.fromkeys(graph.nodes, 0.0)
    for link in graph.links:
        for end in {link.client, link.server}:
            linked[end] += _rps(golden(link.row))
    return {node: max(received[node], linked[node]) for node in graph.nodes}


def _rps(numbers: Golden) -> float:
    return numbers.requests_per_second or 0.0


def _node(node: Node, row: TrafficMetrics | None) -> dict[str, Any]:
    resource = node.resource
    numbers = golden(row) if row is not None else Golden(*[None] * len(Golden._fields))
    success, failure = numbers.success_rate, numbers.failure_ratio
    return {
        "id": node.id,
        "title": resource.name,
        "subTitle": " ".join(part for part in (resource.kind.lower(), resource.namespace, node.cluster) if part),
        **_stats(row),
        "arc__success": success or 0.0,
        "arc__failure": failure or 0.0,
        "arc__none": 1.0 if success is None else 0.0,
        "detail__namespace": resource.namespace,
        "detail__kind": resource.kind,
        "detail__cluster": node.cluster,
        **_details(numbers),
    }


def _edge(link: Link, most: float) -> dict[str, Any]:
    numbers = golden(link.row)
    share = math.sqrt(_rps(numbers) / most) if most else 0.0
    return {
        "id": f"{link.client.id}->{link.server.id}",
        "source": link.client.id,
        "target": link.server.id,
        **_stats(link.row),
        "thickness": round(1 + (_THICKEST - 1) * share, 1),
        "detail__side": link.row.edge.side.value,
        **_details(numbers),
    }


def _details(numbers: Golden) -> dict[str, float | None]:
    return {
        "detail__requests_per_second": numbers.requests_per_second,
        "detail__success_rate": numbers.success_rate,
        "detail__p50_response_latency": numbers.p50,
        "detail__p90_response_latency": numbers.p90,
        "detail__p99_response_latency": numbers.p99,
    }


def _stats(row: TrafficMetrics | None) -> dict[str, str]:
    """The two figures inside a node and beside an edge, as kubectl shows them."""
    names = [each.name for each in RESOURCE_COLUMNS]
    shown = dict(zip(names, cells(row, RESOURCE_COLUMNS), strict=True)) if row is not None else dict.fromkeys(names, ABSENT)
    health = " ".join(text for text in (shown["Success"], shown["P99"]) if text != ABSENT)
    return {"mainStat": shown["RPS"], "secondaryStat": health or ABSENT}


def _columns(fields: Sequence[GraphField], rows: Sequence[Mapping[str, Any]]) -> list[Field]:
    return [Field(each.name, each.type, [row[each.name] for row in rows], config=each.config()) for each in fields]
