"""What the proxies of Traefik Mesh expose on each node for the fleet, and what that tells: services, and nobody who calls them.

Source: traefik/mesh, pkg/provider/key.go and provider.go (keys of services); traefik/mesh-helm-chart, mesh/templates/proxy (the
provider, the probes); traefik/traefik, pkg/server/service/service.go (what is counted: services with servers, not those that share out
among others) and docs/content/observability/metrics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import JOINED_SERVICE, ResourceRef
from tests.doubles.mesh_facts import FLOWS, Flow, Outcome, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, EVERY_KIND, FROM, TO, TOTAL, Mesh, Seen

__all__ = ["TraefikMesh"]

_BOUNDS = ("0.1", "0.3", "1.2", "5")
"""Traefik's default bounds, seconds."""

_PROXIES = Workload(
    "traefik-mesh",
    "traefik-mesh-proxy",
    "DaemonSet",
    (Pod("traefik-mesh-proxy-x7k2p", 0.5, "node-a"), Pod("traefik-mesh-proxy-q4v9z", 0.5, "node-b")),
)
"""One proxy for each node."""

_OTHER = 900.0
"""Requests per second under keys that name no Service alone; enough of them to be seen in any row they get into."""

_OTHER_KEYS = (
    "readiness@http",
    "block-all-service@http",
    "dashboard@internal",
    "shop-api-by-web-8080-traffic-target@http",
    "shop-api-canary-8080-web-traffic-split-backend@http",
    "shop-api-8080@kubernetes",
)
"""The proxy's own, those of TrafficTargets and TrafficSplits, and an ingress of the ordinary kind."""


class TraefikMesh(Mesh):
    """Proxies on the way, which know the Service called."""

    name = "traefik-mesh"
    bounds = tuple(map(float, _BOUNDS))
    extra = (_PROXIES,)
    never: ClassVar = {TOTAL: EVERY_KIND - {"Service"}, TO: EVERY_KIND, FROM: EVERY_KIND, CALLERS: EVERY_KIND}

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Those of the proxy that was passed, which say nothing of either end."""
        return {
            "job": "traefik-mesh",
            "namespace": workload.namespace,
            "pod": pod.name,
            "node": pod.node,
            "daemonset": workload.name,
        }

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """What the proxy of a node counts: the requests of the pods there."""
        if workload != _PROXIES:
            return
        for flow in FLOWS:
            if isinstance(flow.client, Workload) and isinstance(flow.server, Workload):
                share = sum(caller.share for caller in flow.client.pods if caller.node == pod.node)
                if share:
                    key = f"{flow.server.namespace}-{flow.server.name}-8080@http"
                    for outcome, rate in flow.rates:
                        yield from _responses(key, outcome, rate * share, flow)
        for key in _OTHER_KEYS:
            yield from _counted({"service": key, "code": "200", "method": "GET", "protocol": "http"}, _OTHER, ((2.0, 1.0),))
        yield counter("traefik_entrypoint_requests_total", {"entrypoint": "http-5000", "code": "200"}, _OTHER)

    def reports(self, flow: Flow, side: str) -> bool:
        """Callers in the cluster that use the mesh's names; hosts outside, and Services without endpoints, are counted nowhere."""
        return side == "server" and isinstance(flow.client, Workload) and isinstance(flow.server, Workload)

    def result(self, outcome: Outcome, side: str) -> Result | None:  # noqa: ARG002
        """What the caller got: the proxy answers when nobody else does."""
        return outcome.client

    def failed(self, result: Result) -> bool:
        """A class 5; the proxy answers 502 when nobody else does. Of gRPC nothing is known."""
        return result.code >= 500 or result.code == 0

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002
        """Nothing is said of callers."""
        return False

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """The Service, as long as it is clear which of the hyphens parts its namespace from its name."""
        thing, _ = seen.end(which)
        if which != "server" or kind != "Service" or not isinstance(thing, Workload):
            return None
        if "-" in thing.namespace + thing.name:
            return ResourceRef(JOINED_SERVICE, "", f"{thing.namespace}-{thing.name}")
        return ResourceRef(kind, thing.namespace, thing.name)


def _responses(key: str, outcome: Outcome, rate: float, flow: Flow) -> Iterator[Row]:
    if flow.idle and outcome.client.failed:
        return
    code = "502" if outcome.client.local or not outcome.client.code else str(outcome.client.code)
    labels = {"service": key, "code": code, "method": "GET", "protocol": "http"}
    yield from _counted(labels, rate, flow.at_server)


def _counted(labels: dict[str, str], rate: float, latency: tuple[tuple[float, float], ...]) -> Iterator[Row]:
    yield counter("traefik_service_requests_total", labels, rate)
    yield from histogram("traefik_service_request_duration_seconds", labels, _BOUNDS, rate, latency, 1.0)
