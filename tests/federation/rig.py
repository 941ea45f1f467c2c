"""One server before four sources: two Prometheus servers with different dialects, a source that scrapes, and Linkerd viz.

There is a line to each of them that can be disturbed. The server runs in a process of its own, as people run it.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.exporter import exporter
from tests.doubles.line import Line, State, open_line
from tests.doubles.linkerd import run_viz
from tests.federation.facts import EAST, PROXIES, VIZ, WEST, Source
from tests.federation.series import istio, linkerd, nginx_page, objects, samples
from tests.federation.store import Store, run_store

__all__ = ["REFRESH", "SCRAPE_INTERVAL", "TIMEOUT", "WINDOW", "Reply", "Rig", "run_rig"]

REFRESH = 1.0
"""Seconds between two instants that are asked about."""

TIMEOUT = 1.0
"""Seconds that a source has for one query."""

SCRAPE_INTERVAL = 0.5
WINDOW = 3
"""Seconds."""

_PAST, _FUTURE = 120, 240
_GROUP = "/apis/metrics.smi-spec.io/v1alpha1"
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the server, and how long it took in seconds."""

    status: int
    document: dict[str, Any]
    warnings: tuple[str, ...]
    seconds: float


class Rig:
    """The running parts. ``lines`` and ``stores`` are by the names of sources."""

    def __init__(self, url: str, lines: Mapping[str, Line], stores: Mapping[str, Store], session: aiohttp.ClientSession) -> None:
        self.url = url
        self.lines = lines
        self.stores = stores
        self._session = session

    async def ask(self, path: str, **query: str) -> Reply:
        """The answer to a GET of a path below the API's."""
        start = time.monotonic()
        async with self._session.get(f"{self.url}{_GROUP}{path}", params=query) as response:
            document = await response.json()
            warnings = tuple(response.headers.getall("Warning", ()))
        return Reply(response.status, document, warnings, time.monotonic() - start)

    async def circuits(self) -> dict[str, float]:
        """Which circuits are open, as the server tells of itself: 1 or 0 by source."""
        async with self._session.get(f"{self.url}/metrics") as response:
            page = await response.text()
        found = re.findall(r'^trafficmetrics_source_circuit_open\{source="(\w+)"\} (\S+)$', page, re.MULTILINE)
        return {name: float(value) for name, value in found}

    async def disturb(self, source: str, state: State) -> None:
        """From now on the line to a source is like that."""
        await self.lines[source].turn(state)

    async def restore(self, *sources: str) -> None:
        """Lines that are as they should be."""
        for source in sources:
            await self.lines[source].turn(State.CLEAR)


@asynccontextmanager
async def run_rig(directory: Path) -> AsyncIterator[Rig]:
    """Everything, running for as long as the context lasts."""
    now = int(time.time())
    page = nginx_page(PROXIES.flows)
    kept = {EAST: istio(EAST.flows), WEST: linkerd(WEST.flows), VIZ: linkerd(VIZ.flows)}
    async with AsyncExitStack() as stack:
        texts = {source.name: samples(rows, now - _PAST, now + _FUTURE) for source, rows in kept.items()}
        running = await asyncio.gather(
            *(stack.enter_async_context(run_store(directory / name, text)) for name, text in texts.items())
        )
        stores = dict(zip(texts, running, strict=True))
        double = await stack.enter_async_context(exporter(lambda moment: page.render(moment - now + _PAST).encode()))
        viz = await stack.enter_async_context(run_viz(objects(VIZ.flows), stores[VIZ.name].url))
        reached = {
            EAST.name: stores[EAST.name].address,
            WEST.name: stores[WEST.name].address,
            PROXIES.name: double.address,
            VIZ.name: viz.address,
        }
        lines = {name: await stack.enter_async_context(open_line(address)) for name, address in reached.items()}
        url = await stack.enter_async_context(_serving(directory, lines))
        session = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)))
        yield Rig(url, lines, stores, session)


@asynccontextmanager
async def _serving(directory: Path, lines: Mapping[str, Line]) -> AsyncIterator[str]:
    port = free_ports(1)[0]
    file = directory / "trafficmetrics.yaml"
    file.write_text(yaml.safe_dump(_configuration(port, {name: line.address for name, line in lines.items()})), encoding="utf-8")
    arguments = [sys.executable, "-m", "apiservice.main", "serve", "--config", str(file)]
    server = Daemon("trafficmetrics", arguments, directory / "trafficmetrics.log", {**os.environ, "PYTHONPATH": str(_ROOT)})
    try:
        url = f"http://{LOOPBACK}:{port}"
        async with aiohttp.ClientSession() as session, asyncio.timeout(20):
            while not await _is_served(session, url):
                assert server.exit_code() is None, server.tail()
                await asyncio.sleep(0.05)
        yield url
    finally:
        await server.stop()


async def _is_served(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _configuration(port: int, addresses: Mapping[str, str]) -> dict[str, Any]:
    patience = f"{TIMEOUT:g}s"
    return {
        "server": {"insecurePort": port},
        "kubernetes": {"enabled": False},
        "metrics": {"window": f"{WINDOW}s", "refresh": f"{REFRESH:g}s", "deadline": "5s"},
        "backends": [
            _entry(
                EAST, "prometheus", url=f"http://{addresses[EAST.name]}", dialect="istio", scrapeInterval="1s", timeout=patience
            ),
            _entry(
                WEST, "prometheus", url=f"http://{addresses[WEST.name]}", dialect="linkerd", scrapeInterval="1s", timeout=patience
            ),
            _entry(PROXIES, "scrape", targets=[addresses[PROXIES.name]], dialect="nginx", interval=f"{SCRAPE_INTERVAL * 1000:g}ms"),
            _entry(VIZ, "linkerd", address=addresses[VIZ.name], scrapeInterval="1s", timeout=patience),
        ],
    }


def _entry(source: Source, kind: str, **keys: Any) -> dict[str, Any]:
    covers = {"covers": {"namespaces": list(source.covers)}} if source.covers else {}
    return {"name": source.name, "type": kind, **keys, **covers}
