"""Two replicas behind a Service, restarted in turn under load: nobody notices."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.balancer import PERIOD, Balancer
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server

pytestmark = pytest.mark.real

TRAFFIC = f"{GV}/trafficmetrics"
DELAY = 1
"""Seconds of ``--shutdown-delay-duration``: some times more than the Service needs to notice."""


class Load:
    """Requests at all times. ``seen`` is what became of them."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.over = asyncio.Event()

    @asynccontextmanager
    async def on(self, url: str, tls: ssl.SSLContext, clients: int) -> AsyncIterator[None]:
        """So many clients ask, each again as soon as it has its answer."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls, limit=clients)) as session,
            asyncio.TaskGroup() as group,
        ):
            for number in range(clients):
                group.create_task(self._ask(session, f"{url}{TRAFFIC}?limit={number + 1}"))
            try:
                yield
            finally:
                self.over.set()

    async def _ask(self, session: aiohttp.ClientSession, url: str) -> None:
        while not self.over.is_set():
            try:
                async with session.get(url) as response:
                    body = await response.read()
                    self.seen["200" if response.status == 200 else f"{response.status} {body[:300]!r}"] += 1
            except (aiohttp.ClientError, OSError) as error:
                self.seen[repr(error)] += 1
            await asyncio.sleep(0.02)


async def test_replicas_are_restarted_and_no_request_fails(
    api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory
):
    configuration = configured(api.plane, prometheus.url) | {"server": {"shutdownDelayDuration": f"{DELAY}s"}}
    load = Load()
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer().running())
        home = tmp_path_factory.mktemp("first")
        first = await stack.enter_async_context(run_server(api.plane, home, configuration))

        async def replica(name: str) -> Server:
            # With the same serving pair, which is in a Secret where there is a cluster.
            directory = tmp_path_factory.mktemp(name)
            shutil.copytree(home / "serving", directory / "serving")
            return await stack.enter_async_context(run_server(api.plane, directory, configuration))

        second = await replica("second")
        balancer.replicas = [first, second]
        await balancer.until_ready(2)
        await api.plane.register(balancer.port, first.ca_bundle)
        stack.push_async_callback(api.register)
        proxied = load.on(api.plane.url, api.plane.tls(ADMIN), 40)
        direct = load.on(f"https://{LOOPBACK}:{balancer.port}", first.tls(ADMIN), 10)
        async with proxied, direct:
            for number, old in enumerate((first, second)):
                await asyncio.sleep(0.5)
                os.kill(old.daemon.pid, signal.SIGTERM)
                balancer.replicas.append(await replica(f"new-{number}"))
                assert await old.daemon.ended(10)
                assert old.daemon.exit_code() == 0, old.daemon.tail()
                balancer.replicas.remove(old)
                await balancer.until_ready(2)
            await asyncio.sleep(0.5)
    assert DELAY > 3 * PERIOD
    assert set(load.seen) == {"200"}, load.seen
    assert load.seen["200"] > 500
