"""What Istio's sidecars, gateways and waypoints expose for the fleet, the labels that scraping gives them, and what they tell.

Source: istio/proxy, source/extensions/filters/http/istio_stats; istio/istio, samples/addons.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import BOUNDS
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen

__all__ = ["WAYPOINT", "Istio"]

WAYPOINT = Workload("shop", "waypoint", "Deployment", (Pod("waypoint-7c9d6b7f4-m8x2v", 1.0, "node-a"),), "7c9d6b7f4")
"""The proxy before the ambient workloads of its namespace."""


class Istio(Mesh):
    """Both ends name both ends, as workloads whose kind nobody tells."""

    name = "istio"
    bounds = tuple(float(bound) / 1000 for bound in BOUNDS)
    extra = (WAYPOINT,)
    # A caller's service is in no label, and pods and nodes are those of the reporting proxy.
    never: ClassVar = {TOTAL: frozenset(), TO: frozenset({"Service"}), FROM: frozenset(), CALLERS: frozenset({"Pod", "Node"})}

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Of the reporting pod. The sample addon names it ``pod``, the sample PodMonitor ``pod_name``; each scrapes one namespace here."""
        name = "pod" if workload.namespace == "shop" else "pod_name"
        return {"namespace": workload.namespace, name: pod.name, "node": pod.node, "app": workload.name}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Everything one proxy exposes. An ambient workload has none; a gateway reports what it sends and nothing of what it gets."""
        if workload.ambient:
            return
        for flow in FLOWS:
            if workload == WAYPOINT and isinstance(flow.server, Workload) and flow.server.ambient:
                yield from _requests(flow, "waypoint", 1.0)
            if flow.server == workload and not workload.gateway:
                yield from _requests(flow, "destination", pod.share)
            if flow.client == workload:
                yield from _requests(flow, "source", pod.share)
        yield counter("istio_agent_pilot_xds_send_err_type_total", {"type": "unknown"}, 1.0)
        yield counter(
            "istio_tcp_sent_bytes_total", {"reporter": "destination", **_source(workload), "request_protocol": "tcp"}, 5e6
        )

    def reports(self, flow: Flow, side: str) -> bool:
        """An ambient workload's caller side has no proxy, and before its own side stands a waypoint; a gateway reports what it sends."""
        if side == "client":
            return isinstance(flow.client, Workload) and not flow.client.ambient
        return isinstance(flow.server, Workload) and not flow.server.gateway

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """Either end by its workload, the callee by the service it was called by too; pods and nodes are those of a sidecar itself."""
        thing, pod = seen.end(which)
        if kind == "Service":
            called = which == "server" and isinstance(thing, Workload | Orphan)
            return ResourceRef(kind, thing.namespace, thing.name) if called else None
        if not isinstance(thing, Workload):
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Pod" | "Node":
                if pod is None or thing.ambient or seen.side != which:
                    return None
                return ResourceRef(kind, "", pod.node) if kind == "Node" else ResourceRef(kind, thing.namespace, pod.name)
            case _:
                return ResourceRef("Workload", thing.namespace, thing.name) if kind in WORKLOAD_KINDS else None


def _requests(flow: Flow, reporter: str, share: float) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        result = outcome.client if reporter == "source" else outcome.server
        if result is None or (flow.idle and result.failed):
            continue
        labels = {
            "reporter": reporter,
            **_source(flow.client),
            **_destination(flow),
            "request_protocol": "http" if result.grpc is None else "grpc",
            "response_code": str(result.code),
            "grpc_response_status": "" if result.grpc is None else str(result.grpc),
            "response_flags": _flags(result),
            "connection_security_policy": _security(flow, reporter),
        }
        yield counter("istio_requests_total", labels, rate * share)
        seen = flow.at_client if reporter == "source" else flow.at_server
        yield from histogram("istio_request_duration_milliseconds", labels, BOUNDS, rate * share, seen, 0.001)
        yield counter("istio_response_bytes_sum", labels, rate * share * 811)


def _source(client: Workload | Outside) -> dict[str, str]:
    if isinstance(client, Outside):
        return {
            "source_workload": "unknown",
            "source_canonical_service": "unknown",
            "source_workload_namespace": "unknown",
            "source_principal": "unknown",
            "source_app": "unknown",
            "source_cluster": "unknown",
        }
    return {
        "source_workload": client.name,
        "source_canonical_service": client.name,
        "source_workload_namespace": client.namespace,
        "source_principal": f"spiffe://cluster.local/ns/{client.namespace}/sa/{client.name}",
        "source_app": client.name,
        "source_cluster": "Kubernetes",
    }


def _destination(flow: Flow) -> dict[str, str]:
    server = flow.server
    if isinstance(server, External):
        # The host of a ServiceEntry in the namespace of the caller.
        return _nobody(server.host, server.host, "shop")
    if isinstance(server, Orphan):
        # Without a healthy endpoint no namespace is known.
        return _nobody(f"{server.name}.{server.namespace}.svc.cluster.local", server.name, "unknown")
    return {
        "destination_workload": server.name,
        "destination_workload_namespace": server.namespace,
        "destination_principal": f"spiffe://cluster.local/ns/{server.namespace}/sa/{server.name}",
        "destination_app": server.name,
        "destination_service": f"{server.name}.{server.namespace}.svc.cluster.local",
        "destination_service_name": server.name,
        "destination_service_namespace": server.namespace,
        "destination_cluster": "Kubernetes",
    }


def _nobody(host: str, name: str, namespace: str) -> dict[str, str]:
    return {
        "destination_workload": "unknown",
        "destination_workload_namespace": "unknown",
        "destination_principal": "unknown",
        "destination_app": "unknown",
        "destination_service": host,
        "destination_service_name": name,
        "destination_service_namespace": namespace,
        "destination_cluster": "unknown",
    }


def _flags(result: Result) -> str:
    if result.local:
        return "UT" if result.code == 504 else "UF"
    return "-" if result.code else "DC"


def _security(flow: Flow, reporter: str) -> str:
    if reporter == "source":
        return "unknown"
    return "none" if isinstance(flow.client, Outside) else "mutual_tls"
