"""What Envoys expose for the fleet under AWS App Mesh and its Kubernetes controller, and what that tells.

The proxies of the namespace ``shop`` have the metrics extension on, those of ``ledger`` the older tags.

Source: aws/aws-app-mesh-agent, agent/envoy_bootstrap (bootstrap.go, metric_filter); awsdocs/aws-app-mesh-user-guide, doc_source/metrics.md;
aws/eks-charts, stable/appmesh-prometheus/templates/config.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import BOUNDS, EnvoyMesh, called, listener, own_traffic, served
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Outcome, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, TO, TOTAL, Seen

__all__ = ["AppMesh"]

_MESH = "fleet-mesh"


class AppMesh(EnvoyMesh):
    """Virtual nodes at both ends, whatever kind of workload they select; services where the metrics extension is on."""

    name = "appmesh"
    never: ClassVar = {
        TOTAL: frozenset(),
        TO: frozenset({"Service"}),
        FROM: frozenset({"Pod", "Node"}),
        CALLERS: frozenset({"Pod", "Node"}),
    }

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """The proxy of a virtual node, or of a virtual gateway, which has no application but sends requests to itself once more."""
        return _tagged(_rows(workload, pod), _tags(workload))

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """What App Mesh's own Prometheus adds: pod labels, and its names for namespace and pod; the node besides."""
        return {
            "app": workload.name,
            "kubernetes_namespace": workload.namespace,
            "kubernetes_pod_name": pod.name,
            "node": pod.node,
        }

    def failed(self, result: Result) -> bool:
        """No gRPC status is counted."""
        return result.code >= 500 or result.code == 0

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """Both ends by their virtual node; pod and node of the proxy that reports; services by callers with the extension."""
        thing, pod = seen.end(which)
        own = seen.side == which
        if isinstance(thing, Outside) or (not own and which == "client"):
            return None
        name, namespace = _node(thing)
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", namespace)
            case "Pod":
                return ResourceRef(kind, namespace, pod.name) if own and pod is not None else None
            case "Node":
                return ResourceRef(kind, "", pod.node) if own and pod is not None else None
            case "Service":
                told = not own and isinstance(seen.flow.client, Workload) and _extended(seen.flow.client)
                return ResourceRef(kind, namespace, name) if told and not isinstance(thing, External) else None
            case _:
                return ResourceRef("Workload", namespace, name)


def _rows(workload: Workload, pod: Pod) -> Iterator[Row]:
    for flow in map(_without_grpc, FLOWS):
        if flow.server == workload and workload.gateway:
            yield from listener("ingress", flow, pod)
            yield from served(
                {"envoy_cluster_name": f"cds_ingress_{_MESH}_{_dashed(workload)}_self_redirect_http_15001"}, flow, pod
            )
        elif flow.server == workload:
            yield from served({"envoy_cluster_name": f"cds_ingress_{_MESH}_{_dashed(workload)}_http_8080"}, flow, pod)
            yield from listener("ingress", flow, pod)
        if flow.client == workload and not isinstance(flow.server, Outside):
            yield from called({"envoy_cluster_name": f"cds_egress_{_MESH}_{_dashed(flow.server)}_http_8080"}, flow, pod)
            yield from listener("egress", flow, pod)
            if _extended(workload):
                yield from _extension(flow, pod)
    for name in ("static_cluster_sds_unix_socket", "jaeger", "xray"):
        yield from own_traffic({"envoy_cluster_name": name})


def _extension(flow: Flow, pod: Pod) -> Iterator[Row]:
    """The counters of the metrics extension for one callee."""
    assert not isinstance(flow.server, Outside)
    service = (
        flow.server.host if isinstance(flow.server, External) else f"{flow.server.name}.{flow.server.namespace}.svc.cluster.local"
    )
    labels = {"TargetVirtualNode": _dashed(flow.server), "TargetVirtualService": service}
    for outcome, rate in flow.rates:
        if flow.idle and outcome.client.failed:
            continue
        code = outcome.client.code or 503
        yield counter(f"envoy_appmesh_HTTPCode_Target_{code // 100}XX_Count", labels, rate * pod.share)
        yield counter("envoy_appmesh_RequestCountPerTarget", labels, rate * pod.share)
        yield counter("envoy_appmesh_RequestCount", {}, rate * pod.share)
        if not outcome.client.local:
            latency = flow.at_client
            yield from histogram("envoy_appmesh_TargetResponseTime", labels, BOUNDS, rate * pod.share, latency, 0.001)


def _without_grpc(flow: Flow) -> Flow:
    rates = tuple(
        (Outcome(replace(outcome.client, grpc=None), outcome.server and replace(outcome.server, grpc=None)), rate)
        for outcome, rate in flow.rates
    )
    return replace(flow, rates=rates)


def _extended(workload: Workload) -> bool:
    return workload.namespace == "shop"


def _tags(workload: Workload) -> dict[str, str]:
    """The extension brings its own, and makes the others needless."""
    if _extended(workload):
        return {"Mesh": _MESH, "VirtualGateway" if workload.gateway else "VirtualNode": _dashed(workload)}
    return {"appmesh_mesh": _MESH, "appmesh_virtual_gateway" if workload.gateway else "appmesh_virtual_node": _dashed(workload)}


def _tagged(rows: Iterable[Row], tags: Mapping[str, str]) -> Iterator[Row]:
    """The rows, each with the tags that the proxy gives all its series."""
    added = ",".join(f'{tag}="{value}"' for tag, value in tags.items())
    for row in rows:
        name, brace, rest = row.text.partition("{")
        yield row._replace(text=f"{name}{{{added},{rest}" if brace else f"{name}{{{added}}}")


def _node(thing: Workload | External | Orphan) -> tuple[str, str]:
    """Name and namespace of a virtual node. A host outside has one as well, which its callers' namespace keeps."""
    return (thing.host.replace(".", "-"), "shop") if isinstance(thing, External) else (thing.name, thing.namespace)


def _dashed(thing: Workload | External | Orphan) -> str:
    return "_".join(_node(thing))
