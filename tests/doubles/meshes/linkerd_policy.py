"""What Linkerd's proxies say of the fleet in their metrics of routes and of the Services behind them.

Source: linkerd/linkerd2-proxy, linkerd/app/outbound/src/http/logical/policy/route/metrics, linkerd/app/inbound/src/http/router/metrics
and linkerd/proxy/client-policy/src/lib.rs (what parents and backends are called).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from metrics_api import ResourceRef
from tests.doubles.mesh_facts import API, FLOWS, LEDGER_WEB, PAY, RELIC, External, Flow, Latency, Orphan, Pod, Result, Workload
from tests.doubles.mesh_series import Row, counter, histogram
from tests.doubles.meshes import CALLERS, EVERY_KIND, FROM, NOBODY, ROUTE_KINDS, TO, TOTAL, WORKLOAD_KINDS, Mesh, Seen, of_kind
from tests.doubles.meshes.linkerd import Linkerd

__all__ = ["LinkerdPolicy"]

BOUNDS = ("0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "10.0")
"""Upper bounds of the finer histograms of either direction, seconds: response durations of backends, request durations of servers."""

_COARSE = ("0.05", "0.5", "1.0", "10.0")
"""Those of the other two."""

_NETWORK = "all-egress"
"""The EgressNetwork by which traffic leaves."""

_PROBES = 900.0
"""Requests per second that are not traffic; enough of them to be seen in any row they get into."""

_WORDS = {0: "OK", 5: "NOT_FOUND", 13: "INTERNAL", 14: "UNAVAILABLE"}
"""gRPC statuses as the outbound proxy writes them; the inbound one writes their numbers."""

_GATEWAY_API = "gateway.networking.k8s.io"
_ROUTES = {
    (API, "http"): (_GATEWAY_API, "HTTPRoute", "shop", "canary"),
    # Of whoever calls from the namespace of the route.
    (LEDGER_WEB, "http"): (_GATEWAY_API, "HTTPRoute", "shop", "abroad"),
    (PAY, "grpc"): (_GATEWAY_API, "GRPCRoute", "shop", "by-status"),
    # Linkerd's own sort of HTTPRoute, which may have the name of one of the Gateway API.
    (RELIC, "http"): ("policy.linkerd.io", "HTTPRoute", "shop", "canary"),
}
"""The routes by which requests reach a workload, as group, kind, namespace and name; the default one leads to all others."""

_CALLEES = frozenset({"Namespace", "Service"})


class LinkerdPolicy(Mesh):
    """Callers name the Service they called, callees nobody but themselves."""

    name = "linkerd-policy"
    bounds = tuple(map(float, BOUNDS))
    routes = True
    # No label names a node, a Service is told by callers alone, and a callee's series name no caller.
    never: ClassVar = {
        TOTAL: frozenset({"Node"}),
        TO: frozenset({"Node", "Service"}),
        FROM: EVERY_KIND - _CALLEES,
        CALLERS: EVERY_KIND - _CALLEES,
    }

    def scrape_labels(self, workload: Workload, pod: Pod) -> dict[str, str]:
        """Those that Linkerd's scrape job gives every series of a proxy."""
        return Linkerd().scrape_labels(workload, pod)

    def rows(self, workload: Workload, pod: Pod) -> Iterator[Row]:
        """Everything one proxy exposes of routes."""
        for flow in FLOWS:
            if flow.server == workload:
                yield from _inbound(flow, pod)
            if flow.client == workload:
                yield from _outbound(flow, pod)
        for port, route in (("8080", "probe"), ("4191", "default")):
            yield counter("inbound_http_statuses_total", {**_server(port), **_route(route), "status": "200"}, _PROBES)
            labels = {**_server(port), **_route(route)}
            yield from histogram("inbound_http_request_duration_seconds", labels, BOUNDS, _PROBES, ((9.0, 1.0),), 1.0)

    def tells_peer(self, seen: Seen, other: str) -> bool:  # noqa: ARG002
        """A callee says nothing of who called."""
        return seen.side == "client"

    def named(self, seen: Seen, which: str, kind: str, *, only: bool) -> ResourceRef | None:
        """The reporting proxy by its own labels; whom it called by the Service alone."""
        thing, pod = seen.end(which)
        if kind in ROUTE_KINDS:
            return _route_named(seen, kind) if which == seen.side == "client" else None
        if not isinstance(thing, Workload | Orphan):
            return None
        if seen.side != which:
            known = {"Service": (thing.namespace, thing.name), "Namespace": ("", thing.namespace)} if which == "server" else {}
            return ResourceRef(kind, *known[kind]) if kind in known else None
        if isinstance(thing, Orphan) or pod is None:
            return None
        match kind:
            case "Namespace":
                return ResourceRef(kind, "", thing.namespace)
            case "Pod":
                return ResourceRef(kind, thing.namespace, pod.name)
            case "ReplicaSet" if only and thing.template_hash:
                return ResourceRef(kind, thing.namespace, f"{thing.name}-{thing.template_hash}")
            case _:
                return of_kind(thing, kind) if kind in WORKLOAD_KINDS else None

    def unnamed(self, seen: Seen, other: str) -> ResourceRef:
        """What is outside is called after the network that leads to it."""
        thing, _ = seen.end(other)
        return ResourceRef("", "", _NETWORK) if isinstance(thing, External) else NOBODY


def _inbound(flow: Flow, pod: Pod) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        result = outcome.server
        if result is None or (flow.idle and result.failed):
            continue
        kind, status = ("http", str(result.code or "")) if result.grpc is None else ("grpc", str(result.grpc))
        labels = {**_server("8080" if kind == "http" else "9090"), **_route("default")}
        amount = rate * pod.share
        yield counter(f"inbound_{kind}_statuses_total", {**labels, "status": status}, amount)
        yield counter(f"inbound_{kind}_requests_total", labels, amount * 1.5)
        yield from _durations(f"inbound_{kind}", labels, amount, flow.at_server, fine="request")


def _outbound(flow: Flow, pod: Pod) -> Iterator[Row]:
    for outcome, rate in flow.rates:
        result = outcome.client
        if flow.idle and result.failed:
            continue
        kind = "http" if result.grpc is None else "grpc"
        parent = _object("parent", flow.server, "8080" if kind == "http" else "9090")
        route = _route_to(flow, kind)
        labels = {**parent, **route, **_object("backend", flow.server, parent["parent_port"])}
        status = _status(result, kind)
        amount = rate * pod.share
        name = f"outbound_{kind}_route_backend"
        yield counter(f"{name}_response_statuses_total", {**labels, **status}, amount)
        yield counter(f"{name}_requests_total", labels, amount * 1.5)
        # What the route answered: an attempt more or less, so no count of it may get into a row.
        yield counter(f"outbound_{kind}_route_request_statuses_total", {**parent, **route, **status}, amount * 1.3)
        yield from _durations(name, labels, amount, flow.at_client, fine="response")


def _route_to(flow: Flow, kind: str) -> dict[str, str]:
    if not isinstance(flow.server, Workload) or (flow.server, kind) not in _ROUTES:
        return {**_route("default"), "route_namespace": ""}
    return dict(zip(("route_group", "route_kind", "route_namespace", "route_name"), _ROUTES[flow.server, kind], strict=True))


def _route_named(seen: Seen, kind: str) -> ResourceRef | None:
    """The route of this kind by which the requests went, as the Gateway API has it."""
    labels = _route_to(seen.flow, "http" if seen.result.grpc is None else "grpc")
    if (labels["route_group"], labels["route_kind"]) != (_GATEWAY_API, kind):
        return None
    return ResourceRef(kind, labels["route_namespace"], labels["route_name"])


def _durations(prefix: str, labels: dict[str, str], amount: float, latency: Latency, *, fine: str) -> Iterator[Row]:
    yield from histogram(f"{prefix}_{fine}_duration_seconds", labels, BOUNDS, amount, latency, 1.0)
    other = "response" if fine == "request" else "request"
    yield from histogram(f"{prefix}_{other}_duration_seconds", labels, _COARSE, amount * 1.5, ((9.0, 1.0),), 1.0)


def _status(result: Result, kind: str) -> dict[str, str]:
    """A request that came to nothing has an error and no status, which gRPC spells UNKNOWN."""
    error = "" if result.code and not result.local else "REQUEST_TIMEOUT" if result.code == 504 else "FAIL_FAST"
    if kind == "grpc":
        return {"grpc_status": "UNKNOWN" if error else _WORDS[result.grpc or 0], "error": error}
    return {"http_status": "" if error else str(result.code), "error": error}


def _object(scope: str, server: Workload | External | Orphan, port: str) -> dict[str, str]:
    group, kind, namespace, name = "core", "Service", "", ""
    if isinstance(server, External):
        group, kind, namespace, name = "policy.linkerd.io", "EgressNetwork", "linkerd", _NETWORK
    else:
        namespace, name = server.namespace, server.name
    return {
        f"{scope}_group": group,
        f"{scope}_kind": kind,
        f"{scope}_namespace": namespace,
        f"{scope}_name": name,
        f"{scope}_port": port,
        f"{scope}_section_name": "",
    }


def _server(port: str) -> dict[str, str]:
    return {"parent_group": "", "parent_kind": "default", "parent_name": "all-unauthenticated", "parent_port": port}


def _route(name: str) -> dict[str, str]:
    return {"route_group": "", "route_kind": "default", "route_name": name}
