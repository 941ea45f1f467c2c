"""Objects of the fleet by their paths, for questions about one of them."""

from __future__ import annotations

from tests.controlplane.served.ownership.truth import Key, Row

__all__ = ["OBJECTS", "of"]

OBJECTS = {
    "/namespaces/mall": ("Namespace", "mall"),
    "/nodes/rack-a": ("Node", "rack-a"),
    "/nodes/rack-b": ("Node", "rack-b"),
    "/namespaces/mall/pods/api-blue-6b4c5-4mzqv": ("Pod", "api-blue-6b4c5-4mzqv"),
    "/namespaces/mall/pods/probe": ("Pod", "probe"),
    "/namespaces/mall/services/api": ("Service", "api"),
    "/namespaces/mall/deployments/web": ("Deployment", "web"),
    "/namespaces/mall/deployments/api-blue": ("Deployment", "api-blue"),
    "/namespaces/mall/deployments/api-green": ("Deployment", "api-green"),
    "/namespaces/mall/replicasets/web-5d4f7c9b8d": ("ReplicaSet", "web-5d4f7c9b8d"),
    "/namespaces/mall/replicasets/canary-85f6d7b9c4": ("ReplicaSet", "canary-85f6d7b9c4"),
    "/namespaces/mall/replicasets/widow-5f6d8": ("ReplicaSet", "widow-5f6d8"),
    "/namespaces/mall/replicationcontrollers/relic": ("ReplicationController", "relic"),
    "/namespaces/mall/statefulsets/cart": ("StatefulSet", "cart"),
    "/namespaces/mall/daemonsets/logs": ("DaemonSet", "logs"),
    "/namespaces/mall/jobs/reindex": ("Job", "reindex"),
    "/namespaces/mall/cronjobs/nightly": ("CronJob", "nightly"),
    "/namespaces/vault/deployments/web": ("Deployment", "web"),
}
"""By their paths: their kinds and names."""


def of(path: str, rows: dict[Key, Row]) -> dict[Key, Row]:
    """The rows of the object with that path."""
    kind, name = OBJECTS[path]
    namespace = path.split("/")[2] if kind not in ("Namespace", "Node") else ""
    return {key: row for key, row in rows.items() if key[0] == (kind, namespace, name)}
