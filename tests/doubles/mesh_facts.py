"""One small fleet and who calls whom in it: the facts from which every mesh's exposition, and the truth about it, are made.

The doubles of the meshes write these facts the way each mesh does; the truth is computed from the same list by other code. Neither shares
code with the product.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "FLOWS",
    "IDLE_COUNT",
    "OUTSIDE",
    "RESTART_EVERY",
    "WORKLOADS",
    "External",
    "Flow",
    "Latency",
    "Orphan",
    "Outcome",
    "Outside",
    "Pod",
    "Result",
    "Workload",
]

SCALE = 200
"""Requests per second of one unit below: counters are whole numbers, so the smallest series must move far more than once a window."""

RESTART_EVERY = 8.0
"""Seconds between two restarts of a pod that restarts: every window of eight seconds holds one."""

IDLE_COUNT = 4321
"""What the counters of an idle workload stand at."""

NODES = ("node-a", "node-b")

Latency = tuple[tuple[float, float], ...]
"""Where latencies lie: ``(seconds, share)``, shares adding up to one."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod, its share of the traffic of its workload, and its node. One that restarts begins to count from zero each time."""

    name: str
    share: float
    node: str
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that owns pods. ``template_hash`` is that of a Deployment's pods.

    ``ambient``: in Istio it has no sidecar, a waypoint stands before it. ``gateway``: its proxy has no application behind it.
    """

    namespace: str
    name: str
    kind: str
    pods: tuple[Pod, ...]
    template_hash: str = ""
    ambient: bool = False
    gateway: bool = False


@dataclass(frozen=True, slots=True)
class External:
    """A host outside the cluster."""

    host: str


@dataclass(frozen=True, slots=True)
class Orphan:
    """A Service without endpoints: requests to it reach nobody."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Outside:
    """Callers without a proxy."""


OUTSIDE = Outside()


@dataclass(frozen=True, slots=True)
class Result:
    """What one end saw of a request: the HTTP status (0: no response), the gRPC status if it was gRPC.

    ``local``: the proxy answered itself, because nobody else did.
    """

    code: int
    grpc: int | None = None
    local: bool = False

    @property
    def failed(self) -> bool:
        """HTTP 5xx, no response, or one of the six gRPC statuses that blame the server."""
        return self.code >= 500 or self.code == 0 or self.grpc in (2, 4, 7, 13, 14, 15)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of requests, as the caller's and as the callee's proxy saw it; None for a proxy that never saw them."""

    client: Result
    server: Result | None


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests from one client to one server: requests per second by outcome, and latencies at either end. No rate: it is idle."""

    client: Workload | Outside
    server: Workload | External | Orphan
    rates: tuple[tuple[Outcome, float], ...]
    at_server: Latency
    at_client: Latency

    @property
    def idle(self) -> bool:
        """Whether its series exist and do not move."""
        return not any(rate for _, rate in self.rates)


def http(code: int) -> Outcome:
    """A response of this status, seen by both ends."""
    return Outcome(Result(code), Result(code))


def grpc(status: int) -> Outcome:
    """A gRPC call that ended with this status, under HTTP 200."""
    return Outcome(Result(200, status), Result(200, status))


NO_RESPONSE = Outcome(Result(0), Result(0))
"""The server took the request and went away."""

UNREACHED = Outcome(Result(503, local=True), None)
"""No connection: the caller's proxy answers."""

UNREACHED_GRPC = Outcome(Result(503, 14, local=True), None)
"""The same for gRPC, where the proxy answers with a status as well."""

TIMED_OUT = Outcome(Result(504, local=True), Result(200))
"""The caller gave up before the server succeeded: a failure for one, a success for the other."""

FAST: Latency = ((0.0033, 0.74), (0.017, 0.21), (0.083, 0.05))
FAST_SEEN: Latency = ((0.0077, 0.74), (0.034, 0.21), (0.14, 0.05))
SLOW: Latency = ((0.127, 0.62), (0.66, 0.33), (1.8, 0.05))
SLOW_SEEN: Latency = ((0.272, 0.62), (1.31, 0.33), (3.3, 0.05))
STEADY: Latency = ((0.042, 1.0),)
STEADY_SEEN: Latency = ((0.061, 1.0),)


def _deployment(namespace: str, name: str, *shares: float, restarts: bool = False, **more: bool) -> Workload:
    code = f"{sum(map(ord, namespace + name)) * 7919:010x}"[-9:]
    pods = tuple(
        Pod(f"{name}-{code}-{'abcdef'[at] * 5}", share, NODES[at % 2], restarts=restarts and at == len(shares) - 1)
        for at, share in enumerate(shares)
    )
    return Workload(namespace, name, "Deployment", pods, template_hash=code, **more)


def _named(namespace: str, kind: str, name: str, *pods: tuple[str, float]) -> Workload:
    return Workload(namespace, name, kind, tuple(Pod(pod, share, NODES[at % 2]) for at, (pod, share) in enumerate(pods)))


WEB = _deployment("shop", "web", 0.95, 0.05, restarts=True)
API = _deployment("shop", "api", 0.5, 0.5)
PAY = _deployment("shop", "pay", 1.0)
BROKEN = _deployment("shop", "broken", 1.0)
IDLE = _deployment("shop", "idle", 1.0)
CATALOG = _deployment("shop", "catalog", 1.0, ambient=True)
ADMIN = _deployment("shop", "admin-portal", 1.0)
CART = _named("shop", "StatefulSet", "cart", ("cart-0", 0.6), ("cart-1", 0.4))
LOGS = _named("shop", "DaemonSet", "logs", ("logs-k2x9p", 0.5), ("logs-8d7fm", 0.5))
REINDEX = _named("shop", "Job", "reindex", ("reindex-7l2tq", 1.0))
PINNED = _named("shop", "ReplicaSet", "pinned", ("pinned-zzq4v", 1.0))
RELIC = _named("shop", "ReplicationController", "relic", ("relic-5vw8c", 1.0))
LEDGER_WEB = _deployment("ledger", "web", 1.0)
LEDGER_API = _deployment("ledger", "api", 1.0)
GATE = _deployment("ledger", "gate", 1.0, gateway=True)
PROMETHEUS = _deployment("ledger", "prometheus", 1.0)

WORKLOADS: tuple[Workload, ...] = (
    WEB,
    API,
    PAY,
    BROKEN,
    IDLE,
    CATALOG,
    ADMIN,
    CART,
    LOGS,
    REINDEX,
    PINNED,
    RELIC,
    LEDGER_WEB,
    LEDGER_API,
    GATE,
    PROMETHEUS,
)

PAYMENTS = External("payments.example.com")
DEAD = Orphan("shop", "dead")


def _flow(
    client: Workload | Outside,
    server: Workload | External | Orphan,
    rates: dict[Outcome, float],
    at_server: Latency = FAST,
    at_client: Latency = FAST_SEEN,
) -> Flow:
    return Flow(client, server, tuple((outcome, rate * SCALE) for outcome, rate in rates.items()), at_server, at_client)


FLOWS: tuple[Flow, ...] = (
    # A calls B and B calls A, and each of them itself or its namesake in the other namespace.
    _flow(WEB, API, {http(200): 800, http(301): 40, http(404): 60, http(500): 70, http(503): 30}),
    _flow(API, WEB, {http(200): 200}, SLOW, SLOW_SEEN),
    _flow(API, API, {http(200): 150, http(500): 50}),
    _flow(WEB, LEDGER_WEB, {http(200): 300, http(500): 20}, SLOW, SLOW_SEEN),
    _flow(LEDGER_WEB, WEB, {http(200): 120}),
    _flow(LEDGER_API, API, {http(204): 250}, STEADY, STEADY_SEEN),
    # Kinds beside Deployments, as callers and as callees.
    _flow(WEB, CART, {http(200): 400, http(429): 20}, SLOW, SLOW_SEEN),
    _flow(CART, API, {http(200): 100, TIMED_OUT: 40}, SLOW, SLOW_SEEN),
    _flow(WEB, LOGS, {http(202): 110}),
    _flow(LOGS, LEDGER_API, {http(200): 220}),
    _flow(API, REINDEX, {http(200): 130, NO_RESPONSE: 20}),
    _flow(REINDEX, LEDGER_API, {http(200): 140}, SLOW, SLOW_SEEN),
    _flow(API, PINNED, {http(200): 160}, STEADY, STEADY_SEEN),
    _flow(PINNED, API, {http(200): 90}),
    _flow(WEB, RELIC, {http(200): 70, http(500): 20}),
    _flow(RELIC, LEDGER_API, {http(200): 95}, SLOW, SLOW_SEEN),
    # gRPC: failures answered with HTTP 200, a status that blames the caller, calls that found nobody; and plain HTTP beside it.
    _flow(CART, PAY, {grpc(0): 500, grpc(13): 100, grpc(14): 60, grpc(5): 40, UNREACHED_GRPC: 25}, STEADY, STEADY_SEEN),
    _flow(ADMIN, PAY, {http(200): 50}, STEADY, STEADY_SEEN),
    # Failing, idle, outside, and names that look like the mesh's own parts.
    _flow(WEB, BROKEN, {http(503): 90}),
    _flow(WEB, IDLE, {http(200): 0, http(500): 0}),
    _flow(WEB, PAYMENTS, {http(200): 180, http(503): 20}, SLOW, SLOW_SEEN),
    _flow(WEB, DEAD, {UNREACHED: 45}),
    _flow(OUTSIDE, WEB, {http(200): 500, http(500): 25}),
    _flow(OUTSIDE, LEDGER_API, {http(200): 100}),
    _flow(WEB, CATALOG, {http(200): 350, http(500): 35}, SLOW, SLOW_SEEN),
    _flow(LEDGER_API, CATALOG, {http(200): 75}),
    _flow(WEB, ADMIN, {http(200): 85}),
    _flow(OUTSIDE, GATE, {http(200): 210, http(500): 30}, SLOW, SLOW_SEEN),
    _flow(GATE, WEB, {http(200): 205, http(500): 25}),
    _flow(GATE, PROMETHEUS, {http(200): 65}, STEADY, STEADY_SEEN),
)
