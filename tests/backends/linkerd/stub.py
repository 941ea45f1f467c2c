"""A metrics-api that says what a test tells it to say, call by call, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message

from backends.linkerd import LinkerdBackend, LinkerdSettings
from backends.linkerd import viz_pb2 as viz
from metrics_api import Identities, ResourceRef

__all__ = ["NOW", "Fault", "Row", "Stub", "edge", "open_backend", "row", "serve", "split"]

NOW = 1_800_000_000
"""The time that sources in these tests have: whatever they are asked about is now."""

Row = viz.StatTable.PodGroup.Row
_REQUESTS = {
    "StatSummary": viz.StatSummaryRequest,
    "Edges": viz.EdgesRequest,
    "SelfCheck": viz.SelfCheckRequest,
    "ListPods": viz.ListPodsRequest,
}


@dataclass(frozen=True)
class Fault(Exception):
    """The status that a call ends with."""

    code: grpc.StatusCode
    details: str = ""


@dataclass
class Stub:
    """``summary`` gives rows to a StatSummary, ``edges`` edges to the kind and namespace of an Edges; both may raise a :class:`Fault`.

    ``body`` is the error that stands in the body of an answer to StatSummary, ``raw`` are bytes to be sent instead of any answer,
    ``delay`` seconds that each call takes. ``asked`` are the requests so far.
    """

    summary: Callable[[viz.StatSummaryRequest], list[Row]] = lambda _: []
    edges: Callable[[str, str], list[viz.Edge]] = lambda _kind, _namespace: []
    body: str = ""
    edges_body: str = ""
    raw: bytes | None = None
    delay: float = 0.0
    edges_delay: float = 0.0
    address: str = ""
    asked: list[Any] = field(default_factory=list)
    under_way: int = 0
    busiest: int = 0
    time_left: list[float | None] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def summaries(self) -> list[viz.StatSummaryRequest]:
        """The StatSummary requests that asked for numbers."""
        return [request for request in self.asked if isinstance(request, viz.StatSummaryRequest) and not request.skip_stats]

    async def answer(self, request: Any, context: Any) -> Message | bytes:
        """What one call is answered."""
        self.asked.append(request)
        self.time_left.append(context.time_remaining())
        self.under_way += 1
        self.busiest = max(self.busiest, self.under_way)
        self.began.set()
        try:
            await asyncio.sleep(self.edges_delay if isinstance(request, viz.EdgesRequest) else self.delay)
            return self.raw if self.raw is not None else self._message(request)
        except Fault as fault:
            await context.abort(fault.code, fault.details)
        finally:
            self.under_way -= 1
            self.ended.set()

    def _message(self, request: Any) -> Message:
        resource = request.selector.resource
        if isinstance(request, viz.EdgesRequest):
            if self.edges_body:
                return viz.EdgesResponse(error=viz.ResourceError(resource=resource, error=self.edges_body))
            return viz.EdgesResponse(ok=viz.EdgesResponse.Ok(edges=self.edges(resource.type, resource.namespace)))
        if self.body:
            return viz.StatSummaryResponse(error=viz.ResourceError(resource=resource, error=self.body))
        table = viz.StatTable(pod_group=viz.StatTable.PodGroup(rows=self.summary(request)))
        return viz.StatSummaryResponse(ok=viz.StatSummaryResponse.Ok(stat_tables=[table]))


@asynccontextmanager
async def serve(stub: Stub, credentials: grpc.ServerCredentials | None = None, address: str = "127.0.0.1:0") -> AsyncIterator[Stub]:
    """The stub on a free port, or on that of ``address``; it is gone afterwards."""

    async def handle(request: Any, context: Any) -> Message | bytes:
        return await stub.answer(request, context)

    def encode(answer: Message | bytes) -> bytes:
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    handlers = {
        name: grpc.unary_unary_rpc_method_handler(handle, request_deserializer=shape.FromString, response_serializer=encode)
        for name, shape in _REQUESTS.items()
    }
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("linkerd2.viz.Api", handlers)])
    port = server.add_secure_port(address, credentials) if credentials is not None else server.add_insecure_port(address)
    stub.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield stub
    finally:
        await server.stop(None)


@asynccontextmanager
async def open_backend(stub: Stub, **settings: Any) -> AsyncIterator[LinkerdBackend]:
    """A source called ``viz`` that asks the stub, and takes :data:`NOW` for the time."""
    async with serve(stub), LinkerdBackend(LinkerdSettings("viz", stub.address, **settings), clock=lambda: NOW) as backend:
        yield backend


def row(
    ref: ResourceRef, *counts: int, meshed: int = 1, running: int = 1, ms: tuple[int, int, int] = (0, 0, 0), window: str = ""
) -> Row:
    """A row about an object: with its successes and failures, or without numbers where there are none."""
    stats = (
        viz.BasicStats(
            success_count=counts[0], failure_count=counts[1], latency_ms_p50=ms[0], latency_ms_p95=ms[1], latency_ms_p99=ms[2]
        )
        if counts
        else None
    )
    resource = viz.Resource(type=ref.kind.lower(), namespace=ref.namespace, name=ref.name)
    return Row(resource=resource, time_window=window, meshed_pod_count=meshed, running_pod_count=running, stats=stats)


def split(service: ResourceRef, leaf: str, weight: str, *counts: int, ms: tuple[int, int, int] = (0, 0, 0)) -> Row:
    """A row about one backend of a Service."""
    found = row(service, *counts, meshed=0, running=0, ms=ms)
    found.ts_stats.CopyFrom(viz.TrafficSplitStats(apex=service.name, leaf=leaf, weight=weight))
    return found


def edge(source: ResourceRef, target: ResourceRef, identities: Identities) -> viz.Edge:
    """An open connection."""
    ends = [viz.Resource(type=ref.kind.lower(), namespace=ref.namespace, name=ref.name) for ref in (source, target)]
    return viz.Edge(
        src=ends[0], dst=ends[1], client_id=identities.client, server_id=identities.server, no_identity_msg=identities.insecure
    )
