"""What Linkerd 2's proxies expose for the fleet, the labels that Linkerd's scrape job gives them, and what they tell.

Source: linkerd/linkerd2-proxy, linkerd/app/core/src/metrics.rs and linkerd/http/metrics; linkerd/linkerd2, the scrape job of linkerd-viz.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind

__all__ = ["Linkerd"]

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

_KIND_LABEL = {
    "Deployment": "deployment",
    "StatefulSet": "statefulset",
    "DaemonSet": "daemonset",
    "Job": "k8s_job",
    "ReplicaSet": "replicaset",
    "ReplicationController": "replicationcontroller",
}
_PROBES = 900.0
"""Requests per second that are not traffic; enough of them to be seen in any row they get into."""


class Linkerd(Mesh):
    """Callees are named by callers down to the pod, callers by nobody but themselves."""

    name = "linkerd"
    bounds = tuple(float(bound) / 1000 for bound in _BOUNDS)
    # No label of Linkerd's scrape jobs names a node.
    never: ClassVar = {
        TOTAL: frozenset({"Node"}),
        TO: frozenset({"Node", "Service"}),
        FROM: frozenset({"Node"}),
        CALLERS: frozenset({"Node"}),
    }

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """The labels the scrape job adds: namespace, pod, the owner under its kind, and every label of the pod."""
        labels = {"namespace": workload.namespace, "pod": pod.name, _KIND_LABEL[workload.kind]: workload.name, "app": workload.name}
        if workload.template_hash:
            labels["pod_template_hash"] = workload.template_hash
        return {**labels, "control_plane_ns": "linkerd", "workload_ns": workload.namespace}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Everything one proxy exposes."""
        for flow in FLOWS:
            if flow.server == workload:
                yield from _inbound(flow, workload, pod)
            if flow.client == workload:
                yield from _outbound(flow, pod)
        yield from _not_traffic(pod)

    def timed(self, side: str, result: Result) -> bool:  # noqa: ARG002
        """A stream that breaks before its headers has no latency."""
        return result.code != 0 and not result.local

    def tells_peer(self, seen: Seen, other: str) -> bool:
        """A server knows of its callers only that one has no proxy."""
        return seen.side == "client" or other == "server" or isinstance(seen.flow.client, Outside)

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """The reporting proxy's own labels, and in a caller's series those of the pod that was called."""
        thing, pod = seen.end(which)
        own = seen.side == which
        if (not own and which == "client") or not isinstance(thing, Workload | Orphan):
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Service":
                return ResourceRef(kind, thing.namespace, thing.name) if which == "server" and not own else None
            case "Pod":
                return ResourceRef(kind, thing.namespace, pod.name) if pod is not None else None
            case _ if kind not in WORKLOAD_KINDS or isinstance(thing, Orphan):
                return None
            case "ReplicaSet" if only and thing.template_hash:
                return ResourceRef(kind, thing.namespace, f"{thing.name}-{thing.template_hash}")
            case _:
                return of_kind(thing, kind)


def _inbound(flow: Flow, workload: Workload, pod: Pod) -> Iterator[Row]:
    labels = {
        "direction": "inbound",
        "authority": _authority(workload),
        **_address(pod, "8080"),
        **_caller(flow),
        **_policy("default"),
    }
    for outcome, rate in flow.rates:
        if outcome.server is not None:
            yield from _responses(labels, outcome.server, rate * pod.share, flow, flow.at_server)


def _outbound(flow: Flow, pod: Pod) -> Iterator[Row]:
    server = flow.server
    if isinstance(server, External):
        targets = [({"authority": server.host, **_plain("not_provided_by_service_discovery")}, 1.0)]
    elif isinstance(server, Orphan):
        discovered = {"dst_namespace": server.namespace, "dst_service": server.name}
        targets = [({"authority": _authority(server), **_plain("not_provided_by_service_discovery"), **discovered}, 1.0)]
    else:
        targets = [(_target(server, to), to.share) for to in server.pods]
    for target, share in targets:
        for outcome, rate in flow.rates:
            yield from _responses(
                {"direction": "outbound", **target}, outcome.client, rate * pod.share * share, flow, flow.at_client
            )


def _responses(
    labels: dict[str, str], result: Result, rate: float, flow: Flow, latency: tuple[tuple[float, float], ...]
) -> Iterator[Row]:
    status = {"status_code": str(result.code)}
    if result.grpc is not None:
        status["grpc_status"] = str(result.grpc)
    answered = bool(result.code) and not result.local
    verdict = {"classification": "failure" if result.failed else "success"}
    if not answered:
        # A stream that breaks before its headers has no status, no latency, and is a failure.
        status, verdict = {}, {"classification": "failure", "error": "unexpected"}
    if flow.idle and result.failed:
        return  # a response that never was has no series
    yield counter("response_total", {**labels, **status, **verdict}, rate)
    yield counter("request_total", labels, rate * 1.5)
    yield counter("route_response_total", {"dst": labels["authority"], "rt_route": "GET /", **status, **verdict}, rate)
    if answered:
        yield from histogram("response_latency_ms", {**labels, **status}, _BOUNDS, rate, latency, 0.001)


def _not_traffic(pod: Pod) -> Iterator[Row]:
    """Kubelet's probes, scrapes and probes of the proxy's own port, and the proxy's calls to the control plane."""
    answered = {"status_code": "200", "classification": "success"}
    app, admin = _address(pod, "8080"), _address(pod, "4191")
    for address, route in ((app, "probe"), (admin, "probe"), (admin, "default")):
        labels = {"direction": "inbound", **address, **_plain("no_tls_from_remote"), **_policy(route)}
        yield counter("response_total", {**labels, **answered}, _PROBES)
        if (address, route) != (admin, "probe"):
            yield from histogram("response_latency_ms", {**labels, "status_code": "200"}, _BOUNDS, _PROBES, ((9.0, 1.0),), 0.001)
    control = {
        "addr": "linkerd-dst-headless.linkerd.svc.cluster.local:8086",
        "server_id": _identity("linkerd-destination", "linkerd"),
    }
    yield counter("control_response_total", {**control, **answered}, _PROBES)


def _target(server: Workload, pod: Pod) -> dict[str, str]:
    labels = {
        "authority": _authority(server),
        **_address(pod, "8080"),
        "tls": "true",
        "server_id": _identity(server.name, server.namespace),
        "dst_control_plane_ns": "linkerd",
        f"dst_{_KIND_LABEL[server.kind]}": server.name,
        "dst_namespace": server.namespace,
        "dst_pod": pod.name,
        "dst_service": server.name,
        "dst_serviceaccount": server.name,
    }
    return labels | ({"dst_pod_template_hash": server.template_hash} if server.template_hash else {})


def _caller(flow: Flow) -> dict[str, str]:
    if isinstance(flow.client, Outside):
        return _plain("no_tls_from_remote")
    return {"tls": "true", "client_id": _identity(flow.client.name, flow.client.namespace)}


def _plain(reason: str) -> dict[str, str]:
    return {"tls": "no_identity", "no_tls_reason": reason}


def _policy(route: str) -> dict[str, str]:
    return {"srv_kind": "default", "srv_name": "all-unauthenticated", "route_kind": "default", "route_name": route}


def _address(pod: Pod, port: str) -> dict[str, str]:
    ip = f"10.42.{sum(map(ord, pod.name)) % 250}.{len(pod.name)}"
    return {"target_addr": f"{ip}:{port}", "target_ip": ip, "target_port": port}


def _authority(server: Workload | Orphan) -> str:
    return f"{server.name}.{server.namespace}.svc.cluster.local:8080"


def _identity(account: str, namespace: str) -> str:
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"
