"""What span metrics say of the fleet: those of Grafana Tempo for one namespace, those of the collector's connector for the other.

Spans are exposed by what collects them, so nothing is at the proxies of the fleet, and Kubernetes' names are dimensions of the metrics.

Source: grafana/tempo, modules/generator/processor/spanmetrics; open-telemetry/opentelemetry-collector-contrib,
connector/spanmetricsconnector; open-telemetry/semantic-conventions, docs/http/http-spans.md and docs/rpc/grpc.md (which spans are errors).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, WORKLOADS, Flow, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, EVERY_KIND, FROM, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind

__all__ = ["BOUNDS", "COLLECTORS", "OtelSpanmetrics", "attributes", "named_by_attributes"]

BOUNDS = (
    *("0.002", "0.004", "0.006", "0.008", "0.01", "0.05", "0.1", "0.2"),
    *("0.4", "0.8", "1", "1.4", "2", "5", "10", "15"),
)
"""Upper bounds of the latency buckets, seconds: the connector's default ones, which the generator is given as well."""

COLLECTORS = Workload(
    "observability", "collector", "StatefulSet", (Pod("collector-0", 0.5, "node-a"), Pod("collector-1", 0.5, "node-b"))
)
"""What collects the spans: each pod sees half of all traces."""

_KIND_LABEL = {
    "Deployment": "k8s_deployment_name",
    "StatefulSet": "k8s_statefulset_name",
    "DaemonSet": "k8s_daemonset_name",
    "Job": "k8s_job_name",
    "ReplicaSet": "k8s_replicaset_name",
}
_OTHER = 900.0
"""Spans per second that are not those of servers; enough of them to be seen in any row they get into."""


def attributes(workload: Workload, pod: Pod) -> dict[str, str]:
    """What the k8sattributes processor finds out of the pod a span is from, as the labels that dimensions become.

    The pods of a Deployment have both the name of it and that of their ReplicaSet; of a ReplicationController it knows nothing.
    """
    labels = {"k8s_namespace_name": workload.namespace, "k8s_pod_name": pod.name, "k8s_node_name": pod.node}
    if workload.kind in _KIND_LABEL:
        labels[_KIND_LABEL[workload.kind]] = workload.name
    return labels | ({"k8s_replicaset_name": f"{workload.name}-{workload.template_hash}"} if workload.template_hash else {})


class OtelSpanmetrics(Mesh):
    """Each service by its own spans, and nobody by anybody else's."""

    name = "otel-spanmetrics"
    bounds = tuple(map(float, BOUNDS))
    extra = (COLLECTORS,)
    scraped = False
    never: ClassVar = {TOTAL: frozenset({"Service"}), TO: EVERY_KIND, FROM: EVERY_KIND, CALLERS: EVERY_KIND}

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Those of the pod that collected, which say nothing of the traffic."""
        return {"namespace": workload.namespace, "pod": pod.name, "job": "collector"}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """The spans that one collector saw."""
        if workload != COLLECTORS:
            return
        for flow in FLOWS:
            if isinstance(flow.server, Workload):
                for at in flow.server.pods:
                    yield from _served(flow, flow.server, at, pod.share)
        for sender in WORKLOADS:
            for kind in ("SPAN_KIND_CLIENT", "SPAN_KIND_INTERNAL", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"):
                yield from _spans(sender, sender.pods[0], kind, "STATUS_CODE_ERROR", _OTHER, ((9.0, 1.0),))

    def reports(self, flow: Flow, side: str) -> bool:
        """Servers are seen; a client's span does not say whom it called."""
        return side == "server" and isinstance(flow.server, Workload)

    def failed(self, result: Result) -> bool:
        """What instrumentations of servers mark as an error."""
        return result.code >= 500 or result.code == 0 or result.grpc in (2, 4, 12, 13, 14, 15)

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """The server by the attributes of its pod."""
        thing, pod = seen.end(which)
        if which != "server" or pod is None or not isinstance(thing, Workload):
            return None
        return named_by_attributes(thing, pod, kind, only=only)


def named_by_attributes(workload: Workload, pod: Pod, kind: str, *, only: bool) -> ResourceRef | None:
    """The object of ``kind`` that the attributes of a pod name."""
    match kind:
        case "Namespace":
            return ResourceRef(kind, "", workload.namespace)
        case "Node":
            return ResourceRef(kind, "", pod.node)
        case "Pod":
            return ResourceRef(kind, workload.namespace, pod.name)
        case "ReplicaSet" if only and workload.template_hash:
            return ResourceRef(kind, workload.namespace, f"{workload.name}-{workload.template_hash}")
        case _ if kind not in WORKLOAD_KINDS:
            return None
        case _ if workload.kind not in _KIND_LABEL:
            return ResourceRef("Workload", workload.namespace, workload.name)
        case _:
            return of_kind(workload, kind)


def _served(flow: Flow, server: Workload, pod: Pod, share: float) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        result = outcome.server
        failed = result is not None and OtelSpanmetrics().failed(result)
        if result is None or (flow.idle and failed):
            continue
        status = "STATUS_CODE_ERROR" if failed else "STATUS_CODE_UNSET"
        yield from _spans(server, pod, "SPAN_KIND_SERVER", status, rate * pod.share * share, flow.at_server)


def _spans(
    workload: Workload, pod: Pod, kind: str, status: str, rate: float, latency: tuple[tuple[float, float], ...]
) -> Iterator[Row]:
    labels = {"span_kind": kind, "status_code": status, "span_name": "/", **attributes(workload, pod)}
    if workload.namespace == "shop":
        labels["service"] = workload.name
        yield counter("traces_spanmetrics_calls_total", labels, rate)
        yield from histogram("traces_spanmetrics_latency", labels, BOUNDS, rate, latency, 1.0)
        return
    labels |= {"service_name": workload.name, "collector_instance_id": "e0b2"}
    bounds = tuple(f"{float(bound) * 1000:g}" for bound in BOUNDS)
    yield counter("traces_span_metrics_calls_total", labels, rate)
    yield from histogram("traces_span_metrics_duration_milliseconds", labels, bounds, rate, latency, 0.001)
