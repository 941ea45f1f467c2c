"""Edges of a service mesh that has ended, as configuration names them: CloudWatch lists no metric that was silent for two weeks."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_api.document import Node

__all__ = ["MeshEdge", "read_mesh_edge"]

_KEYS = ("from", "to", "service", "gateway", "dimensions")


@dataclass(frozen=True, slots=True)
class MeshEdge:
    """A virtual node, or with ``gateway`` a virtual gateway, and the virtual node it calls.

    ``service`` is the virtual service by which it does: None for the one that is called as the callee is in Kubernetes, "" where metrics
    do not name it. ``dimensions`` are further dimensions that the metrics have, such as ``host``.
    """

    caller: str
    callee: str
    service: str | None = None
    gateway: bool = False
    dimensions: tuple[tuple[str, str], ...] = ()


def read_mesh_edge(node: Node) -> MeshEdge:
    """``{from: front_shop, to: orders_shop, service: orders.shop.svc.cluster.local}``; mistakes go to the node's problems."""
    entries = node.mapping(_KEYS, required=("from", "to"))
    for key in ("from", "to"):
        if key in entries and entries[key].value == "":
            entries[key].problem("name a virtual node, as front_shop")
    return MeshEdge(
        caller=entries["from"].text() if "from" in entries else "",
        callee=entries["to"].text() if "to" in entries else "",
        service=entries["service"].text() if "service" in entries else None,
        gateway=entries["gateway"].boolean(default=False) if "gateway" in entries else False,
        dimensions=tuple(sorted(entries["dimensions"].text_mapping().items())) if "dimensions" in entries else (),
    )
