"""The graph as JSON, with plain numbers under the names that ``?format=numbers`` of the API has."""

from __future__ import annotations

import json
from typing import Any

from kubectl_traffic.health import Health, health_of
from kubectl_traffic.topology.scene import Scene
from metrics_api.graph import Node
from metrics_api.numbers import number_row

__all__ = ["document", "json_text"]

_OF_ROWS = ("direction", "side", "peerKind", "peerNamespace", "peerName")
"""What rows say of edges, and says nothing about nodes."""


def document(scene: Scene) -> dict[str, list[dict[str, Any]]]:
    """``nodes`` and ``edges``, sorted; ``client`` and ``server`` of an edge are the ``id`` of nodes.

    The numbers of a node are of all that it received, and there are none where that is not known. ``external`` is what is no object of
    Kubernetes.
    """
    graph, conditions = scene.graph, scene.conditions()
    return {
        "nodes": [_node(node, conditions[node], scene) for node in graph.nodes],
        "edges": [
            {"client": link.client.id, "server": link.server.id, "health": health_of(link.row).value, **number_row(link.row)}
            for link in graph.links
        ],
    }


def json_text(scene: Scene) -> str:
    """The document as text."""
    return json.dumps(document(scene), indent=2, ensure_ascii=False)


def _node(node: Node, health: Health, scene: Scene) -> dict[str, Any]:
    total = scene.totals.get(node)
    told = {name: value for name, value in number_row(total).items() if name not in _OF_ROWS} if total else {}
    return {
        "id": node.id,
        "external": not node.resource.kind,
        "health": health.value,
        **told,
        "namespace": node.resource.namespace,
        "kind": node.resource.kind,
        "name": node.resource.name,
        "cluster": node.cluster,
    }
