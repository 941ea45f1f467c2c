"""The resources traffic is measured for, a closed list, and references to objects.

The list is that of the Service Mesh Interface, Traffic Metrics v1alpha1, and after it what the specification does not name: CronJobs, and
the routes of the Gateway API, which split traffic as a TrafficSplit does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

__all__ = [
    "ANY_WORKLOAD",
    "API_VERSION",
    "CALLED_HOST",
    "EVERYTHING",
    "GROUP",
    "JOINED_SERVICE",
    "RESOURCE_TYPES",
    "SPLIT_KINDS",
    "UNKNOWN",
    "VERSION",
    "WORKLOAD_KINDS",
    "ResourceRef",
    "ResourceType",
    "called_service",
    "host",
    "partings",
    "plural_of",
    "type_of_kind",
    "type_of_plural",
]

GROUP = "metrics.smi-spec.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ANY_WORKLOAD = "Workload"
"""Kind of a workload of which a source knows the name alone (Istio's ``destination_workload``, a cluster name).

It never reaches the wire: whoever knows the objects (Kubernetes, or the standalone default) replaces it.
"""

JOINED_SERVICE = "JoinedService"
"""Kind of a Service of which a source knows namespace and name only as one text with a hyphen between them (``shop-eu-api``).

It never reaches the wire either: :func:`partings` are what it may mean, and whoever knows the Services tells which of them it does.
"""


CALLED_HOST = "CalledHost"
"""Kind of whatever answers under a host name (``orders``, ``orders.shop.svc:8080``, ``api.example.com``), which a caller in the namespace
of the reference used; :func:`called_service` is the Service that it may mean. It never reaches the wire either.
"""


@dataclass(frozen=True, slots=True)
class ResourceType:
    """One row of the specification's list.

    ``group`` is the API group of the Kubernetes object itself, which is where labels and existence come from.
    """

    kind: str
    plural: str
    singular: str
    namespaced: bool
    group: str
    version: str = "v1"

    @property
    def metrics_kind(self) -> str:
        """The kind discovery gives this resource; distinct, because kubectl keeps one resource per kind."""
        return f"{self.kind}TrafficMetrics"


RESOURCE_TYPES: tuple[ResourceType, ...] = (
    ResourceType("Namespace", "namespaces", "namespace", namespaced=False, group=""),
    ResourceType("Node", "nodes", "node", namespaced=False, group=""),
    ResourceType("Pod", "pods", "pod", namespaced=True, group=""),
    ResourceType("ReplicationController", "replicationcontrollers", "replicationcontroller", namespaced=True, group=""),
    ResourceType("Service", "services", "service", namespaced=True, group=""),
    ResourceType("DaemonSet", "daemonsets", "daemonset", namespaced=True, group="apps"),
    ResourceType("Deployment", "deployments", "deployment", namespaced=True, group="apps"),
    ResourceType("ReplicaSet", "replicasets", "replicaset", namespaced=True, group="apps"),
    ResourceType("StatefulSet", "statefulsets", "statefulset", namespaced=True, group="apps"),
    ResourceType("Job", "jobs", "job", namespaced=True, group="batch"),
    ResourceType("TrafficSplit", "trafficsplits", "trafficsplit", namespaced=True, group="split.smi-spec.io", version="v1alpha4"),
    ResourceType("CronJob", "cronjobs", "cronjob", namespaced=True, group="batch"),
    ResourceType("HTTPRoute", "httproutes", "httproute", namespaced=True, group="gateway.networking.k8s.io"),
    ResourceType("GRPCRoute", "grpcroutes", "grpcroute", namespaced=True, group="gateway.networking.k8s.io"),
)

_BY_PLURAL = {row.plural: row for row in RESOURCE_TYPES}
_BY_KIND = {row.kind.lower(): row for row in RESOURCE_TYPES}

WORKLOAD_KINDS: tuple[str, ...] = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "ReplicaSet",
    "ReplicationController",
)
"""Kinds that own pods, the ones people name first: what ``trafficmetrics`` lists by default."""


SPLIT_KINDS: tuple[str, ...] = ("TrafficSplit", "HTTPRoute", "GRPCRoute")
"""Kinds that contain no pods: they divide what clients send among backends, and have one row for each backend."""


def type_of_plural(plural: str) -> ResourceType | None:
    """The resource type served under this path segment, or None."""
    return _BY_PLURAL.get(plural)


def type_of_kind(kind: str) -> ResourceType | None:
    """The resource type of this kind, in any capitalisation (old SMI clients write ``Daemonset``), or None."""
    return _BY_KIND.get(kind.lower())


def plural_of(kind: str) -> str:
    """What several objects of a kind are called, also of one that is not in the list."""
    row = type_of_kind(kind)
    return row.plural if row is not None else f"{kind.lower()}s"


class ResourceRef(NamedTuple):
    """An object as the API names it; empty strings stand for what does not apply.

    ``kind`` is spelt as Kubernetes spells it. A peer that is not a Kubernetes object has no kind, and
    its name is the host a source saw, or ``unknown``.
    """

    kind: str
    namespace: str
    name: str

    def wire(self) -> dict[str, str]:
        """The ObjectReference as sent: only what is known."""
        known: dict[str, str] = {}
        if self.kind:
            known["kind"] = self.kind
        if self.namespace:
            known["namespace"] = self.namespace
        if self.name:
            known["name"] = self.name
        return known


EVERYTHING = ResourceRef("", "", "")
"""The peer of a total: all traffic, whoever sent it."""

UNKNOWN = ResourceRef("", "", "unknown")
"""A peer that is outside the mesh and of which nothing is known."""


def partings(joined: ResourceRef) -> list[ResourceRef]:
    """The Services that a :data:`JOINED_SERVICE` may be: one for each hyphen that may be the one between namespace and name."""
    text = joined.name
    return [ResourceRef("Service", text[:at], text[at + 1 :]) for at in range(1, len(text) - 1) if text[at] == "-"]


_LABEL = "[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SERVICE_HOST = re.compile(
    rf"(?P<name>{_LABEL})(?:\.(?P<namespace>{_LABEL})(?P<svc>\.svc(?:\.{_LABEL})*\.?)?)?(?::[0-9]+)?", re.IGNORECASE
)


def called_service(called: ResourceRef) -> tuple[ResourceRef, bool] | None:
    """The Service that a :data:`CALLED_HOST` is the name of, and whether its form says that it is one; None when it cannot be one.

    A Service is called by its name in its own namespace, by ``name.namespace`` anywhere, and by ``name.namespace.svc`` with or without
    the cluster's domain behind it, which nothing else is called (Kubernetes, "DNS for Services and Pods").
    """
    match = _SERVICE_HOST.fullmatch(called.name)
    # The name of a Service begins with a letter, which keeps addresses out.
    if match is None or not match["name"][0].isalpha():
        return None
    return ResourceRef("Service", (match["namespace"] or called.namespace).lower(), match["name"].lower()), match["svc"] is not None


def host(name: str) -> ResourceRef:
    """A peer known by its host name alone."""
    return ResourceRef("", "", name)
