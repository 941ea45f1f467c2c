"""The PromQL that a person would write for one row of an answer, to compare percentiles with those of the store itself.

Written from what each mesh's labels mean; it shares nothing with the dialects.
"""

from __future__ import annotations

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_truth import EVERYBODY, NOBODY, Key

__all__ = ["KNOWN", "percentiles_of"]

KNOWN = ("linkerd", "istio", "envoy", "consul")
"""The meshes whose labels are known here: one for each way to name things."""

_LABEL = {
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "ReplicaSet": "replicaset",
    "ReplicationController": "replicationcontroller",
    "Pod": "pod",
}
_GATEWAY = 'envoy_http_conn_manager_prefix="ingress_http",deployment="gate"'


def percentiles_of(mesh: str, key: Key, side: str, window: str) -> str:
    """A query for p50, p90 and p99 of one row, told apart by the label ``q``; milliseconds."""
    rates = " or ".join(f"rate({metric}_bucket{{{body}}}[{window}])" for metric, body in _selectors(mesh, key, side))
    return " or ".join(
        f'label_replace(histogram_quantile({q}, sum by (le) ({rates})), "q", "{q}", "", "")' for q in ("0.5", "0.9", "0.99")
    )


def _selectors(mesh: str, key: Key, side: str) -> list[tuple[str, str]]:
    resource, peer, direction = key
    client, server = (resource, peer) if direction == "to" else (peer, resource)
    if mesh == "linkerd":
        return [("response_latency_ms", _linkerd(client, server, side))]
    if mesh == "istio":
        return [("istio_request_duration_milliseconds", _istio(client, server, side))]
    if side == "client":
        return [("envoy_cluster_upstream_rq_time", ",".join(filter(None, [_own(mesh, client), _cluster(mesh, server)])))]
    own = _own(mesh, server)
    selectors = [("envoy_cluster_upstream_rq_time", f'envoy_cluster_name="local_app",{own}')]
    return selectors + ([("envoy_http_downstream_rq_time", f"{_GATEWAY},{own}")] if mesh == "envoy" else [])


def _linkerd(client: ResourceRef, server: ResourceRef, side: str) -> str:
    if side == "server":
        unmeshed = ',tls="no_identity"' if client == NOBODY else ""
        return f'direction="inbound",route_name!="probe",target_port!="4191",{_own("linkerd", server)}{unmeshed}'
    callee = _own("linkerd", server, prefix="dst_") if server.kind else f'authority="{server.name}"'
    return ",".join(filter(None, ['direction="outbound"', _own("linkerd", client), callee]))


def _istio(client: ResourceRef, server: ResourceRef, side: str) -> str:
    # The pod and the node of a series are those of its reporter, and a waypoint is not where its requests are served.
    served = 'reporter="destination"' if server.kind in ("Pod", "Node") else 'reporter=~"destination|waypoint"'
    parts = ['reporter="source"' if side == "client" else served]
    if client == NOBODY:
        parts.append('source_workload="unknown"')
    elif client != EVERYBODY:
        parts.append(_istio_end("source", client))
    if server != EVERYBODY:
        parts.append(_istio_end("destination", server))
    return ",".join(parts)


def _istio_end(end: str, ref: ResourceRef) -> str:
    match ref.kind:
        case "Workload":
            return f'{end}_workload_namespace="{ref.namespace}",{end}_workload="{ref.name}"'
        case "Namespace":
            return f'{end}_workload_namespace="{ref.name}"'
        case "Service":
            return f'{end}_service="{ref.name}.{ref.namespace}.svc.cluster.local"'
        case "Pod":
            return f'namespace="{ref.namespace}",{"pod" if ref.namespace == "shop" else "pod_name"}="{ref.name}"'
        case "Node":
            return f'node="{ref.name}"'
        case _:
            return f'{end}_service="{ref.name}",{end}_workload="unknown"'


def _cluster(mesh: str, server: ResourceRef) -> str:
    if mesh == "consul":
        if server.kind == "Namespace":
            return f'consul_destination_namespace="{server.name}"'
        named = f'consul_destination_service="{server.name}",consul_destination_namespace="{server.namespace}"'
        return named if server != EVERYBODY else 'consul_destination_service!=""'
    match server.kind:
        case "Namespace":
            return rf'envoy_cluster_name=~"[^.|]+\\.{server.name}|outbound.*\\.{server.name}\\.svc\\..*"'
        case "Service":
            return f'envoy_cluster_name="outbound|8080||{server.name}.{server.namespace}.svc.cluster.local"'
        case "Workload":
            return f'envoy_cluster_name="{server.name}.{server.namespace}"'
        case _:
            return f'envoy_cluster_name="{server.name}"'


def _own(mesh: str, ref: ResourceRef, prefix: str = "") -> str:
    """The labels by which scraping, or with ``dst_`` Linkerd's discovery, names an object."""
    if ref == EVERYBODY:
        return ""
    if ref.kind == "Namespace":
        return f'{prefix}namespace="{ref.name}"'
    if ref.kind == "Node":
        return f'node="{ref.name}"'
    if ref.kind == "Service":
        if mesh == "consul":
            return f'consul_source_service="{ref.name}",consul_source_namespace="{ref.namespace}"'
        return f'{prefix}service="{ref.name}",{prefix}namespace="{ref.namespace}"'
    within = f'{prefix}namespace="{ref.namespace}"'
    if ref.kind == "ReplicaSet":
        for workload in WORKLOADS:
            if workload.template_hash and ref.name == f"{workload.name}-{workload.template_hash}":
                return f'{within},{prefix}deployment="{workload.name}",{prefix}pod_template_hash="{workload.template_hash}"'
    job = "k8s_job" if mesh == "linkerd" else "job_name"
    return f'{within},{prefix}{_LABEL.get(ref.kind, job)}="{ref.name}"'
