"""What Envoys expose for the fleet under Consul, whose stats tags name both ends, and what that tells.

Source: hashicorp/consul, command/connect/envoy/bootstrap_config.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import EnvoyMesh, called, own_traffic, served
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Pod, Workload
from tests.doubles.mesh_series import Row
from tests.doubles.meshes import CALLERS, FROM, TO, TOTAL, WORKLOAD_KINDS, Seen

__all__ = ["Consul"]

_NOT_AS_CALLEES = frozenset({"Pod", "Node", *WORKLOAD_KINDS})


class Consul(EnvoyMesh):
    """Callees are known as services, and the reporting proxy by its own service too."""

    name = "consul"
    # Consul's clusters are named for services.
    never: ClassVar = {TOTAL: frozenset(), TO: frozenset(), FROM: _NOT_AS_CALLEES, CALLERS: _NOT_AS_CALLEES}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Envoy under Consul, with Kubernetes' namespaces mirrored; calls out of the mesh have no service to be counted under."""
        proxy = {
            "local_cluster": workload.name,
            "consul_source_service": workload.name,
            "consul_source_namespace": workload.namespace,
            "consul_source_partition": "default",
            "consul_source_datacenter": "dc1",
        }
        for flow in FLOWS:
            if flow.server == workload:
                yield from served({**proxy, "envoy_cluster_name": "local_app"}, flow, pod)
            if flow.client == workload:
                yield from called({**proxy, **_upstream(flow.server)}, flow, pod)
        for name in ("self_admin", "local_agent", "prometheus_backend", "exposed_cluster_8080"):
            yield from own_traffic({**proxy, "envoy_cluster_name": name})

    def reports(self, flow: Flow, side: str) -> bool:
        """Calls out of the mesh are counted under no service."""
        return super().reports(flow, side) and not (side == "client" and isinstance(flow.server, External))

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The reporting proxy by the labels of scraping and its service, a callee by its service."""
        thing, pod = seen.end(which)
        own = seen.side == which
        if (not own and which == "client") or not isinstance(thing, Workload | Orphan):
            return None
        if kind == "Service":
            return ResourceRef(kind, thing.namespace, thing.name)
        if own and isinstance(thing, Workload):
            return self.own(thing, pod, kind)
        return ResourceRef(kind, "", thing.namespace) if kind == "Namespace" else None


def _upstream(server: Workload | External | Orphan) -> dict[str, str]:
    if isinstance(server, External):
        return {"envoy_cluster_name": "original-destination"}
    target = f"{server.name}.{server.namespace}.dc1"
    return {
        "envoy_cluster_name": server.name,
        "consul_destination_service": server.name,
        "consul_destination_service_subset": "",
        "consul_destination_namespace": server.namespace,
        "consul_destination_partition": "default",
        "consul_destination_datacenter": "dc1",
        "consul_destination_routing_type": "internal",
        "consul_destination_trust_domain": "f622a0a8-fe46-be88-bc7e-50c9c2d8f7e4",
        "consul_destination_target": target,
        "consul_destination_full_target": f"{target}.internal.f622a0a8-fe46-be88-bc7e-50c9c2d8f7e4",
        "consul_service": server.name,
        "consul_namespace": server.namespace,
        "consul_datacenter": "dc1",
    }
