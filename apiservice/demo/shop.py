"""The shop of the demonstration, as data: who runs, who calls whom, how long each takes and how often it fails.

Both ways to run the shop read this one description: real applications behind real Envoys, and the simulation for machines without
Envoy. It holds one of each case that traffic metrics must get right: failures over HTTP, failures over gRPC that are answered with
HTTP 200, a slow service, a workload calling itself, two workloads calling each other, a StatefulSet in another namespace, a host outside
the mesh, visitors outside the mesh, and a workload that nobody calls.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from statistics import NormalDist

__all__ = ["LOCAL_APP", "SHOP", "Call", "External", "Latency", "Operation", "Pod", "Route", "Shop", "Visit", "Workload"]

LOCAL_APP = "local_app"
"""Envoy's cluster for the application of its own pod."""

_NODES = ("node-1", "node-2")
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""The characters Kubernetes makes the random part of pod names from."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Log-normally spread seconds, given by two of their percentiles; never longer than three times ``p99``."""

    p50: float
    p99: float

    def at(self, share: float) -> float:
        """The time that a share (above 0, below 1) of the answers is faster than."""
        spread = math.log(self.p99 / self.p50) / NormalDist().inv_cdf(0.99)
        return min(self.p50 * math.exp(spread * NormalDist().inv_cdf(share)), 3 * self.p99)


@dataclass(frozen=True, slots=True)
class Call:
    """A request an operation makes on its way. ``peer`` is a host of the shop; when a ``required`` one fails, the caller fails too."""

    peer: str
    path: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """What an application does for one path: it thinks, makes its calls one after the other, and fails a share of the time by itself."""

    path: str
    latency: Latency
    calls: tuple[Call, ...] = ()
    failing: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """Where a gateway sends the paths that begin with ``prefix``."""

    prefix: str
    peer: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod of a workload."""

    name: str
    node: str
    workload: Workload

    def labels(self) -> dict[str, str]:
        """The labels that scraping in a cluster adds to the series of this pod."""
        workload = self.workload
        labels = {"namespace": workload.namespace, "pod": self.name, "node": self.node, workload.kind.lower(): workload.name}
        if workload.kind == "Deployment":
            labels["replicaset"] = f"{workload.name}-{workload.revision}"
        return labels


@dataclass(frozen=True, slots=True)
class Workload:
    """A meshed workload: ``replicas`` pods, each with its own proxy. A gateway has ``routes`` and no application.

    ``note`` says in a few words what there is to see in its metrics.
    """

    namespace: str
    name: str
    kind: str = "Deployment"
    replicas: int = 1
    operations: tuple[Operation, ...] = ()
    routes: tuple[Route, ...] = ()
    grpc: bool = False
    note: str = ""

    @property
    def host(self) -> str:
        """The name callers know it by, and the name of their cluster for it."""
        return f"{self.name}.{self.namespace}"

    @property
    def revision(self) -> str:
        """The part that a Deployment adds to the names of its ReplicaSet and pods."""
        return _word(self.host, 10)

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Its pods, named as Kubernetes names them and spread over the nodes."""
        ordered = self.kind == "StatefulSet"
        first = int.from_bytes(self.host.encode()) % len(_NODES)
        return tuple(
            Pod(
                f"{self.name}-{index}" if ordered else f"{self.name}-{self.revision}-{_word(f'{self.host}/{index}', 5)}",
                _NODES[(first + index) % len(_NODES)],
                self,
            )
            for index in range(self.replicas)
        )

    @property
    def peers(self) -> tuple[str, ...]:
        """The hosts it calls."""
        calls = [call.peer for operation in self.operations for call in operation.calls]
        return tuple(dict.fromkeys([*calls, *(route.peer for route in self.routes)]))


@dataclass(frozen=True, slots=True)
class External:
    """Something outside the mesh, known by its host name alone."""

    host: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """What visitors, who are outside the mesh, ask a gateway for, and how often."""

    gateway: str
    path: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything that runs, and what sets it going."""

    workloads: tuple[Workload, ...]
    externals: tuple[External, ...]
    visits: tuple[Visit, ...]

    @property
    def pods(self) -> tuple[Pod, ...]:
        """Every meshed pod."""
        return tuple(pod for workload in self.workloads for pod in workload.pods)

    @property
    def operations(self) -> dict[str, tuple[Operation, ...]]:
        """What is done behind each host, in the mesh and outside."""
        inside = {workload.host: workload.operations for workload in self.workloads}
        return inside | {external.host: external.operations for external in self.externals}


def _word(seed: str, length: int) -> str:
    """A word that looks random and is the same every time."""
    return "".join(_SAFE[byte % len(_SAFE)] for byte in hashlib.sha256(seed.encode()).digest()[:length])


_QUICK = Latency(0.003, 0.009)
_MODERATE = Latency(0.012, 0.045)
_SLOW = Latency(0.280, 0.900)

_RESERVE = Call("inventory.shop", "/shop.Inventory/Reserve")

SHOP = Shop(
    workloads=(
        Workload(
            namespace="edge",
            name="gateway",
            note="where visitors come in",
            routes=(Route("/api/", "catalog.shop"), Route("/", "web.shop")),
        ),
        Workload(
            namespace="shop",
            name="web",
            note="two pods; calls the others",
            replicas=2,
            operations=(
                Operation(
                    "/home", _QUICK, (Call("catalog.shop", "/featured"), Call("recommendations.shop", "/for-you", required=False))
                ),
                Operation("/product", _QUICK, (Call("catalog.shop", "/item"),)),
                Operation("/checkout", _QUICK, (Call("cart.shop", "/contents"), Call("checkout.shop", "/order"))),
            ),
        ),
        Workload(
            namespace="shop",
            name="catalog",
            note="two pods; calls itself",
            replicas=2,
            operations=(
                Operation("/featured", _QUICK, (Call("db.data", "/select"),)),
                # Its own pods share out what they remember: a workload that calls itself.
                Operation("/item", _QUICK, (Call("catalog.shop", "/related"),)),
                Operation("/related", _QUICK, (Call("db.data", "/select"),)),
                Operation("/api/items", _MODERATE, (Call("db.data", "/select"),)),
            ),
        ),
        Workload(
            namespace="shop",
            name="cart",
            note="2 of 100 requests fail",
            operations=(Operation("/contents", _QUICK, (Call("db.data", "/select"),), failing=0.02),),
        ),
        Workload(
            namespace="shop",
            name="checkout",
            note="calls payments, and is called back by it",
            operations=(
                Operation("/order", _MODERATE, (_RESERVE, Call("payments.shop", "/charge"))),
                Operation("/confirm", _QUICK),
            ),
        ),
        Workload(
            namespace="shop",
            name="payments",
            note="3 of 100 requests fail; calls a host outside the mesh",
            operations=(
                # checkout calls payments, and payments calls checkout back: two edges, not one.
                Operation(
                    "/charge", _MODERATE, (Call("bank.example.com", "/transfer"), Call("checkout.shop", "/confirm")), failing=0.03
                ),
            ),
        ),
        Workload(
            namespace="shop",
            name="inventory",
            note="gRPC: 5 of 100 calls fail, with HTTP 200",
            grpc=True,
            operations=(Operation(_RESERVE.path, _QUICK, (Call("db.data", "/update"),), failing=0.05),),
        ),
        Workload(namespace="shop", name="recommendations", note="slow", operations=(Operation("/for-you", _SLOW),)),
        Workload(namespace="shop", name="wishlist", note="nobody calls it", operations=(Operation("/items", _QUICK),)),
        Workload(
            namespace="data",
            name="db",
            note="a StatefulSet of two pods, in another namespace",
            kind="StatefulSet",
            replicas=2,
            operations=(Operation("/select", Latency(0.0015, 0.006)), Operation("/update", Latency(0.004, 0.020))),
        ),
    ),
    externals=(External("bank.example.com", (Operation("/transfer", Latency(0.045, 0.160)),)),),
    visits=(
        Visit("gateway.edge", "/home", 2.0),
        Visit("gateway.edge", "/product", 2.0),
        Visit("gateway.edge", "/checkout", 1.5),
        Visit("gateway.edge", "/api/items", 1.0),
    ),
)
