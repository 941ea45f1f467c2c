"""What is watched: each kind, in which API group and versions, and whether its metadata is all that is needed of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WATCHED", "Watched"]


@dataclass(frozen=True, slots=True)
class Watched:
    """One kind. ``whole`` is whether more than its metadata is read; ``paths`` are where all of them are listed, one for each version.

    Of the versions the first that a cluster has is used: a path that answers 404 leads to the next.
    """

    kind: str
    resource: str
    """As rules of RBAC and kubectl name it: ``pods``, ``deployments.apps``."""
    paths: tuple[str, ...]
    whole: bool = False

    def __str__(self) -> str:
        return self.resource


def _watched(kind: str, plural: str, group: str = "", *versions: str, whole: bool = False) -> Watched:
    root = f"/apis/{group}" if group else "/api"
    paths = tuple(f"{root}/{version}/{plural}" for version in versions or ("v1",))
    return Watched(kind, f"{plural}.{group}" if group else plural, paths, whole)


_SMI, _GATEWAY = "split.smi-spec.io", "gateway.networking.k8s.io"

WATCHED: tuple[Watched, ...] = (
    _watched("Namespace", "namespaces"),
    _watched("Node", "nodes"),
    _watched("Pod", "pods", whole=True),
    _watched("Service", "services"),
    _watched("ReplicationController", "replicationcontrollers"),
    _watched("Deployment", "deployments", "apps"),
    _watched("ReplicaSet", "replicasets", "apps"),
    _watched("StatefulSet", "statefulsets", "apps"),
    _watched("DaemonSet", "daemonsets", "apps"),
    _watched("Job", "jobs", "batch"),
    _watched("CronJob", "cronjobs", "batch"),
    _watched("EndpointSlice", "endpointslices", "discovery.k8s.io", whole=True),
    _watched("TrafficSplit", "trafficsplits", _SMI, "v1alpha4", "v1alpha3", "v1alpha2", "v1alpha1", whole=True),
    _watched("HTTPRoute", "httproutes", _GATEWAY, "v1", "v1beta1", whole=True),
    _watched("GRPCRoute", "grpcroutes", _GATEWAY, "v1", "v1alpha2", whole=True),
)
"""Everything the inventory knows of. Versions of routes: ``servicemeshinterface/smi-spec``, ``kubernetes-sigs/gateway-api``."""
