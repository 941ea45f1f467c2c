"""The facts as each source has them: series of Istio and of Linkerd, a page of NGINX's sidecars, and the objects that viz knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from tests.doubles.backfill import Series, exposition
from tests.doubles.linkerd import Cluster, Object, Pod
from tests.doubles.mesh_facts import Pod as Sidecar
from tests.doubles.mesh_series import Page, Row, counter, histogram
from tests.federation.facts import Flow, Workload

__all__ = ["istio", "linkerd", "nginx_page", "objects", "samples"]

_ISTIO_BOUNDS = ("0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000")
_BOUNDS = ("1", "2", "3", "4", "5", "10", "20", "30", "40", "50", "100", "200", "300", "400", "500", "1000")
"""Of Linkerd, and of NGINX."""


def samples(rows: Iterable[Row], first: int, last: int) -> str:
    """One sample each second from ``first`` to ``last``, Unix seconds, as OpenMetrics has them."""
    kept: Series = {row.text: (row.start, row.rate) for row in rows}
    return exposition(kept, range(first, last + 1))


def istio(flows: Iterable[Flow]) -> Iterator[Row]:
    """The standard metrics, of both ends of every flow."""
    for flow in flows:
        ends = {
            "source_workload_namespace": flow.client[0],
            "source_workload": flow.client[1],
            "destination_workload_namespace": flow.server[0],
            "destination_workload": flow.server[1],
            "destination_service": f"{flow.server[1]}.{flow.server[0]}.svc.cluster.local",
            "request_protocol": "http",
        }
        for reporter in ("source", "destination"):
            for code, rate in (("200", flow.success), ("503", flow.failure)):
                labels = {"reporter": reporter, **ends, "response_code": code}
                yield counter("istio_requests_total", labels, rate)
                yield from _latencies("istio_request_duration_milliseconds", labels, _ISTIO_BOUNDS, rate, flow)


def linkerd(flows: Iterable[Flow]) -> Iterator[Row]:
    """What the proxies of both ends count, with the labels of Linkerd's scrape job."""
    started: set[Workload] = set()
    for flow in flows:
        called = {f"dst_{label}": value for label, value in _of_linkerd(flow.server).items()}
        for own in (
            {"direction": "inbound", "tls": "true", "target_port": "8080", **_of_linkerd(flow.server)},
            {"direction": "outbound", "tls": "true", **called, **_of_linkerd(flow.client)},
        ):
            for verdict, rate in (("success", flow.success), ("failure", flow.failure)):
                labels = {**own, "classification": verdict}
                yield counter("response_total", labels, rate)
                yield from _latencies("response_latency_ms", labels, _BOUNDS, rate, flow)
        for end in {flow.client, flow.server} - started:
            started.add(end)
            yield counter("process_start_time_seconds", {"namespace": end[0], "pod": _pod(end)}, 0)


def nginx_page(flows: Iterable[Flow]) -> Page:
    """What the sidecars of all workloads expose on one page, the labels of scraping included."""
    return Page.of(chain.from_iterable(_nginx(flow) for flow in flows), Sidecar("sidecars", 1.0, "node-a"))


def objects(flows: Iterable[Flow]) -> Cluster:
    """The Deployments, each with one pod in the mesh."""
    found: list[Object] = []
    workloads = {end for flow in flows for end in (flow.client, flow.server)}
    found += [Object("namespace", "", namespace) for namespace in sorted({namespace for namespace, _ in workloads})]
    for workload in sorted(workloads):
        namespace, name = workload
        deployment = Object("deployment", namespace, name)
        replicas = Object("replicaset", namespace, f"{name}-1", deployment)
        identity = f"{name}.{namespace}.serviceaccount.identity.linkerd.cluster.local"
        found += [deployment, replicas, Pod("pod", namespace, _pod(workload), replicas, identity=identity)]
    return Cluster(tuple(found))


def _nginx(flow: Flow) -> Iterator[Row]:
    own = {"namespace": flow.server[0], "deployment": flow.server[1], "pod": _pod(flow.server)}
    caller = {"namespace": flow.client[0], "deployment": flow.client[1], "pod": _pod(flow.client)}
    called = {"dst_namespace": flow.server[0], "dst_deployment": flow.server[1], "dst_pod": _pod(flow.server)}
    inward = {"upstream": f"incoming_{flow.server[1]}_8080", "server": "127.0.0.1:8080", **own}
    outward = {"upstream": "172.20.0.57_80", "server": "10.2.0.7:8080", **called, **caller}
    for ends in (inward, outward):
        for code, rate in (("2xx", flow.success), ("5xx", flow.failure)):
            yield counter("nginxplus_upstream_server_responses", {**ends, "code": code}, rate)
            numbered = {**ends, "code": code.replace("xx", "00")}
            yield from _latencies("nginxplus_upstream_server_response_latency_ms", numbered, _BOUNDS, rate, flow)


def _latencies(family: str, labels: dict[str, str], bounds: tuple[str, ...], rate: float, flow: Flow) -> Iterator[Row]:
    assert {str(flow.fastest), str(flow.slowest)} <= set(bounds)
    yield from histogram(family, labels, bounds, rate, (((flow.fastest + flow.slowest) / 2000, 1.0),), 0.001)


def _of_linkerd(workload: Workload) -> dict[str, str]:
    return {"namespace": workload[0], "deployment": workload[1], "pod": _pod(workload), "pod_template_hash": "1"}


def _pod(workload: Workload) -> str:
    return f"{workload[1]}-1-abcde"
