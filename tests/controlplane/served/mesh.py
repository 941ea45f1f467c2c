"""A small mesh whose traffic is known: what its Linkerd proxies would expose, for Prometheus to scrape, and the truth about it.

Every counter grows evenly and is stamped with the whole second its value belongs to, two seconds ahead: the truth does not depend
on how late a scrape comes on a busy machine, nor on who asks in the second it comes.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = [
    "API_1",
    "API_2",
    "DATA_API",
    "DB",
    "OTHER_WEB",
    "WEB",
    "Flow",
    "Mesh",
    "Pod",
    "Truth",
    "exchanged",
    "received",
    "sent",
    "serve_mesh",
]

BOUNDS = (1, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Upper bounds of the latency buckets, milliseconds."""

FAST = {5: 0.5, 20: 0.9, 100: 0.99, 200: 1.0}
SLOW = {50: 0.5, 200: 0.9, 500: 0.99, 1000: 1.0}
_STARTED = math.floor(time.time()) - 3600


@dataclass(frozen=True, slots=True)
class Pod:
    """One end of a flow. ``kind`` is the label Linkerd's scrape job gives its owner; ``hash`` marks a Deployment's pods."""

    namespace: str
    owner: str
    name: str
    kind: str = "deployment"
    hash: str = ""

    def labels(self, prefix: str = "") -> dict[str, str]:
        """The labels this end gives a series."""
        labels = {"namespace": self.namespace, self.kind: self.owner, "pod": self.name}
        if self.hash:
            labels["pod_template_hash"] = self.hash
        return {f"{prefix}{key}": value for key, value in labels.items()}


@dataclass(frozen=True, slots=True)
class Flow:
    """Requests from one pod to another through ``service``: per second that succeed and fail, and the share answered within some ms.

    A caller of None is outside the mesh.
    """

    caller: Pod | None
    callee: Pod
    service: str
    success: float
    failure: float
    within: dict[int, float]


@dataclass(frozen=True, slots=True)
class Truth:
    """Per second that succeed and fail; percentiles in seconds."""

    success: float
    failure: float
    p50: float
    p90: float
    p99: float


WEB = Pod("shop", "web", "web-5d8c-kx2p9", hash="5d8c")
API_1 = Pod("shop", "api", "api-7f6b-4mzqv", hash="7f6b")
API_2 = Pod("shop", "api", "api-7f6b-t8w6h", hash="7f6b")
GONE = Pod("shop", "gone", "gone-6c4d-9jw2x", hash="6c4d")
DB = Pod("data", "db", "db-0", kind="statefulset")
DATA_API = Pod("data", "api", "api-59fc-zz7lm", hash="59fc")
OTHER_WEB = Pod("other", "web", "web-84b7-q5rfn", hash="84b7")

FLOWS: tuple[Flow, ...] = (
    Flow(None, WEB, "web", 19.5, 0.5, FAST),
    Flow(WEB, API_1, "api", 12, 0, FAST),
    Flow(WEB, API_2, "api", 8, 2, SLOW),
    Flow(API_1, WEB, "web", 3, 0, SLOW),
    Flow(API_2, DB, "db", 30, 0, FAST),
    Flow(OTHER_WEB, API_1, "api", 4, 1, SLOW),
    Flow(OTHER_WEB, DATA_API, "api", 6, 0, FAST),
    # Its Deployment has been deleted, and its series linger.
    Flow(WEB, GONE, "gone", 7, 0, FAST),
)


def received(namespace: str, owner: str = "", *, pod: str = "", meshed: bool = False) -> Truth:
    """The truth about what arrived at a namespace, at a workload in it, or at one of its pods; ``meshed`` leaves outsiders out."""
    return _truth(
        flow
        for flow in FLOWS
        if flow.callee.namespace == namespace
        and owner in ("", flow.callee.owner)
        and pod in ("", flow.callee.name)
        and not (meshed and flow.caller is None)
    )


def exchanged(caller: str, callee: str) -> Truth:
    """The truth about what one workload sent another, both written ``shop/web``; an empty caller is the world outside."""
    return _truth(flow for flow in FLOWS if _written(flow.caller) == caller and _written(flow.callee) == callee)


def sent(caller: str) -> Truth:
    """The truth about everything that a workload sent, written ``shop/web``."""
    return _truth(flow for flow in FLOWS if _written(flow.caller) == caller)


def _written(pod: Pod | None) -> str:
    return f"{pod.namespace}/{pod.owner}" if pod else ""


def _truth(flows: Iterable[Flow]) -> Truth:
    flows = list(flows)
    return Truth(
        sum(flow.success for flow in flows),
        sum(flow.failure for flow in flows),
        *(_percentile(flows, share) / 1000 for share in (0.5, 0.9, 0.99)),
    )


def _percentile(flows: list[Flow], share: float) -> float:
    """Milliseconds, spread evenly inside a bucket: a histogram tells no more."""
    wanted = share * sum(flow.success + flow.failure for flow in flows)
    below, lower = 0.0, 0.0
    for bound in BOUNDS:
        reached = sum((flow.success + flow.failure) * _share(flow, bound) for flow in flows)
        if reached >= wanted - 1e-9:
            return lower + (bound - lower) * (wanted - below) / (reached - below)
        below, lower = reached, bound
    raise AssertionError("every request is answered within the last bound")


def _share(flow: Flow, bound: float) -> float:
    return max((share for ms, share in flow.within.items() if ms <= bound), default=0.0)


def _mean(flow: Flow) -> float:
    """Milliseconds, as if every request took nine tenths of the bound within which it is answered."""
    shares = {0.0: 0.0, **flow.within}
    return sum(0.9 * bound * (share - before) for before, (bound, share) in zip(shares.values(), flow.within.items(), strict=False))


class Mesh:
    """Flows whose requests can come to be more or fewer while they are scraped."""

    def __init__(self, flows: Iterable[Flow] = FLOWS) -> None:
        self._series = [(text, rate, flow) for flow in flows for text, rate in _series(flow)]
        self._turns: list[tuple[int, Flow, float]] = []

    def turn(self, flow: Flow, factor: float) -> None:
        """Three seconds from now, as nothing exposed so far says otherwise, requests come ``factor`` times as often as at first."""
        self._turns.append((math.ceil(time.time()) + 3, flow, factor))

    def exposition(self) -> str:
        """Every series and its value, as Prometheus reads them."""
        at = math.ceil(time.time()) + 2
        return "".join(f"{text} {rate * self._lasted(flow, at)!r} {at}000\n" for text, rate, flow in self._series)

    def _lasted(self, flow: Flow, at: int) -> float:
        """For how many seconds the flow would have lasted by then, had its requests always come as often as at first."""
        lasted, since, factor = 0.0, _STARTED, 1.0
        for turned, turning, to in self._turns:
            if turning is flow and turned <= at:
                lasted += factor * (turned - since)
                since, factor = turned, to
        return lasted + factor * (at - since)


@asynccontextmanager
async def serve_mesh(mesh: Mesh) -> AsyncIterator[str]:
    """Exposes the whole mesh on one loopback address; yields ``host:port``.

    In a thread of its own: a test that keeps its loop busy for seconds must not leave gaps in what the next one sees.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Exposition, mesh))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


class _Exposition(BaseHTTPRequestHandler):
    def __init__(self, mesh: Mesh, *args: Any) -> None:
        self._mesh = mesh
        super().__init__(*args)

    def do_GET(self) -> None:
        body = self._mesh.exposition().encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def _series(flow: Flow) -> Iterator[tuple[str, float]]:
    """Every series of a flow, and how much it grows per second: it is seen by the callee's proxy, and the caller's if it has one."""
    caller = flow.caller
    account = f"{caller.owner}.{caller.namespace}.serviceaccount.identity.linkerd.cluster.local" if caller else ""
    identity = {"tls": "true", "client_id": account} if caller else {"tls": "no_identity"}
    yield from _observed(flow, {"direction": "inbound", **flow.callee.labels(), **identity})
    if caller is not None:
        target = flow.callee.labels("dst_") | {"dst_service": flow.service}
        yield from _observed(flow, {"direction": "outbound", "tls": "true", **caller.labels(), **target})


def _observed(flow: Flow, labels: dict[str, str]) -> Iterator[tuple[str, float]]:
    for classification, rate in (("success", flow.success), ("failure", flow.failure)):
        if rate:
            yield _line("response_total", {**labels, "classification": classification}), rate
    total = flow.success + flow.failure
    for bound in BOUNDS:
        yield _line("response_latency_ms_bucket", {**labels, "le": str(bound)}), total * _share(flow, bound)
    yield _line("response_latency_ms_bucket", {**labels, "le": "+Inf"}), total
    yield _line("response_latency_ms_count", labels), total
    yield _line("response_latency_ms_sum", labels), total * _mean(flow)


def _line(name: str, labels: dict[str, str]) -> str:
    body = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{name}{{{body}}}"
