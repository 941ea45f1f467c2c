"""A small shop behind Linkerd, with an hour of history in a real Prometheus, and a server that tells of it: numbers known by hand."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.backfill import Series, exposition, prometheus_of
from tests.federation.facts import Flow
from tests.federation.series import linkerd

__all__ = ["FLOWS", "GROUP", "Shop", "run_shop"]

GROUP = "/apis/metrics.smi-spec.io/v1alpha1"

FLOWS = (
    Flow(("edge", "gateway"), ("shop", "web"), 40, 0, 10, 20),
    Flow(("shop", "web"), ("shop", "cart"), 18, 2, 40, 50),
    Flow(("shop", "web"), ("shop", "stock"), 0, 5, 100, 200),
    Flow(("shop", "cart"), ("data", "db"), 10, 0, 1, 2),
    Flow(("shop", "cart"), ("shop", "mail"), 0, 0, 1, 2),
)
"""``web`` has no failures, ``cart`` some, ``stock`` nothing else, and ``mail`` has no traffic: its series exist and do not move."""

_STEP, _PAST, _FUTURE = 10, 3600, 1800
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The running server, with an hour of history."""

    url: str
    session: aiohttp.ClientSession

    @property
    def last(self) -> int:
        """Now, in Unix seconds."""
        return int(time.time())

    async def get(self, path: str, **query: str) -> Any:
        """The document at a path below the API's; fails with it unless it is 200."""
        async with self.session.get(f"{self.url}{GROUP}{path}", params=query) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def post(self, path: str, body: Any) -> Any:
        """The document that answers a body at a path below the API's; fails with it unless it is 200."""
        async with self.session.post(f"{self.url}{GROUP}{path}", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()


@asynccontextmanager
async def run_shop(directory: Path) -> AsyncIterator[Shop]:
    """Everything, for as long as the context lasts."""
    now = int(time.time()) // _STEP * _STEP
    kept: Series = {row.text: (row.start, row.rate) for row in linkerd(FLOWS)}
    samples = exposition(kept, range(now - _PAST, now + _FUTURE + 1, _STEP))
    with prometheus_of(directory, samples) as store:
        async with _serving(directory, store) as url, aiohttp.ClientSession() as session:
            yield Shop(url, session)


@asynccontextmanager
async def _serving(directory: Path, store: str) -> AsyncIterator[str]:
    (port,) = free_ports(1)
    file = directory / "trafficmetrics.yaml"
    source = {"name": "mesh", "type": "prometheus", "url": store, "dialect": "linkerd", "scrapeInterval": f"{_STEP}s"}
    document = {
        "server": {"insecurePort": port},
        "kubernetes": {"enabled": False},
        "metrics": {"window": "1m", "refresh": "5s"},
        "backends": [source],
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [sys.executable, "-m", "apiservice.main", "serve", "--config", str(file)]
    server = Daemon("trafficmetrics", command, directory / "trafficmetrics.log", os.environ)
    try:
        url = f"http://{LOOPBACK}:{port}"
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while not await _is_ready(session, url):
                assert server.exit_code() is None, server.tail()
                await asyncio.sleep(0.05)
        yield url
    finally:
        await server.stop()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/readyz") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
