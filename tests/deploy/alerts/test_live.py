"""The rules of deploy/alerts in a real Prometheus that scrapes real servers: silence while all is well, then the source that fails."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.controlplane.served.prometheus import Prometheus, run_prometheus
from tests.deploy.alerts.rules import ALERTS, RULES
from tests.prometheus_surface.scraper import Scraper, run_scraper

pytestmark = pytest.mark.real

TRAFFIC = "/apis/metrics.smi-spec.io/v1alpha1/trafficmetrics"


@dataclass(frozen=True, slots=True)
class Watched:
    """Two servers, their one source, and the Prometheus that watches them."""

    servers: tuple[str, ...]
    source: Prometheus
    watcher: Scraper

    async def alerts(self) -> dict[str, str]:
        """States of the alerts by their names; those that are inactive have none."""
        document = await self.watcher.ask("alerts")
        return {alert["labels"]["alertname"]: alert["state"] for alert in document["data"]["alerts"]}

    async def ask(self) -> set[int]:
        """Ask every server for traffic once; how they answered."""
        answered = set()
        for server in self.servers:
            async with self.watcher.session.get(server + TRAFFIC) as response:
                answered.add(response.status)
        return answered

    async def asked_until(self, state: str, *names: str) -> None:
        """Readers go on asking until these alerts are in that state."""
        for _ in range(100):
            await self.ask()
            found = await self.alerts()
            if all(found.get(name) == state for name in names):
                return
            await asyncio.sleep(0.2)
        raise AssertionError(f"{names} should be {state}: {found}")


@asynccontextmanager
async def running(directory: Path, store: str) -> AsyncIterator[str]:
    """The address of a server without a cluster, that answers."""
    (port,) = free_ports(1)
    document = {
        "server": {"insecurePort": port},
        "kubernetes": {"enabled": False},
        "metrics": {"window": "10s", "refresh": "1s"},
        "backends": [{"name": "mesh", "type": "prometheus", "url": store, "dialect": "linkerd", "scrapeInterval": "1s"}],
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [sys.executable, "-m", "apiservice.main", "serve", f"--config={directory / 'config.yaml'}"]
    server = Daemon("trafficmetrics", command, directory / "trafficmetrics.log", os.environ)
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            while not await _is_ready(session, f"http://{LOOPBACK}:{port}/readyz"):
                assert server.exit_code() is None, server.tail()
                await asyncio.sleep(0.05)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        await server.stop()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Both servers answer, and are scraped; what takes minutes in the rules takes seconds here."""
    rules = tmp_path / RULES.name
    rules.write_text(re.sub(r"for: \d+[mh]", "for: 3s", RULES.read_text(encoding="utf-8")), encoding="utf-8")
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(run_prometheus(f"{LOOPBACK}:1", tmp_path))
        for name in ("one", "two", "watcher"):
            (tmp_path / name).mkdir()
        servers = [await stack.enter_async_context(running(tmp_path / name, source.url)) for name in ("one", "two")]
        targets = [{"targets": [server.removeprefix("http://") for server in servers]}]
        job = {"job_name": "trafficmetrics", "static_configs": targets}
        watcher = await stack.enter_async_context(run_scraper(tmp_path / "watcher", [job], [rules]))
        await watcher.until('up{job="trafficmetrics"} == 1', lambda found: len(found) == 2)
        yield Watched(tuple(servers), source, watcher)


async def test_healthy_servers_are_not_alerted_about_and_a_source_that_is_stopped_is(watched: Watched):
    # Until the first scrapes there was nobody; that is over.
    await watched.watcher.until('ALERTS{alertname="TrafficMetricsDown"}', lambda found: not found)
    for _ in range(10):
        assert await watched.ask() == {200}
        await asyncio.sleep(0.2)
    document = await watched.watcher.ask("rules")
    health = {rule["name"]: (rule["health"], rule["state"]) for group in document["data"]["groups"] for rule in group["rules"]}
    assert health == dict.fromkeys(ALERTS, ("ok", "inactive"))

    await watched.source.stop()
    await watched.asked_until("pending", "TrafficMetricsSourceDown")
    await watched.asked_until(
        "firing", "TrafficMetricsSourceDown", "TrafficMetricsAllSourcesDown", "TrafficMetricsSourceCircuitOpen"
    )
    assert await watched.ask() == {503}
    (summary,) = await watched.watcher.vector('ALERTS{alertname="TrafficMetricsSourceDown"}')
    assert summary[0]["source"] == "mesh"
    assert not {"TrafficMetricsDown", "TrafficMetricsTooFewReplicas", "TrafficMetricsNotReady"} & (await watched.alerts()).keys()

    await watched.source.start()
    for _ in range(50):
        await watched.ask()
        if "TrafficMetricsSourceDown" not in await watched.alerts():
            break
        await asyncio.sleep(0.2)
    assert await watched.ask() == {200}
    assert "TrafficMetricsSourceDown" not in await watched.alerts()
