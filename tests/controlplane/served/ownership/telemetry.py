"""The fleet's traffic as meshes would tell of it, at exact instants, for one store to keep.

``cilium``: both ends, as pods and nothing more. ``hubble``: the same as its chart sets it up, with workloads, and the node of the agent.
``envoy``: the reporting pod, and the name of the Service it calls, or of the workload where there is none. ``linkerd``: every owner it has
a label for, and nothing but the pod for one of a Rollout, a CronJob or nobody. ``istio``: both ends as workloads without a kind, and the
pod of the one that reports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.controlplane.served.ownership.fleet import BOUNDS, FLOWS, STEP, Flow, Pod

__all__ = ["DIALECTS", "FORMS", "samples"]

Labels = dict[str, str]

_LINKERD = {
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "ReplicaSet": "replicaset",
    "ReplicationController": "replicationcontroller",
    "Job": "k8s_job",
}


@dataclass(frozen=True, slots=True)
class _Requests:
    """How a mesh writes down requests: a counter by outcome and a histogram, whose bounds are ``scale`` to the second."""

    counter: str
    outcomes: tuple[Labels, Labels]
    histogram: str
    scale: int


_CILIUM = _Requests("hubble_http_requests_total", ({"status": "200"}, {"status": "503"}), "hubble_http_request_duration_seconds", 1)
_ENVOY = _Requests(
    "envoy_cluster_upstream_rq_xx",
    ({"envoy_response_code_class": "2"}, {"envoy_response_code_class": "5"}),
    "envoy_cluster_upstream_rq_time",
    1000,
)
_LINKERD_REQUESTS = _Requests(
    "response_total", ({"classification": "success"}, {"classification": "failure"}), "response_latency_ms", 1000
)
_ISTIO = _Requests(
    "istio_requests_total", ({"response_code": "200"}, {"response_code": "503"}), "istio_request_duration_milliseconds", 1000
)


def _cilium(flow: Flow, client: Pod | None, reporter: str) -> Labels:
    source = {"source_namespace": client.namespace, "source_pod": client.name} if client else {"source": "reserved:world"}
    server = flow.server
    return {
        **source,
        "destination_namespace": server.namespace,
        "destination_pod": server.name,
        "reporter": reporter,
        "method": "GET",
    }


def _hubble(flow: Flow, client: Pod | None, reporter: str) -> Labels:
    """Source: cilium/cilium, pkg/k8s/utils/workload.go."""
    observer = client if client is not None and reporter == "client" else flow.server
    source = _hubble_names("source", client) if client else {}
    return {**_cilium(flow, client, reporter), **source, **_hubble_names("destination", flow.server), "node": observer.node}


def _hubble_names(end: str, pod: Pod) -> Labels:
    """A ReplicaSet is known for a Deployment's by a label of its pods, which Argo calls otherwise; a Job for a CronJob's by its name."""
    owners = [owner.partition("/") for owner in (pod.owner, pod.workload, *pod.part_of)]
    named = next((owner for owner in owners if owner[0] in ("Deployment", "CronJob")), owners[0])
    # Of a pod whose name nobody generated nothing is told.
    return {f"{end}_workload": named[2], f"{end}_workload_kind": named[0]} if named[0] not in ("", "Node") else {}


def _envoy(flow: Flow, client: Pod | None, reporter: str) -> Labels:
    server = flow.server
    if reporter == "server" or client is None:
        return {"envoy_cluster_name": "local_app", "namespace": server.namespace, "pod": server.name}
    service = f"outbound|80||{flow.via}.{server.namespace}.svc.cluster.local"
    cluster = service if flow.via else f"{server.workload.partition('/')[2]}.{server.namespace}"
    return {"envoy_cluster_name": cluster, "namespace": client.namespace, "pod": client.name}


def _linkerd(flow: Flow, client: Pod | None, reporter: str) -> Labels:
    if reporter == "server" or client is None:
        tls = {"tls": "true", "client_id": f"{client.name}.{client.namespace}"} if client else {"tls": "no_identity"}
        return {"direction": "inbound", "target_port": "80", "route_name": "default", **tls, **_linkerd_names(flow.server)}
    callee = {f"dst_{label}": value for label, value in _linkerd_names(flow.server).items()}
    service = {"dst_service": flow.via} if flow.via else {}
    return {"direction": "outbound", "tls": "true", **_linkerd_names(client), **callee, **service}


def _linkerd_names(pod: Pod) -> Labels:
    kind, _, name = pod.workload.partition("/")
    labels = {"namespace": pod.namespace, "pod": pod.name}
    if any(owner.startswith("CronJob/") for owner in pod.part_of):
        return {**labels, "cronjob": "nightly"}
    if kind in _LINKERD:
        labels[_LINKERD[kind]] = name
    if kind == "Deployment":
        labels["pod_template_hash"] = pod.name.split("-")[-2]
    return labels


def _istio(flow: Flow, client: Pod | None, reporter: str) -> Labels:
    own = client if client is not None and reporter == "client" else flow.server
    host = f"{flow.via}.{flow.server.namespace}.svc.cluster.local" if flow.via else "unknown"
    return {
        "reporter": "source" if reporter == "client" else "destination",
        "source_workload": _istio_name(client) if client else "unknown",
        "source_workload_namespace": client.namespace if client else "unknown",
        "destination_workload": _istio_name(flow.server),
        "destination_workload_namespace": flow.server.namespace,
        "destination_service": host,
        "request_protocol": "http",
        "namespace": own.namespace,
        "pod": own.name,
    }


def _istio_name(pod: Pod) -> str:
    """Of a Job that a CronJob made it is that of the CronJob."""
    cron_jobs = [owner for owner in pod.part_of if owner.startswith("CronJob/")]
    return (cron_jobs or [pod.workload])[0].partition("/")[2]


FORMS = {
    "cilium": (_cilium, _CILIUM),
    "hubble": (_hubble, _CILIUM),
    "envoy": (_envoy, _ENVOY),
    "linkerd": (_linkerd, _LINKERD_REQUESTS),
    "istio": (_istio, _ISTIO),
}
"""How each mesh names the ends of a flow, and writes requests down. The name is in a label of all its series, for one store to keep all."""

DIALECTS = {"hubble": "cilium"}
"""Where it is not the name of the mesh."""


def samples() -> str:
    """All series of all meshes with their samples, as OpenMetrics."""
    lines: list[str] = []
    for mesh, (labels_of, requests) in FORMS.items():
        # What one proxy does not tell apart it adds up.
        rates: dict[tuple[Pod, str], list[tuple[float, Flow]]] = {}
        for flow in FLOWS:
            client = flow.client if isinstance(flow.client, Pod) else None
            for reporter in ("client", "server"):
                observer = client if reporter == "client" else flow.server
                if observer is not None:
                    for text, rate in _series(requests, {"mesh": mesh, **labels_of(flow, client, reporter)}, flow, reporter):
                        rates.setdefault((observer, text), []).append((rate, flow))
        for (observer, text), parts in rates.items():
            lines += _lines(text, observer, parts)
    return "\n".join([*lines, "# EOF", ""])


def _series(requests: _Requests, labels: Labels, flow: Flow, reporter: str) -> Iterator[tuple[str, float]]:
    for outcome, rate in zip(requests.outcomes, (flow.success, flow.failure), strict=True):
        if rate:
            yield _text(requests.counter, {**labels, **outcome}), rate
    total = flow.success + flow.failure
    shares = flow.latency.at_server if reporter == "server" else flow.latency.at_client
    for bound, share in zip((*BOUNDS, None), (*shares, 1.0), strict=True):
        le = "+Inf" if bound is None else f"{bound * requests.scale:g}"
        yield _text(f"{requests.histogram}_bucket", {**labels, "le": le}), total * share
    yield _text(f"{requests.histogram}_count", labels), total


def _lines(text: str, observer: Pod, parts: list[tuple[float, Flow]]) -> Iterator[str]:
    first = min(_began(flow) for _, flow in parts)
    for instant in range(max(first, observer.born), observer.died + 1, STEP):
        value = sum(rate * _lasted(flow, instant) for rate, flow in parts)
        yield f"{text} {round(value, 6)!r} {instant}"


def _lasted(flow: Flow, instant: int) -> int:
    return max(min(instant, *(pod.died for pod in _pods(flow))) - _began(flow), 0)


def _began(flow: Flow) -> int:
    return max(pod.born for pod in _pods(flow))


def _pods(flow: Flow) -> list[Pod]:
    return [pod for pod in (flow.client, flow.server) if isinstance(pod, Pod)]


def _text(name: str, labels: Mapping[str, str]) -> str:
    body = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{body}}}"
