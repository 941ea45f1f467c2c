"""What Open Service Mesh's sidecars expose for the fleet once its scrape job has taken the labels out of the names, and what that tells.

Source: openservicemesh/osm, wasm/stats.cc, pkg/envoy/generator/lds/wasm.go (replies of the sidecar itself), pkg/compute/kube/client.go (who
a pod is), charts/osm/templates/prometheus-configmap.yaml (the scrape job) and tests/e2e/e2e_metrics_test.go (how names are written).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_envoy import BOUNDS
from tests.doubles.mesh_facts import FLOWS, External, Flow, Orphan, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, FROM, NOBODY, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind

__all__ = ["OpenServiceMesh"]

_UNTOLD = frozenset({"Node", "Service"})


class OpenServiceMesh(Mesh):
    """Callers name both ends down to the pod; callees count nothing."""

    name = "osm"
    bounds = tuple(float(bound) / 1000 for bound in BOUNDS)
    # Labels come out of the metrics' names, which only a Prometheus' relabelling can do.
    scraped = False
    never: ClassVar = {TOTAL: _UNTOLD, TO: _UNTOLD, FROM: _UNTOLD, CALLERS: _UNTOLD}

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:  # noqa: ARG002
        """The job smi-metrics adds nothing of its own: no namespace, no pod."""
        return {"job": "smi-metrics"}

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """What the sidecar of a caller counts, for each pod that answered."""
        for flow in FLOWS:
            if flow.client == workload:
                for outcome, rate in flow.rates:
                    for labels, share in _answered_by(flow, outcome.client):
                        both = {**_end("source", workload, pod), **labels}
                        yield from _responses(both, outcome.client, rate * pod.share * share, flow)
        # What other scrape jobs of OSM keep.
        yield counter("osm_proxy_response_send_success_count", {"source_namespace": workload.namespace}, 900.0)

    def reports(self, flow: Flow, side: str) -> bool:
        """Only outbound requests are counted."""
        return side == "client" and isinstance(flow.client, Workload)

    def failed(self, result: Result) -> bool:
        """A class 5; a sidecar answers 503 when nobody else does. Of gRPC nothing is known."""
        return result.code >= 500 or result.code == 0

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """Either end, but the callee only if it answered itself and has a sidecar to say who it is."""
        thing, pod = seen.end(which)
        if not isinstance(thing, Workload) or pod is None or (which == "server" and _own_reply(seen.result)):
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Pod":
                return ResourceRef(kind, thing.namespace, pod.name)
            case _:
                return of_kind(thing, kind) if kind in WORKLOAD_KINDS else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:  # noqa: ARG002
        """The headers that name a callee are all there is: hosts and services are not told."""
        return NOBODY


def _own_reply(result: Result) -> bool:
    """Whether a sidecar answered, at either end: all it says of the callee is "unknown"."""
    return result.local or result.code == 0


def _answered_by(flow: Flow, result: Result) -> list[tuple[dict[str, str], float]]:
    """The labels of the callee, and its share of the requests."""
    if _own_reply(result) or isinstance(flow.server, Orphan):
        return [({f"destination_{part}": "unknown" for part in ("namespace", "kind", "name", "pod")}, 1.0)]
    if isinstance(flow.server, External):
        return [({}, 1.0)]
    return [(_end("destination", flow.server, pod), pod.share) for pod in flow.server.pods]


def _end(end: str, workload: Workload, pod: Pod) -> dict[str, str]:
    """Who a pod is, as it stands in the name of a metric: of the characters of Kubernetes' names only letters and digits are left."""
    texts = {"namespace": workload.namespace, "kind": workload.kind, "name": workload.name, "pod": pod.name}
    return {f"{end}_{part}": text.replace("-", "_").replace(".", "_") for part, text in texts.items()}


def _responses(labels: dict[str, str], result: Result, rate: float, flow: Flow) -> Iterator[Row]:
    if flow.idle and result.failed:
        return
    yield counter("osm_request_total", {"response_code": str(result.code or 503), **labels}, rate)
    yield from histogram("osm_request_duration_ms", labels, BOUNDS, rate, flow.at_client, 0.001)
