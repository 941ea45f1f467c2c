"""What every Envoy counts: clusters, connection managers, its own traffic. The meshes of the family differ in how these are labelled.

Source: envoyproxy/envoy, docs/root/configuration/upstream/cluster_manager/cluster_stats.rst and http_filters/grpc_stats_filter.rst,
source/common/stats/histogram_impl.cc.
"""

from __future__ import annotations

from collections.abc import Iterator

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import Flow, Latency, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import Mesh, Seen, of_kind

__all__ = ["BOUNDS", "EnvoyMesh", "called", "listener", "own_traffic", "responses", "served"]

BOUNDS = (
    *("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000"),
    *("30000", "60000", "300000", "600000", "1800000", "3600000"),
)
"""Envoy's default bounds, milliseconds."""

_KIND_LABEL = {
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "Job": "job_name",
    "ReplicaSet": "replicaset",
    "ReplicationController": "replicationcontroller",
}
_OWN_TRAFFIC = 900.0
"""Requests per second of the proxies themselves; enough of them to be seen in any row they get into."""


class EnvoyMesh(Mesh):
    """A mesh of Envoys whose scrape job knows the owner of each pod."""

    bounds = tuple(float(bound) / 1000 for bound in BOUNDS)

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """What a scrape job adds that knows the owner of each pod."""
        owner = {_KIND_LABEL[workload.kind]: workload.name}
        return {"namespace": workload.namespace, "pod": pod.name, "node": pod.node, **owner}

    def timed(self, side: str, result: Result) -> bool:
        """There is a time when some server answered; one that goes away leaves its proxy to answer, and its callers to be answered."""
        return not result.local if side == "client" else result.code != 0

    def tells_peer(self, seen: Seen, other: str) -> bool:
        """A server knows nothing of its callers."""
        return seen.side == "client" or other == "server"

    def own(self, workload: Workload, pod: Pod | None, kind: str) -> ResourceRef | None:
        """What the labels of scraping say of the proxy that reports: all but a service."""
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", workload.namespace)
            case "Pod":
                return ResourceRef(kind, workload.namespace, pod.name) if pod is not None else None
            case "Node":
                return ResourceRef(kind, "", pod.node) if pod is not None else None
            case _:
                return of_kind(workload, kind)


def served(labels: dict[str, str], flow: Flow, pod: Pod) -> Iterator[Row]:
    """What the proxy of a callee counts for its application; ``labels`` are those of that cluster."""
    for outcome, rate in flow.rates:
        if outcome.server is not None:
            # A server that goes away leaves its proxy to answer.
            answered = outcome.server.code != 0
            yield from responses(labels, outcome.server, rate * pod.share, flow.at_server, answered=answered, idle=flow.idle)


def called(labels: dict[str, str], flow: Flow, pod: Pod) -> Iterator[Row]:
    """What the proxy of a caller counts for the callee; ``labels`` are those of that cluster."""
    for outcome, rate in flow.rates:
        answered = not outcome.client.local
        yield from responses(labels, outcome.client, rate * pod.share, flow.at_client, answered=answered, idle=flow.idle)


def responses(
    labels: dict[str, str], result: Result, rate: float, latency: Latency, *, answered: bool, idle: bool
) -> Iterator[Row]:
    """One result in every counter of a cluster that it gets into. ``answered``: some server did, so that there is a time."""
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


def listener(prefix: str, flow: Flow, pod: Pod) -> Iterator[Row]:
    """What a connection manager counts for the requests that came in through it; of outward ones there is no time here."""
    labels = {"envoy_http_conn_manager_prefix": prefix}
    outward = prefix.startswith("egress")
    for outcome, rate in flow.rates:
        result = outcome.client if outward else outcome.server
        if result is None or (flow.idle and result.failed):
            continue
        code = str((result.code or 503) // 100)
        # Not every response is final: those of class 1 come before another one.
        for answer, share in ((code, 1.0), ("1", 0.2)):
            yield counter("envoy_http_downstream_rq_xx", {"envoy_response_code_class": answer, **labels}, rate * pod.share * share)
        if not outward:
            yield from histogram("envoy_http_downstream_rq_time", labels, BOUNDS, rate * pod.share, flow.at_server, 0.001)


def own_traffic(labels: dict[str, str]) -> Iterator[Row]:
    """Traffic of the proxy itself: to its control plane, its agent, its probes. ``labels`` are those of its cluster."""
    yield counter("envoy_cluster_upstream_rq_xx", {"envoy_response_code_class": "2", **labels}, _OWN_TRAFFIC)
    yield from histogram("envoy_cluster_upstream_rq_time", labels, BOUNDS, _OWN_TRAFFIC, ((9.0, 1.0),), 0.001)
