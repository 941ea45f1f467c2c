"""What a service graph made of traces says of the fleet, as Grafana Tempo's generator writes it; the collector's connector differs little.

An edge is counted once for its two ends, when both spans have come, or when one of them waited in vain and says whom it missed.

Source: grafana/tempo, modules/generator/processor/servicegraphs; open-telemetry/opentelemetry-collector-contrib,
connector/servicegraphconnector; open-telemetry/semantic-conventions, docs/http/http-spans.md and docs/rpc/grpc.md (which spans are errors).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, External, Flow, Latency, Orphan, Outcome, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, Mesh, Seen
from tests.doubles.meshes.otel_spanmetrics import BOUNDS, COLLECTORS, attributes, named_by_attributes

__all__ = ["OtelServicegraph"]

_MESSAGES = 900.0
"""Messages per second by way of a queue; enough of them to be seen in any row they get into."""

_NOTHING: Latency = ((0.0, 1.0),)
"""The latency of an end that had no span."""


class OtelServicegraph(Mesh):
    """Both ends of a call by the attributes of their pods, from one series."""

    name = "otel-servicegraph"
    bounds = tuple(map(float, BOUNDS))
    extra = (COLLECTORS,)
    scraped = False
    never: ClassVar = {way: frozenset({"Service"}) for way in (TOTAL, TO, FROM, CALLERS)}

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Those of the pod that collected, which say nothing of the traffic."""
        return {"namespace": workload.namespace, "pod": pod.name, "job": "collector"}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """The edges that one collector saw."""
        if workload != COLLECTORS:
            return
        for flow in FLOWS:
            for outcome, rate in flow.rates:
                if not (flow.idle and outcome.client.failed):
                    yield from _edges(flow, outcome, rate * pod.share)
            if isinstance(flow.client, Workload) and isinstance(flow.server, Workload):
                yield from _messages(flow.client, flow.server)

    def result(self, outcome: Outcome, side: str) -> Result | None:
        """One counter holds what either end saw, and a client's span fails whenever its server's does; without a server it saw nothing."""
        return outcome.client if side == "client" or outcome.server is not None else None

    def failed(self, result: Result) -> bool:
        """What instrumentations of clients mark as an error: any answer of 400 and above, none, and any status of gRPC but OK."""
        return result.code >= 400 or result.code == 0 or bool(result.grpc)

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """Either end by the attributes of its pod; a server that was not reached has no span to take them from."""
        thing, pod = seen.end(which)
        if pod is None or not isinstance(thing, Workload) or (which == "server" and _unreached(seen)):
            return None
        return named_by_attributes(thing, pod, kind, only=only)

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """A server without a span is the host its client called."""
        thing, _ = seen.end(other)
        return NOBODY if isinstance(thing, Outside) else ResourceRef("", "", _host(thing))


def _unreached(seen: Seen) -> bool:
    return any(outcome.client == seen.result and outcome.server is None for outcome, _ in seen.flow.rates)


def _host(thing: Workload | External | Orphan) -> str:
    return thing.host if isinstance(thing, External) else f"{thing.name}.{thing.namespace}.svc.cluster.local"


def _edges(flow: Flow, outcome: Outcome, rate: float) -> Iterator[Row]:
    failed = OtelServicegraph().failed(outcome.client)
    clients = [(None, 1.0)] if isinstance(flow.client, Outside) else [(pod, pod.share) for pod in flow.client.pods]
    servers: list[tuple[Pod | None, float]] = [(None, 1.0)]
    if isinstance(flow.server, Workload) and outcome.server is not None:
        servers = [(pod, pod.share) for pod in flow.server.pods]
    for (caller, calls), (callee, called) in product(clients, servers):
        labels = _labels(flow, caller, callee)
        amount = rate * calls * called
        yield counter("traces_service_graph_request_total", labels, amount)
        if failed:
            yield counter("traces_service_graph_request_failed_total", labels, amount)
        at_server, at_client = flow.at_server if callee else _NOTHING, flow.at_client if caller else _NOTHING
        yield from histogram("traces_service_graph_request_server_seconds", labels, BOUNDS, amount, at_server, 1.0)
        yield from histogram("traces_service_graph_request_client_seconds", labels, BOUNDS, amount, at_client, 1.0)


def _labels(flow: Flow, caller: Pod | None, callee: Pod | None) -> dict[str, str]:
    """Empty labels are not written. The label of virtual nodes tells which end had no span."""
    labels: dict[str, str] = {}
    if isinstance(flow.client, Outside):
        labels |= {"client": "user", "connection_type": "virtual_node", "virtual_node": "client"}
    elif caller is not None:
        labels |= {"client": flow.client.name, **_dimensions("client", flow.client, caller)}
    if isinstance(flow.server, Workload) and callee is not None:
        return {**labels, "server": flow.server.name, **_dimensions("server", flow.server, callee)}
    return {**labels, "server": _host(flow.server), "connection_type": "virtual_node", "virtual_node": "server"}


def _dimensions(end: str, workload: Workload, pod: Pod) -> dict[str, str]:
    return {f"{end}_{label}": value for label, value in attributes(workload, pod).items()}


def _messages(client: Workload, server: Workload) -> Iterator[Row]:
    """What one sends to the other by way of a queue."""
    labels = {
        "client": client.name,
        "server": server.name,
        "connection_type": "messaging_system",
        **_dimensions("client", client, client.pods[0]),
        **_dimensions("server", server, server.pods[0]),
    }
    for suffix in ("total", "failed_total"):
        yield counter(f"traces_service_graph_request_{suffix}", labels, _MESSAGES)
    for end in ("server", "client"):
        yield from histogram(f"traces_service_graph_request_{end}_seconds", labels, BOUNDS, _MESSAGES, ((9.0, 1.0),), 1.0)
