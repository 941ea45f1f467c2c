"""What the gateway of the fleet exposes when it is one of Gloo, and what that tells: its own requests, and the services it sent them to.

Source: solo-io/gloo, projects/gloo/pkg/translator/utils.go and network_filters.go, projects/gloo/pkg/plugins/kubernetes/uds_convert.go,
install/helm/gloo/templates/9-gateway-proxy-configmap.yaml.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import EnvoyMesh, called, listener, own_traffic
from tests.doubles.mesh_facts import FLOWS, Flow, Pod, Workload
from tests.doubles.mesh_series import Row
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, WORKLOAD_KINDS, Seen

__all__ = ["Gloo"]

_NOT_AS_CALLEES = frozenset({"Namespace", "Pod", "Node", *WORKLOAD_KINDS})
_NO_GATEWAYS = frozenset({"StatefulSet", "Job", "ReplicaSet", "ReplicationController"})


class Gloo(EnvoyMesh):
    """The gateway by the labels of scraping, callees by their service."""

    name = "gloo"
    never: ClassVar = {TOTAL: _NO_GATEWAYS, TO: _NO_GATEWAYS | {"Service"}, FROM: _NOT_AS_CALLEES, CALLERS: _NOT_AS_CALLEES}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Nobody has a proxy but gateways, which have listeners of their own besides."""
        if not workload.gateway:
            return
        for flow in FLOWS:
            if flow.server == workload:
                for prefix in ("http", "prometheus", "read_config"):
                    yield from listener(prefix, flow, pod)
            if flow.client == workload and isinstance(flow.server, Workload):
                yield from called({"envoy_cluster_name": _cluster(flow.server)}, flow, pod)
        for name in (
            "xds_cluster",
            "rest_xds_cluster",
            "admin_port_cluster",
            "wasm-cache",
            "gateway_proxy_sds",
            "extauth_gloo-system",
        ):
            yield from own_traffic({"envoy_cluster_name": name})

    def reports(self, flow: Flow, side: str) -> bool:
        """Gateways alone report."""
        end = flow.client if side == "client" else flow.server
        return isinstance(end, Workload) and end.gateway

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The gateway itself, or a service."""
        thing, pod = seen.end(which)
        if not isinstance(thing, Workload):
            return None
        if seen.side == which:
            return self.own(thing, pod, kind) if kind != "Service" else None
        return ResourceRef(kind, thing.namespace, thing.name) if kind == "Service" and which == "server" else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """A callee asked for as something else than a service is the name of its cluster."""
        thing, _ = seen.end(other)
        return ResourceRef("", "", _cluster(thing)) if isinstance(thing, Workload) and other == "server" else NOBODY


def _cluster(server: Workload) -> str:
    """One callee as the Edge API names clusters, the others as the Kubernetes Gateway API does."""
    upstream = f"{server.namespace}-{server.name}-8080_gloo-system"
    return upstream if server.name == "web" else f"kube-upstream_{upstream}_{server.namespace}_{server.name}_8080"
