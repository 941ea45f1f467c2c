"""A laboratory for Envoy: one real proxy, upstreams that answer as they are told, and its counters as numbers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from apiservice.demo.bootstrap import HOST, Cluster, bootstrap
from apiservice.demo.grpc import GrpcServer
from apiservice.demo.ports import PortReservation
from apiservice.demo.proxy import Proxy
from apiservice.demo.shop import LOCAL_APP

Config = dict[str, Any]

_SAMPLE = re.compile(r"(?P<metric>\w+)\{(?P<labels>.*)\} (?P<value>[0-9.e+-]+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class Series:
    """One scrape: every series by its metric and labels."""

    def __init__(self, text: str) -> None:
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        # Read by hand: prometheus_client renames counters that do not end in _total.
        for line in text.splitlines():
            if sample := _SAMPLE.fullmatch(line):
                self._values[sample["metric"], frozenset(_LABEL.findall(sample["labels"]))] = float(sample["value"])

    def value(self, metric: str, **labels: str) -> float | None:
        """The value of the one series with exactly these labels; None when there is no such series."""
        return self._values.get((metric, frozenset(labels.items())))

    def classes(self, cluster: str) -> dict[str, float]:
        """``envoy_cluster_upstream_rq_xx`` of a cluster, by class."""
        return {
            labels["envoy_response_code_class"]: value
            for metric, labels, value in self.rows()
            if metric == "envoy_cluster_upstream_rq_xx" and labels.get("envoy_cluster_name") == cluster
        }

    def buckets(self, cluster: str) -> dict[str, int]:
        """The populated buckets of ``envoy_cluster_upstream_rq_time`` of a cluster, by their upper bound; not cumulative."""
        found, before = {}, 0
        for metric, labels, value in self.rows():
            if metric == "envoy_cluster_upstream_rq_time_bucket" and labels["envoy_cluster_name"] == cluster:
                if value > before:
                    found[labels["le"]] = int(value) - before
                before = int(value)
        return found

    def rows(self) -> list[tuple[str, dict[str, str], float]]:
        """Every series, as exposed."""
        return [(metric, dict(labels), value) for (metric, labels), value in self._values.items()]

    def metrics(self) -> set[str]:
        """The names of all metrics."""
        return {metric for metric, _ in self._values}


@dataclass(frozen=True)
class Laboratory:
    """A running proxy, the session to ask it with, and its two ports."""

    proxy: Proxy
    session: aiohttp.ClientSession
    inbound: int
    outbound: int

    async def ask(self, cluster: str, path: str = "/", headers: Mapping[str, str] | None = None, patience: float = 5.0) -> int:
        """The status a request to a cluster is answered with; 0 when the client gave up first."""
        return await self._send(self.outbound, path, {"Host": cluster, **(headers or {})}, patience)

    async def knock(self, path: str = "/") -> int:
        """The status a request from outside is answered with."""
        return await self._send(self.inbound, path, {}, 5.0)

    async def call(self, cluster: str, method: str = "/shop.Inventory/Reserve") -> aiohttp.typedefs.LooseHeaders:
        """The headers a gRPC call is answered with."""
        headers = {"Host": cluster, "Content-Type": "application/grpc"}
        async with self.session.post(f"http://{HOST}:{self.outbound}{method}", headers=headers, data=bytes(5)) as response:
            await response.read()
            assert response.status == 200
            return response.headers

    async def scrape(self) -> Series:
        """What it exposes now."""
        async with self.session.get(f"http://{self.proxy.admin}/stats/prometheus") as response:
            return Series(await response.text())

    async def scrape_when(self, holds: Callable[[Series], object]) -> Series:
        """What it exposes once ``holds`` says yes, and for good: after one more flush."""
        async with asyncio.timeout(10):
            while not holds(await self.scrape()):  # noqa: ASYNC110 - a proxy cannot tell us
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.15)
        return await self.scrape()

    async def _send(self, port: int, path: str, headers: Mapping[str, str], patience: float) -> int:
        try:
            url = f"http://{HOST}:{port}{path}"
            async with self.session.get(
                url, headers=headers, timeout=aiohttp.ClientTimeout(patience), allow_redirects=False
            ) as response:
                await response.read()
                return response.status
        except TimeoutError:
            return 0


@asynccontextmanager
async def laboratory(
    envoy: Path, folder: Path, clusters: Sequence[Cluster], *, change: Callable[[Config], None] = lambda _: None, **options: Any
) -> AsyncIterator[Laboratory]:
    """A proxy for these clusters; ``change`` may alter its bootstrap, ``options`` go to :func:`bootstrap`."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        proxy = Proxy("lab", folder)
        stack.push_async_callback(proxy.stop)
        with PortReservation(HOST) as ports:
            inbound, outbound = ports.take(), ports.take()
            knocked = inbound if "routes" in options or any(cluster.name == LOCAL_APP for cluster in clusters) else 0
            config = bootstrap(clusters=clusters, inbound=knocked, outbound=outbound, **{"flush": 0.05, **options})
            change(config)
            ports.hand_over()
            await proxy.start(envoy, config)
            await proxy.ready(session)
        yield Laboratory(proxy, session, inbound, outbound)


async def serve_http(stack: AsyncExitStack) -> int:
    """An upstream that answers ``/?status=404&seconds=0.1`` so; the port."""

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("seconds", "0")))
        return web.Response(status=int(request.query.get("status", "200")))

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    return int(runner.addresses[0][1])


async def serve_lines(stack: AsyncExitStack, answers: Callable[[int], bytes]) -> int:
    """An upstream that answers its n-th request (from 0) with ``answers(n)``, byte for byte; the port."""
    count = 0
    connections: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(answers(count))
                count += 1
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            connections.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0)

    async def close() -> None:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    stack.push_async_callback(close)
    return int(server.sockets[0].getsockname()[1])


async def serve_grpc(stack: AsyncExitStack, answer: Callable[[str], Awaitable[int]]) -> int:
    """An upstream for gRPC; the port."""
    server = GrpcServer(answer)
    stack.push_async_callback(server.close)
    return await server.start(HOST)


def files(folder: Path) -> list[str]:
    """What is in a folder."""
    return [entry.name for entry in folder.iterdir()]


def children(pid: int) -> set[int]:
    """The child processes of a process (Linux)."""
    return {int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()}
