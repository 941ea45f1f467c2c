"""What Envoy exposes for the fleet: as plain sidecars and a gateway, and under Consul, whose stats tags say more.

Source: envoyproxy/envoy, docs/root/configuration/upstream/cluster_manager/cluster_stats.rst and http_filters/grpc_stats_filter.rst;
hashicorp/consul, command/connect/envoy/bootstrap_config.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.doubles.mesh_facts import FLOWS, External, Flow, Latency, Orphan, Pod, Result, Workload
from tests.doubles.mesh_istio import BOUNDS
from tests.doubles.mesh_series import Row, counter, histogram

__all__ = ["consul_rows", "envoy_rows", "scrape_labels"]

_KIND_LABEL = {
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "Job": "job_name",
    "ReplicaSet": "replicaset",
}
_OWN_TRAFFIC = 900.0
"""Requests per second of the proxies themselves; enough of them to be seen in any row they get into."""


def scrape_labels(workload: Workload, pod: Pod) -> dict[str, str]:
    """What a scrape job adds that knows the owner of each pod."""
    owner = {_KIND_LABEL[workload.kind]: workload.name}
    return {"namespace": workload.namespace, "pod": pod.name, "node": pod.node, **owner}


def envoy_rows(workload: Workload, pod: Pod) -> Iterator[Row]:
    """Plain Envoy: clusters are named ``name.namespace``, and what is left to DNS by its host."""
    for flow in FLOWS:
        if flow.server == workload:
            if workload.gateway:
                yield from _listener("ingress_http", flow, pod)
            else:
                yield from _served({"envoy_cluster_name": "local_app"}, flow, pod)
                yield from _listener("inbound_http", flow, pod)
        if flow.client == workload:
            yield from _called({"envoy_cluster_name": _cluster(flow.server)}, flow, pod)
            yield from _listener("egress_http", flow, pod)
    for name in ("xds_cluster", "sds-grpc", "admin", "prometheus_stats", "BlackHoleCluster"):
        yield from _own({"envoy_cluster_name": name})


def consul_rows(workload: Workload, pod: Pod) -> Iterator[Row]:
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
            yield from _served({**proxy, "envoy_cluster_name": "local_app"}, flow, pod)
        if flow.client == workload:
            yield from _called({**proxy, **_upstream(flow.server)}, flow, pod)
    for name in ("self_admin", "local_agent", "prometheus_backend", "exposed_cluster_8080"):
        yield from _own({**proxy, "envoy_cluster_name": name})


def _served(labels: dict[str, str], flow: Flow, pod: Pod) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        if outcome.server is not None:
            # A server that goes away leaves its proxy to answer.
            answered = outcome.server.code != 0
            yield from _responses(labels, outcome.server, rate * pod.share, flow.at_server, answered=answered, idle=flow.idle)


def _called(labels: dict[str, str], flow: Flow, pod: Pod) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        answered = not outcome.client.local
        yield from _responses(labels, outcome.client, rate * pod.share, flow.at_client, answered=answered, idle=flow.idle)


def _responses(
    labels: dict[str, str], result: Result, rate: float, latency: Latency, *, answered: bool, idle: bool
) -> Iterator[Row]:
    if idle and result.failed:
        return  # a response that never was has no series
    code = result.code or 503
    by_class = {"envoy_response_code_class": str(code // 100), **labels}
    yield counter("envoy_cluster_upstream_rq_xx", by_class, rate)
    yield counter("envoy_cluster_upstream_rq", {"envoy_response_code": str(code), **labels}, rate)
    yield counter("envoy_cluster_external_upstream_rq_xx", by_class, rate)
    yield counter("envoy_cluster_upstream_rq_completed", labels, rate)
    # Every attempt, retries included.
    yield counter("envoy_cluster_upstream_rq_total", labels, rate * 1.3)
    if code == 200 and result.grpc is None:
        yield counter("envoy_cluster_upstream_rq_xx", {**by_class, "envoy_response_code_class": "1"}, rate * 0.2)
    if result.grpc is not None:
        method = {**labels, "envoy_grpc_bridge_service": "shop_Payments", "envoy_grpc_bridge_method": "Charge"}
        verdict = "success" if result.grpc == 0 else "failure"
        for name in (str(result.grpc), verdict, "total"):
            yield counter(f"envoy_cluster_grpc_{name}", method, rate)
    if answered:
        yield from histogram("envoy_cluster_upstream_rq_time", labels, BOUNDS, rate, latency, 0.001)


def _listener(prefix: str, flow: Flow, pod: Pod) -> Iterator[Row]:
    labels = {"envoy_http_conn_manager_prefix": prefix}
    outward = prefix.startswith("egress")
    for outcome, rate in flow.rates:
        result = outcome.client if outward else outcome.server
        if result is None or (flow.idle and result.failed):
            continue
        code = str((result.code or 503) // 100)
        yield counter("envoy_http_downstream_rq_xx", {"envoy_response_code_class": code, **labels}, rate * pod.share)
        if not outward:
            yield from histogram("envoy_http_downstream_rq_time", labels, BOUNDS, rate * pod.share, flow.at_server, 0.001)


def _own(labels: dict[str, str]) -> Iterator[Row]:
    """Traffic of the proxy itself: to its control plane, its agent, its probes."""
    yield counter("envoy_cluster_upstream_rq_xx", {"envoy_response_code_class": "2", **labels}, _OWN_TRAFFIC)
    if labels["envoy_cluster_name"] in ("admin", "xds_cluster", "self_admin", "exposed_cluster_8080"):
        yield from histogram("envoy_cluster_upstream_rq_time", labels, BOUNDS, _OWN_TRAFFIC, ((9.0, 1.0),), 0.001)


def _cluster(server: Workload | External | Orphan) -> str:
    if isinstance(server, External):
        return server.host
    if isinstance(server, Orphan):
        return f"outbound|8080||{server.name}.{server.namespace}.svc.cluster.local"
    return f"{server.name}.{server.namespace}"


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
