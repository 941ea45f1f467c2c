"""Instrumented applications: known requests, minute by minute, and what their SDKs export of them by OTLP, with deltas.

Sources: open-telemetry/semantic-conventions, docs/http/http-metrics.md and docs/rpc/rpc-metrics.md; open-telemetry/opentelemetry-proto,
opentelemetry/proto/metrics/v1/metrics.proto; the labels are those under which CloudWatch shows attributes of resources (CloudWatch User
Guide, "PromQL querying").
"""

from __future__ import annotations

import http.client
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

__all__ = ["CALLS", "INSTANT", "MINUTES", "SCALE", "Call", "Place", "export", "metrics"]

INSTANT = 1_600_000_020
"""Unix seconds of the last export: a whole minute."""

MINUTES = 3
"""How many exports there are, one a minute. Each has all of :data:`CALLS`."""

SCALE = 5
"""Of exponential histograms: a bucket ends 2.2 % above where it begins."""

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Seconds: those that the conventions recommend for durations of HTTP requests."""

_DELTA = 1


@dataclass(frozen=True, slots=True)
class Place:
    """A workload; one of kind ``Workload`` has no attribute that tells its kind."""

    kind: str
    namespace: str
    name: str
    explicit: bool = False
    """Whether its SDK makes histograms with explicit bounds."""

    @property
    def labels(self) -> dict[str, str]:
        """The attributes of its resource, one pod for each workload."""
        attributes = {
            "k8s.namespace.name": self.namespace,
            "k8s.pod.name": f"{self.name}-0",
            "k8s.node.name": "worker-1",
            "service.name": self.name,
        }
        if self.kind != "Workload":
            attributes[f"k8s.{self.kind.lower()}.name"] = self.name
        return {f"@resource.{name}": value for name, value in attributes.items()}


@dataclass(frozen=True, slots=True)
class Call:
    """What one caller asks of one host in a minute: how many requests took how many seconds. ``callee`` is None outside."""

    caller: Place
    host: str
    callee: Place | None
    code: str
    seconds: Mapping[float, int] = field(hash=False)
    error: str = ""
    grpc: bool = False

    @property
    def fails(self) -> bool:
        """Whether these are failures: 5xx, gRPC's own, and requests that nobody answered."""
        if self.grpc:
            return self.code in ("2", "4", "7", "13", "14", "15")
        return self.code.startswith("5") or not self.code

    @property
    def labels(self) -> dict[str, str]:
        """The attributes of its data points, of either end."""
        code = "rpc.grpc.status_code" if self.grpc else "http.response.status_code"
        return {name: value for name, value in ((code, self.code), ("error.type", self.error)) if value}


WEB = Place("Deployment", "shop", "web")
ORDERS = Place("Deployment", "shop", "orders", explicit=True)
CART = Place("StatefulSet", "shop", "cart")
REPORT = Place("Job", "batch", "report")
LEGACY = Place("Workload", "shop", "legacy")

CALLS = (
    Call(WEB, "orders", ORDERS, "200", {0.012: 30, 0.2: 8}),
    Call(WEB, "orders", ORDERS, "503", {0.4: 2}, error="503"),
    Call(WEB, "orders", ORDERS, "404", {0.003: 5}, error="404"),
    Call(WEB, "cart.shop.svc.cluster.local", CART, "0", {0.004: 90, 0.03: 9, 1.7: 1}, grpc=True),
    Call(WEB, "cart.shop.svc.cluster.local", CART, "14", {0.9: 4}, error="14", grpc=True),
    Call(WEB, "cart.shop.svc.cluster.local", CART, "201", {0.02: 10}),
    Call(WEB, "api.example.com", None, "200", {0.3: 7}),
    Call(WEB, "api.example.com", None, "", {10.0: 3}, error="timeout"),
    Call(REPORT, "orders.shop", ORDERS, "200", {0.06: 12}),
    Call(LEGACY, "orders.shop.svc", ORDERS, "200", {0.011: 6}),
    Call(ORDERS, "legacy", LEGACY, "500", {0.05: 1}, error="500"),
)


def metrics(calls: Iterable[Call] = CALLS) -> Iterator[tuple[str, bool, dict[str, str], Counter[float]]]:
    """Series of a minute: the name, whether bounds are explicit, labels, and how many observations there are of each value."""
    found: dict[tuple[str, bool, frozenset[tuple[str, str]]], Counter[float]] = {}
    for call in calls:
        name = "rpc.{}.duration" if call.grpc else "http.{}.request.duration"
        observed = Counter({seconds * (1000 if call.grpc else 1): count for seconds, count in call.seconds.items()})
        ends = [("client", call.caller, {"server.address": call.host})]
        if call.callee is not None:
            ends.append(("server", call.callee, {}))
        for side, place, own in ends:
            key = name.format(side), place.explicit, frozenset({**place.labels, **call.labels, **own}.items())
            found.setdefault(key, Counter()).update(observed)
    for (name, explicit, labels), observed in found.items():
        yield name, explicit, dict(labels), observed


def export(url: str, calls: Sequence[Call] = CALLS) -> None:
    """Sends every minute of the calls to the OTLP receiver of a Prometheus."""
    for back in reversed(range(MINUTES)):
        end = INSTANT - 60 * back
        _post(url, [_metric(*one, end) for one in metrics(calls)])


def _metric(name: str, explicit: bool, labels: Mapping[str, str], observed: Counter[float], end: int) -> dict[str, Any]:  # noqa: FBT001
    point = {
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in labels.items()],
        "startTimeUnixNano": str((end - 60) * 10**9),
        "timeUnixNano": str(end * 10**9),
        "count": str(observed.total()),
        "sum": math.fsum(value * count for value, count in observed.items()),
    }
    form = "histogram" if explicit else "exponentialHistogram"
    point |= _explicit(observed) if explicit else _exponential(observed)
    return {"name": name, form: {"aggregationTemporality": _DELTA, "dataPoints": [point]}}


def _explicit(observed: Counter[float]) -> dict[str, Any]:
    counts = [0] * (len(_BOUNDS) + 1)
    for value, count in observed.items():
        counts[sum(bound < value for bound in _BOUNDS)] += count
    return {"explicitBounds": list(_BOUNDS), "bucketCounts": [str(count) for count in counts]}


def _exponential(observed: Counter[float]) -> dict[str, Any]:
    """Bucket ``i`` ends at ``2 ** ((i + 1) / 2 ** SCALE)``, which belongs to it."""
    places = Counter[int]()
    for value, count in observed.items():
        places[math.ceil(math.log2(value) * 2**SCALE) - 1] += count
    first, last = min(places), max(places)
    return {
        "scale": SCALE,
        "zeroCount": "0",
        "positive": {"offset": first, "bucketCounts": [str(places[at]) for at in range(first, last + 1)]},
    }


def _post(url: str, sent: Sequence[Mapping[str, Any]]) -> None:
    document = {"resourceMetrics": [{"resource": {}, "scopeMetrics": [{"metrics": sent}]}]}
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("POST", "/api/v1/otlp/v1/metrics", json.dumps(document).encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"OTLP was answered HTTP {response.status}: {response.read(500).decode(errors='replace')}")
    finally:
        connection.close()
