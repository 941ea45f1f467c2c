"""The socket: gRPC without generated code, over a loopback port that stays the same when the server comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from tests.doubles.linkerd.answering import Answering, Refused
from tests.doubles.linkerd.cluster import Cluster
from tests.doubles.linkerd.faults import Fault, Faults
from tests.doubles.linkerd.schema import SERVICE, Message, message
from tests.doubles.linkerd.store import Store

__all__ = ["VizDouble", "run_viz"]

_Answer = Callable[[Message], Awaitable[Message]]
_OPTIONS = [("grpc.so_reuseport", 0), ("grpc.enable_http_proxy", 0)]


class VizDouble:
    """One metrics-api; the package tells of its knobs. ``address`` is its host and port from the first start on."""

    def __init__(
        self, cluster: Cluster, prometheus: str, *, instant: float | None = None, domain: str = "cluster.local", address: str = ""
    ) -> None:
        self.address = address or "127.0.0.1:0"
        self.faults = Faults()
        self.calls: list[tuple[str, Message]] = []
        self.called = asyncio.Event()
        self.under_way = 0
        self.busiest = 0
        self.store = Store(prometheus, instant)
        answering = Answering(cluster, self.store, domain)
        self._methods: dict[str, _Answer] = {
            "StatSummary": answering.stat_summary,
            "Edges": answering.edges,
            "ListPods": answering.list_pods,
            "SelfCheck": answering.self_check,
        }
        self._server: grpc.aio.Server | None = None

    @property
    def queries(self) -> list[str]:
        """All PromQL that was sent so far."""
        return self.store.queries

    def named(self, method: str) -> list[Message]:
        """The requests of one method so far."""
        return [request for name, request in self.calls if name == method]

    async def start(self) -> None:
        """Listens: on a free port at first, later on the same one."""
        self.store.open()
        self._server = grpc.aio.server(options=_OPTIONS)
        handlers = {name: self._handler(name, answer) for name, answer in self._methods.items()}
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        host, _, _ = self.address.rpartition(":")
        self.address = f"{host}:{self._server.add_insecure_port(self.address)}"
        await self._server.start()

    async def stop(self) -> None:
        """Is gone: the port is closed and calls that are under way break off."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None
        await self.store.close()

    def _handler(self, name: str, answer: _Answer) -> Any:
        async def handle(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message | bytes:
            self.calls.append((name, request))
            self.called.set()
            self.under_way += 1
            self.busiest = max(self.busiest, self.under_way)
            try:
                await self.faults.pause(name)
                fault, garbled = self.faults.fault(name), self.faults.bytes(name)
                if fault is not None:
                    await context.abort(*fault)
                return garbled if garbled is not None else await answer(request)
            except Refused as refused:
                await context.abort(*refused.fault)
            finally:
                self.under_way -= 1

        return grpc.unary_unary_rpc_method_handler(handle, _reader(name), _written)


def _reader(name: str) -> Callable[[bytes], Message]:
    kind = message(f"{name}Request")

    def read(data: bytes) -> Message:
        try:
            return kind.FromString(data)
        except DecodeError as error:
            raise Refused(Fault(grpc.StatusCode.INTERNAL, str(error))) from error

    return read


def _written(answer: Message | bytes) -> bytes:
    return answer if isinstance(answer, bytes) else bytes(answer.SerializeToString())


@asynccontextmanager
async def run_viz(cluster: Cluster, prometheus: str, *, instant: float | None = None) -> AsyncIterator[VizDouble]:
    """A running double over the Prometheus at this URL."""
    viz = VizDouble(cluster, prometheus, instant=instant)
    await viz.start()
    try:
        yield viz
    finally:
        await viz.stop()
