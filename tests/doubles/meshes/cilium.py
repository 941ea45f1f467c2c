"""What the agents of Cilium expose on each node for the fleet through Hubble's metric httpV2, and what that tells.

The options are ``labelsContext`` with namespace, workload, kind and pod of both ends, ``sourceContext=reserved-identity`` and
``destinationContext=dns|reserved-identity``.

Source: cilium/cilium, pkg/hubble/metrics/http/handler.go and handler_test.go, pkg/hubble/metrics/api/context.go,
pkg/k8s/utils/workload.go (who a pod belongs to), Documentation/observability/metrics.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Outside, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind

__all__ = ["Cilium"]

_BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")
"""The Go client's default bounds, seconds."""

_AGENTS = Workload("kube-system", "cilium", "DaemonSet", (Pod("cilium-p5x8d", 0.5, "node-a"), Pod("cilium-w2r7k", 0.5, "node-b")))
"""One agent for each node."""

_OTHER = 900.0
"""Flows per second that are no requests; enough of them to be seen in any row they get into."""


class Cilium(Mesh):
    """The node of either end reports both ends down to the pod."""

    name = "cilium"
    bounds = tuple(map(float, _BOUNDS))
    extra = (_AGENTS,)
    never: ClassVar = {
        TOTAL: frozenset({"Service"}),
        TO: frozenset({"Service"}),
        FROM: frozenset({"Service"}),
        CALLERS: frozenset({"Service", "Node"}),
    }

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Those of the agent, of which only its node says something of the traffic."""
        return {
            "job": "hubble-metrics",
            "namespace": workload.namespace,
            "pod": pod.name,
            "node": pod.node,
            "daemonset": workload.name,
        }

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """What the agent of a node counts: requests that pods there sent, and those they received."""
        if workload != _AGENTS:
            return
        for flow in FLOWS:
            for reporter in ("client", "server"):
                if self.reports(flow, reporter):
                    for caller in _pods(flow.client):
                        for callee in _pods(flow.server):
                            observed = caller if reporter == "client" else callee
                            if observed is not None and observed.node == pod.node:
                                yield from _requests(flow, reporter, caller, callee)
        # No HTTP, and an observer that does not know on which side it stands.
        yield counter("hubble_flows_processed_total", {"type": "L7", "subtype": "HTTP", "verdict": "FORWARDED"}, _OTHER)
        lost = {**_source(FLOWS[0].client, None), **_destination(FLOWS[0].server, None), "status": "500", "reporter": "unknown"}
        yield counter("hubble_http_requests_total", lost, _OTHER)

    def reports(self, flow: Flow, side: str) -> bool:
        """A Service without endpoints is refused before HTTP begins."""
        if side == "client":
            return isinstance(flow.client, Workload) and not isinstance(flow.server, Orphan)
        return isinstance(flow.server, Workload)

    def failed(self, result: Result) -> bool:
        """A class 5; the node's proxy answers 503 when nobody else does. Of gRPC nothing is known."""
        return result.code >= 500 or result.code == 0

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """Either end; the node is that of the pod on whose side was observed."""
        thing, pod = seen.end(which)
        if not isinstance(thing, Workload) or pod is None:
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Node":
                return ResourceRef(kind, "", pod.node) if seen.side == which else None
            case "Pod":
                return ResourceRef(kind, thing.namespace, pod.name)
            case _:
                return of_kind(thing, kind) if kind in WORKLOAD_KINDS else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """A host by the name that was resolved to it; the world is unknown."""
        thing, _ = seen.end(other)
        return ResourceRef("", "", thing.host) if isinstance(thing, External) else NOBODY


def _pods(end: Workload | External | Orphan | Outside) -> tuple[Pod | None, ...]:
    return end.pods if isinstance(end, Workload) else (None,)


def _requests(flow: Flow, reporter: str, caller: Pod | None, callee: Pod | None) -> Iterator[Row]:
    share = (caller.share if caller else 1.0) * (callee.share if callee else 1.0)
    ends = {**_source(flow.client, caller), **_destination(flow.server, callee), "method": "GET", "reporter": reporter}
    for outcome, rate in flow.rates:
        result = outcome.client if reporter == "client" else outcome.server
        if result is None or (flow.idle and result.failed):
            continue
        status = {"protocol": "HTTP/1.1" if result.grpc is None else "HTTP/2", "status": str(result.code or 503)}
        yield counter("hubble_http_requests_total", {**ends, **status}, rate * share)
        seen = flow.at_client if reporter == "client" else flow.at_server
        yield from histogram("hubble_http_request_duration_seconds", ends, _BOUNDS, rate * share, seen, 1.0)


def _source(client: Workload | Outside, pod: Pod | None) -> dict[str, str]:
    reserved = "reserved:world" if isinstance(client, Outside) else ""
    return {**_labels("source", client if isinstance(client, Workload) else None, pod), "source": reserved}


def _destination(server: Workload | External | Orphan, pod: Pod | None) -> dict[str, str]:
    name = server.host if isinstance(server, External) else ""
    return {**_labels("destination", server if isinstance(server, Workload) else None, pod), "destination": name}


def _labels(end: str, workload: Workload | None, pod: Pod | None) -> dict[str, str]:
    """All labels that are configured, empty where there is nothing to say."""
    texts = dict.fromkeys(("pod", "namespace", "workload", "workload_kind"), "")
    if workload is not None:
        texts = {
            "pod": pod.name if pod is not None else "",
            "namespace": workload.namespace,
            "workload": workload.name,
            "workload_kind": workload.kind,
        }
    return {f"{end}_{part}": text for part, text in texts.items()}
