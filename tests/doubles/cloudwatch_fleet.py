"""The fleet of ``mesh_facts.py`` as CloudWatch has it, and what can be known of it from there.

Its workloads run in the cluster ``prod`` and trace their requests; what is outside does not. Spans know less of a fleet than proxies do: no
pods, and no caller at the end that is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.cloudwatch_mesh import Service, Spans, spread
from tests.doubles.mesh_envoy import BOUNDS
from tests.doubles.mesh_facts import FLOWS, PINNED, External, Flow, Latency, Orphan, Outcome, Pod, Result, Workload
from tests.doubles.mesh_series import Row
from tests.doubles.meshes import CALLERS, EVERY_KIND, FROM, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen

__all__ = ["CLUSTER", "HOSTS", "Signals", "environment", "fleet_spans", "noise", "past_spans", "spans_at"]

CLUSTER = "prod"

HOSTS = {"pinned.shop.svc.cluster.local:8080": ("shop", "pinned")}
"""Host names by which callers know a workload: the agent could not tell whose address it was."""

_SCALE = [float(bound) for bound in BOUNDS]
_MINUTE = 60


def environment(namespace: str, cluster: str = CLUSTER) -> str:
    """Where a workload runs."""
    return f"eks:{cluster}/{namespace}"


def fleet_spans() -> Iterator[Spans]:
    """All spans of a minute. Idle flows have none."""
    for flow in FLOWS:
        if not flow.idle:
            yield from _spans(flow)


def past_spans() -> Iterator[Spans]:
    """Those of flows that are idle now, from when they were not."""
    for flow in FLOWS:
        if flow.idle:
            yield from _spans(replace(flow, rates=((flow.rates[0][0], 100.0),)))


def noise() -> Iterator[Spans]:
    """Spans that belong into no row: of the same services in another cluster, and of a service whose namespace nobody knows."""
    for spans in fleet_spans():
        staging = {"service": _elsewhere(spans.service)}
        if spans.remote is not None:
            staging["remote"] = _elsewhere(spans.remote)
        yield replace(spans, **staging)
    yield Spans(Service(environment("UnknownNamespace"), "web"), {10.0: 900}, faults=90)
    yield Spans(Service("ec2:default", "web"), {10.0: 900}, faults=90)


class Signals(Mesh):
    """What Application Signals tells: callees in total, callers by callee, workloads without their kind."""

    name = "application-signals"
    bounds = tuple(bound / 1000 for bound in _SCALE)
    scraped = False
    never: ClassVar = {
        TOTAL: frozenset({"Pod", "Node", "Service"}),
        TO: frozenset({"Pod", "Node", "Service"}),
        FROM: frozenset({"Pod", "Node", "Service"}),
        CALLERS: EVERY_KIND,
    }

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:  # noqa: ARG002 nothing is scraped
        """Nothing: the numbers are in CloudWatch."""
        return iter(())

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:  # noqa: ARG002 nothing is scraped
        """None."""
        return {}

    def reports(self, flow: Flow, side: str) -> bool:
        """Both ends, where they are workloads; a gateway, which is a proxy and no program, traces what it sends."""
        if side == "client":
            return isinstance(flow.client, Workload)
        return isinstance(flow.server, Workload) and not flow.server.gateway

    def result(self, outcome: Outcome, side: str) -> Result | None:
        """A caller's span of gRPC is an error whatever status but OK it ends with (OpenTelemetry, semantic conventions for gRPC)."""
        result = outcome.client if side == "client" else outcome.server
        return replace(result, grpc=2) if side == "client" and result is not None and result.grpc else result

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002 both ends are named or none
        """Callers alone name the other end."""
        return seen.side == "client"

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:  # noqa: ARG002
        """Either end by its workload."""
        thing, _ = seen.end(which)
        if not isinstance(thing, Workload):
            return None
        if kind == "Namespace":
            return ResourceRef(kind, "", thing.namespace)
        return ResourceRef("Workload", thing.namespace, thing.name) if kind in WORKLOAD_KINDS else None


_MESH = Signals()


def _spans(flow: Flow) -> Iterator[Spans]:
    if isinstance(flow.server, Workload) and _MESH.reports(flow, "server"):
        yield spans_at(flow, "server")
    if isinstance(flow.client, Workload):
        yield spans_at(flow, "client")


def spans_at(flow: Flow, side: str) -> Spans:
    """What one end of a flow traces in a minute; it has to be a workload."""
    counts: Counter[str] = Counter()
    for outcome, rate in flow.rates:
        result = _MESH.result(outcome, side)
        if result is None:
            continue
        what = "faults" if result.failed else "errors" if 400 <= result.code < 500 else "fine"
        counts[what] += round(rate * _MINUTE)
    total = sum(counts.values())
    own, latency = (flow.client, flow.at_client) if side == "client" else (flow.server, flow.at_server)
    if not isinstance(own, Workload):
        raise TypeError(f"{own} traces nothing")
    remote = _remote(flow.server) if side == "client" else None
    return Spans(_service(own), _latencies(latency, total), counts["faults"], counts["errors"], remote)


def _latencies(latency: Latency, total: int) -> dict[float, float]:
    """The observations spread over the buckets they are in: a histogram tells no more of them."""
    return spread(_SCALE, {bound: round(total * sum(share for at, share in latency if at * 1000 <= bound)) for bound in _SCALE})


def _service(workload: Workload) -> Service:
    return Service(environment(workload.namespace), workload.name)


def _remote(server: Workload | External | Orphan) -> Service:
    match server:
        case Workload():
            if server == PINNED:
                (name,) = HOSTS
                return Service("", name)
            return _service(server)
        case External():
            return Service("", server.host)
        case Orphan():
            return Service("", f"{server.name}.{server.namespace}.svc.cluster.local")


def _elsewhere(service: Service) -> Service:
    return service._replace(environment=service.environment.replace(f":{CLUSTER}/", ":staging/"))
