"""A metrics-api that says what a test lets it say: about itself, about namespaces, and about what is in one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from backends.linkerd import viz_pb2 as viz

__all__ = ["SHOP", "Refusal", "Script", "check", "edge", "pod", "row", "serve"]

HEALTHY = ("kubernetes", "prometheus")
LONG = 600


@dataclass(frozen=True)
class Refusal:
    """The status of a call that fails."""

    code: grpc.StatusCode
    details: str = ""


def row(name: str, requests: int = 0, *, meshed: int = 2, running: int = 2, milliseconds: int = 10) -> viz.StatTable.PodGroup.Row:
    """A row of an object in the namespace ``shop`` or of a namespace; all its numbers would be zero where there are no ``requests``."""
    stats = viz.BasicStats(
        success_count=requests, latency_ms_p50=milliseconds, latency_ms_p95=2 * milliseconds, latency_ms_p99=3 * milliseconds
    )
    return viz.StatTable.PodGroup.Row(
        resource=viz.Resource(name=name),
        meshed_pod_count=meshed,
        running_pod_count=running,
        stats=stats if requests else None,
    )


def pod(name: str, *, scraped: bool = True, namespace: str = "linkerd", version: str = "edge-26.8.3") -> viz.Pod:
    """A pod whose proxy is of the control plane in ``namespace``, empty if it has none."""
    return viz.Pod(name=name, added=scraped, controllerNamespace=namespace, proxyVersion=version if namespace else "")


def edge(reason: str = "") -> viz.Edge:
    """A connection from web to api, which is plain for a ``reason``."""
    ends = {name: viz.Resource(namespace="shop", type="pod", name=f"{name}-1") for name in ("web", "api")}
    return viz.Edge(src=ends["web"], dst=ends["api"], no_identity_msg=reason)


def check(name: str, status: viz.CheckStatus = viz.OK, message: str = "") -> viz.CheckResult:
    """What it says of something that it depends on."""
    return viz.CheckResult(SubsystemName=name, Status=status, FriendlyMessageToUser=message)


Rows = list[viz.StatTable.PodGroup.Row]

SHOP: Mapping[str, Rows] = {
    "namespace": [
        row("idle"),
        row("data", 1),
        row("shop", 100),
        row("linkerd", 900),
        row("linkerd-viz", 800),
        row("kube-system", meshed=0, running=9),
    ],
    "deployment": [row("web", 60), row("api", 40)],
    "pod": [row("web-1", 60), row("api-1", 40)],
    "service": [row("web", 60)],
    "to": [row("shop", 40)],
    "from": [row("shop", 40)],
}
"""What is told of a small shop that is well: by kind, and by what is asked of its neighbours."""


@dataclass
class Script:
    """What is said. ``rows`` are by kind, or ``to`` and ``from`` for neighbours; ``later`` are the namespaces of a window of ten minutes.

    ``least`` is the shortest window in seconds. ``refusals`` are by the name of the call, and ``slow`` are seconds that each call takes.
    ``asked`` are the requests there were.
    """

    checks: list[viz.CheckResult] = field(default_factory=lambda: [check(name) for name in HEALTHY])
    rows: Mapping[str, Rows] = field(default_factory=lambda: SHOP)
    later: Rows = field(default_factory=list)
    pods: list[viz.Pod] = field(default_factory=lambda: [pod("shop/web-1"), pod("shop/api-1")])
    edges: list[viz.Edge] = field(default_factory=lambda: [edge()])
    least: int = 10
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    asked: list[Any] = field(default_factory=list)

    def _stats(self, request: viz.StatSummaryRequest) -> viz.StatSummaryResponse:
        seconds = int(request.time_window.removesuffix("s"))
        if seconds < self.least:
            refused = f"time window ({seconds}s) must be at least as long as the Prometheus scrape interval ({self.least}s)"
            return viz.StatSummaryResponse(error=viz.ResourceError(error=f"invalid time window: {refused}"))
        way = {"to_resource": "to", "from_resource": "from"}.get(request.WhichOneof("outbound") or "", "")
        asked = way or request.selector.resource.type
        rows = self.later if seconds == LONG and asked == "namespace" else self.rows.get(asked, [])
        table = viz.StatTable(pod_group=viz.StatTable.PodGroup(rows=rows))
        return viz.StatSummaryResponse(ok=viz.StatSummaryResponse.Ok(stat_tables=[table]))

    def _answers(self) -> dict[str, tuple[Any, Callable[[Any], Any]]]:
        return {
            "SelfCheck": (viz.SelfCheckRequest, lambda _: viz.SelfCheckResponse(results=self.checks)),
            "StatSummary": (viz.StatSummaryRequest, self._stats),
            "Edges": (viz.EdgesRequest, lambda _: viz.EdgesResponse(ok=viz.EdgesResponse.Ok(edges=self.edges))),
            "ListPods": (viz.ListPodsRequest, lambda _: viz.ListPodsResponse(pods=self.pods)),
        }

    def handlers(self) -> dict[str, Any]:
        """What a gRPC server serves, by the name of the call."""
        return {name: self._handler(name, shape, answer) for name, (shape, answer) in self._answers().items()}

    def _handler(self, name: str, shape: Any, answer: Callable[[Any], Any]) -> Any:
        async def handle(request: Any, context: grpc.aio.ServicerContext) -> Any:
            self.asked.append(request)
            await asyncio.sleep(self.slow.get(name, 0))
            if name in self.refusals:
                await context.abort(self.refusals[name].code, self.refusals[name].details)
            return answer(request)

        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=shape.FromString, response_serializer=lambda message: message.SerializeToString()
        )


@asynccontextmanager
async def serve(script: Script) -> AsyncIterator[str]:
    """A server that follows the script; its address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("linkerd2.viz.Api", script.handlers()),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
