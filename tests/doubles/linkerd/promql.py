"""The PromQL that viz sends.

Source: linkerd/linkerd2, viz/metrics-api/stat_summary.go, prometheus.go and edges.go, viz/pkg/prometheus/prometheus.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.doubles.linkerd.schema import Message

__all__ = ["QUANTILES", "Reading", "edges", "label_of", "of_objects", "of_services", "started", "stat_queries"]

QUANTILES = {"0.5": "latency_ms_p50", "0.95": "latency_ms_p95", "0.99": "latency_ms_p99"}
"""The quantiles asked for, with the fields of a row's stats they become."""


def started(namespace: str = "") -> str:
    """When the proxies of pods were started: by this it is known that they are scraped, and that Prometheus answers at all."""
    matcher = f'namespace="{namespace}"' if namespace else ""
    return f"max(process_start_time_seconds{{{matcher}}}) by (pod, namespace)"


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read for one table: which series, as PromQL has it, and the labels rows are told apart by, the name last."""

    matchers: str
    tcp_matchers: str
    by: tuple[str, ...]


def label_of(kind: str) -> str:
    """The label that proxies' series have for a kind."""
    return "k8s_job" if kind == "job" else kind


def of_objects(request: Message) -> Reading:
    """What is read for rows about objects: inbound series, or callers' outbound ones."""
    own = request.selector.resource
    match request.WhichOneof("outbound"):
        case "to_resource":
            by, peer = _by(own, ""), "dst"
            labels = {**_called(request.to_resource), **_own(own), "direction": "outbound"}
        case "from_resource":
            by, peer = _by(own, "dst_"), "dst"
            labels = {**_own(request.from_resource), **_called(own), "direction": "outbound"}
        case _:
            by, peer = _by(own, ""), "src"
            labels = {**_own(own), "direction": "inbound"}
    return Reading(_text(labels), _text({**labels, "peer": peer}), by)


def of_services(request: Message, domain: str) -> Reading:
    """What is read for rows about Services: callers' series by the authority called. The name is put into the expression as it is."""
    own = request.selector.resource
    labels = {"direction": "outbound"}
    match request.WhichOneof("outbound"):
        case "to_resource":
            labels |= _called(request.to_resource)
        case "from_resource":
            labels |= _own(request.from_resource)
    authority = f'authority=~"^{own.name or ".+"}.{own.namespace}.svc.{domain}.*"'
    return Reading(_text(labels, authority), _text({**labels, "peer": "dst"}, authority), ("dst_namespace", "dst_service"))


def stat_queries(reading: Reading, window: str, *, tcp: bool) -> dict[str, str]:
    """The queries of one table, by what they give: ``requests``, fields of latency, fields of connections."""
    by = ", ".join(reading.by)
    queries = {"requests": f"sum(increase(response_total{reading.matchers}[{window}])) by ({by}, classification, tls)"}
    for quantile, field in QUANTILES.items():
        rates = f"irate(response_latency_ms_bucket{reading.matchers}[{window}])"
        queries[field] = f"histogram_quantile({quantile}, sum({rates}) by (le, {by}))"
    if tcp:
        queries["open_connections"] = f"sum(tcp_open_connections{reading.matchers}) by ({by})"
        queries["read_bytes_total"] = f"sum(increase(tcp_read_bytes_total{reading.tcp_matchers}[{window}])) by ({by})"
        queries["write_bytes_total"] = f"sum(increase(tcp_write_bytes_total{reading.tcp_matchers}[{window}])) by ({by})"
    return queries


def edges(kind: str) -> str:
    """The connections that are open at this moment between objects of one kind."""
    label = label_of(kind)
    by = f"{label}, dst_{label}, pod, server_id, namespace, dst_namespace, no_tls_reason"
    matchers = _sorted(['direction="outbound"', f'{label}!=""', f'dst_{label}!=""'])
    return f"sum(tcp_open_connections{matchers}) by ({by})"


def _by(resource: Message, prefix: str) -> tuple[str, ...]:
    namespace = (f"{prefix}namespace",)
    return namespace if resource.type == "namespace" else (*namespace, prefix + label_of(resource.type))


def _own(resource: Message) -> dict[str, str]:
    """What the reporting proxy is called, as far as it is asked for."""
    labels = {}
    if resource.name and resource.type != "service":
        labels[label_of(resource.type)] = resource.name
    if resource.type != "namespace" and resource.namespace:
        labels["namespace"] = resource.namespace
    return labels


def _called(resource: Message) -> dict[str, str]:
    """What the one called is called; nothing at all without a name, and its namespace neither."""
    if not resource.name:
        return {}
    labels = {f"dst_{label_of(resource.type)}": resource.name}
    if resource.type != "namespace" and resource.namespace:
        labels["dst_namespace"] = resource.namespace
    return labels


def _text(labels: Mapping[str, str], *more: str) -> str:
    return _sorted([*(f'{name}="{value}"' for name, value in labels.items()), *more])


def _sorted(matchers: Sequence[str]) -> str:
    return f"{{{', '.join(sorted(matchers))}}}"
