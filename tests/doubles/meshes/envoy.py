"""What plain Envoys expose for the fleet, as sidecars and as a gateway, and what that tells.

Source: envoyproxy/envoy, docs/root/configuration/upstream/cluster_manager/cluster_stats.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import EnvoyMesh, called, listener, own_traffic, served
from tests.doubles.mesh_facts import FLOWS, External, Orphan, Pod, Workload
from tests.doubles.mesh_series import Row
from tests.doubles.meshes import CALLERS, FROM, TO, TOTAL, WORKLOAD_KINDS, Seen

__all__ = ["Envoy"]


class Envoy(EnvoyMesh):
    """Callees are known by the name of a cluster, callers by nobody but themselves."""

    name = "envoy"
    kindless_callees = True
    # Envoy knows its own pod, and the workload a cluster is named for.
    never: ClassVar = {
        TOTAL: frozenset(),
        TO: frozenset({"Service"}),
        FROM: frozenset({"Pod", "Node"}),
        CALLERS: frozenset({"Pod", "Node"}),
    }

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Plain Envoy: clusters are named ``name.namespace``, and what is left to DNS by its host."""
        for flow in FLOWS:
            if flow.server == workload:
                if workload.gateway:
                    yield from listener("ingress_http", flow, pod)
                else:
                    yield from served({"envoy_cluster_name": "local_app"}, flow, pod)
                    yield from listener("inbound_http", flow, pod)
            if flow.client == workload:
                yield from called({"envoy_cluster_name": _cluster(flow.server)}, flow, pod)
                yield from listener("egress_http", flow, pod)
        for name in ("xds_cluster", "sds-grpc", "admin", "prometheus_stats", "BlackHoleCluster"):
            yield from own_traffic({"envoy_cluster_name": name})

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The reporting proxy by the labels of scraping, a callee by its cluster: a workload without its kind, or a service."""
        thing, pod = seen.end(which)
        if seen.side == which:
            return self.own(thing, pod, kind) if isinstance(thing, Workload) else None
        if which == "client" or not isinstance(thing, Workload | Orphan):
            return None
        if kind == "Namespace":
            return ResourceRef(kind, "", thing.namespace)
        if isinstance(thing, Orphan):
            return ResourceRef(kind, thing.namespace, thing.name) if kind == "Service" else None
        return ResourceRef("Workload", thing.namespace, thing.name) if kind in WORKLOAD_KINDS else None


def _cluster(server: Workload | External | Orphan) -> str:
    if isinstance(server, External):
        return server.host
    if isinstance(server, Orphan):
        return f"outbound|8080||{server.name}.{server.namespace}.svc.cluster.local"
    return f"{server.name}.{server.namespace}"
