"""The graph that a query wants: its edges, and what each node received altogether as far as the query reads that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apiservice.result import Result
from apiservice.surfaces.grafana.choice import ALL
from apiservice.surfaces.grafana.nodegraph import Drawing, draw
from apiservice.surfaces.grafana.reads import kinds_of, reads_of
from apiservice.surfaces.grafana.wanted import Wanted
from apiservice.surfaces.reading import Asked
from metrics_api.errors import BadQuery
from metrics_api.graph import Node, graph
from metrics_api.resources import EVERYTHING, SPLIT_KINDS
from metrics_api.window import Window

__all__ = ["graph_reads", "graph_rows"]


def graph_reads(wanted: Wanted, scope: str, window: Window) -> tuple[Asked, ...]:
    """What is read for a graph: edges, and the totals of all that may be an end of one. Raises as :func:`reads_of`."""
    kinds = set(kinds_of(wanted))
    if split := kinds & set(SPLIT_KINDS):
        raise BadQuery(f"what a {min(split)} divides is traffic of Services and workloads: draw services or workloads")
    totals = replace(wanted.totals(), filters=tuple(each for each in wanted.filters if each.key == "namespace"))
    if "Namespace" not in kinds:
        # A peer has numbers of its own, too; namespaces are read one after the other.
        totals = replace(totals, names=ALL)
    return tuple(dict.fromkeys((*reads_of(wanted, scope, window), *reads_of(totals, scope, window))))


def graph_rows(wanted: Wanted, results: Iterable[Result]) -> Drawing:
    """The drawing of what was read. Resources without any edge are in it, too, unless it is edges that are chosen among."""
    rows = [row for result in results for row in result.rows]
    edges = [row for row in rows if row.edge.peer != EVERYTHING and wanted.has(row)]
    received = {Node(row.cluster, row.resource): row for row in rows if row.edge.peer == EVERYTHING}
    totals = wanted.totals()
    narrowed = not wanted.peers.everything or any(each.about_edges for each in wanted.filters)
    alone = [] if narrowed else [row for row in received.values() if totals.has(row)]
    return draw(graph(edges, alone), received)
