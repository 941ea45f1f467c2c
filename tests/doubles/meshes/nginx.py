"""What the sidecars of NGINX Service Mesh and its ingress controller expose for the fleet, the labels of scraping, and what they tell.

Source: nginxinc/nginx-service-mesh, docs/content/guides/prometheus-metrics.md, examples/prometheus.yaml, pkg/inject (labels of pods),
issues 22 (labels of callees) and 40 (names of upstream groups inwards); nginx/kubernetes-ingress,
internal/metrics/collectors/latency.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, Flow, Latency, Outcome, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind

__all__ = ["NginxServiceMesh"]

_BOUNDS = tuple(
    str(bound)
    for bound in (
        *(1, 2, 3, 4, 5),
        *range(10, 60, 10),
        *range(100, 600, 100),
        *range(1000, 6000, 1000),
        *range(10_000, 60_000, 10_000),
    )
)
"""Upper bounds of the latency buckets, milliseconds."""

_CALLEES = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds by which a caller names the workload it called."""

_OTHER = 900.0
"""Requests per second that are not traffic between pods; enough of them to be seen in any row they get into."""


class NginxServiceMesh(Mesh):
    """A sidecar knows itself when it serves, and both ends when it calls."""

    name = "nginx"
    bounds = tuple(float(bound) / 1000 for bound in _BOUNDS)
    # The pods of a Job have its name where Prometheus has that of the scrape job.
    never: ClassVar = {
        TOTAL: frozenset({"Node", "Job"}),
        TO: frozenset({"Node", "Job", "Service"}),
        FROM: frozenset({"Node", "Job", "ReplicaSet", "ReplicationController"}),
        CALLERS: frozenset({"Node", "Job", "ReplicaSet", "ReplicationController"}),
    }

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Namespace and pod, and the pod's label nsm.nginx.com/<kind> without its prefix, which for a Job takes the place of ``job``."""
        labels = {"job": "nginx-plus-ingress" if workload.gateway else "nginx-mesh-sidecars", "app": workload.name}
        if workload.template_hash:
            labels["pod_template_hash"] = workload.template_hash
        return {**labels, "namespace": workload.namespace, "pod": pod.name, workload.kind.lower(): workload.name}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Everything one sidecar exposes, or the ingress controller, which has names of its own for the same."""
        for flow in FLOWS:
            if flow.server == workload and not workload.gateway:
                inward = {"upstream": f"incoming_{workload.name}_8080", "upstream_index": "0000", "server": "127.0.0.1:8080"}
                for outcome, rate in flow.rates:
                    yield from _responses(_SIDECAR, inward, self.result(outcome, "server"), rate * pod.share, flow, flow.at_server)
            if flow.client == workload and isinstance(flow.server, Workload):
                names = _INGRESS if workload.gateway else _SIDECAR
                for to in flow.server.pods:
                    labels = _ingress_callee(flow.server, to) if workload.gateway else _callee(flow.server, to)
                    for outcome, rate in flow.rates:
                        result = self.result(outcome, "client")
                        yield from _responses(names, labels, result, rate * pod.share * to.share, flow, flow.at_client)
        yield counter("nginxplus_http_requests_total", {}, _OTHER)
        yield counter("nginxplus_server_zone_responses", {"server_zone": "incoming", "code": "5xx"}, _OTHER)
        yield counter("nginxplus_upstream_server_requests", {"upstream": "incoming_any_8080", "server": "127.0.0.1:8080"}, _OTHER)

    def reports(self, flow: Flow, side: str) -> bool:
        """Callees outside the mesh's services are no upstream group; the ingress controller counts what it sends on, not what it gets."""
        if not isinstance(flow.server, Workload):
            return False
        return isinstance(flow.client, Workload) if side == "client" else not flow.server.gateway

    def result(self, outcome: Outcome, side: str) -> Result | None:
        """Only responses that a server gave are counted. To an application that goes away its sidecar answers: to the caller a response."""
        if side == "client":
            return None if outcome.client.local else outcome.client
        return None if outcome.server is None or outcome.server.code == 0 else outcome.server

    def failed(self, result: Result) -> bool:
        """A class 5; a sidecar answers 502 when its application does not. Of gRPC nothing is known."""
        return result.code >= 500 or result.code == 0

    def tells_peer(self, seen: Seen, other: str) -> bool:
        """A server knows nothing of its callers."""
        return seen.side == "client" or other == "server"

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The reporter by the labels of scraping, a callee by those that begin with dst_."""
        thing, pod = seen.end(which)
        own = seen.side == which
        if not isinstance(thing, Workload) or pod is None or (not own and which == "client"):
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Pod":
                return ResourceRef(kind, thing.namespace, pod.name)
            case "Service":
                return None if own else ResourceRef(kind, thing.namespace, thing.name)
            case _:
                told = kind in WORKLOAD_KINDS and kind != "Job" if own else kind in _CALLEES
                return of_kind(thing, kind) if told else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:  # noqa: ARG002
        """The pods of a Job, as callers."""
        return NOBODY


_SIDECAR = ("nginxplus_upstream_server_responses", "nginxplus_upstream_server_response_latency_ms")
_INGRESS = (
    "nginx_ingress_nginxplus_upstream_server_responses",
    "nginx_ingress_controller_upstream_server_response_latency_ms",
)


def _responses(
    names: tuple[str, str], labels: dict[str, str], result: Result | None, rate: float, flow: Flow, latency: Latency
) -> Iterator[Row]:
    if result is None or (flow.idle and result.failed):
        return
    responses, latencies = names
    code = result.code or 502
    # All classes have a series from the start.
    for first in range(1, 6):
        answered = rate if code // 100 == first else rate * 0.2 if first == 1 else 0.0
        yield counter(responses, {**labels, "code": f"{first}xx"}, answered)
    yield from histogram(latencies, {**labels, "code": str(code)}, _BOUNDS, rate, latency, 0.001)


def _callee(server: Workload, pod: Pod) -> dict[str, str]:
    """As a sidecar names a callee: by the address of its Service, and in labels."""
    labels = {"upstream": f"172.20.{_number(server)}.57_80", "upstream_index": "0000", "server": f"10.2.{_number(server)}.7:8080"}
    owner = {f"dst_{server.kind.lower()}": server.name} if server.kind in _CALLEES else {"dst_deployment": ""}
    return {**labels, "dst_service": server.name, "dst_namespace": server.namespace, "dst_pod": pod.name, **owner}


def _ingress_callee(server: Workload, pod: Pod) -> dict[str, str]:
    """As the ingress controller names one: by the Ingress it serves."""
    return {
        "class": "nginx",
        "upstream": f"{server.namespace}-shopfront-shop.example.com-{server.name}-80",
        "server": f"10.2.{_number(server)}.7:8080",
        "resource_type": "ingress",
        "resource_name": "shopfront",
        "resource_namespace": server.namespace,
        "service": server.name,
        "pod_name": pod.name,
        "pod_owner": f"{server.kind.lower()}/{server.name}",
    }


def _number(workload: Workload) -> int:
    return sum(map(ord, workload.namespace + workload.name)) % 250
