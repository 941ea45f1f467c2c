"""A real Prometheus for the tests: it scrapes one target every second, and can be stopped, hung and brought back."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.stores import command

__all__ = ["Prometheus", "run_prometheus"]

_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: proxies
  static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """One server on a port of its own; what it has scraped outlives a stop."""

    def __init__(self, target: str, directory: Path) -> None:
        self._directory = directory
        self._port = free_ports(1)[0]
        self._daemon: Daemon | None = None
        self._config = directory / "prometheus.yaml"
        self._config.write_text(_CONFIG.format(target=target))

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Starts it, again perhaps, and waits until it answers queries."""
        arguments = [
            command("prometheus"),
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self._port}",
            "--log.level=warn",
        ]
        self._daemon = Daemon("prometheus", arguments, self._directory / "prometheus.log", os.environ)
        async with aiohttp.ClientSession() as session:
            for _ in range(300):
                try:
                    async with session.get(f"{self.url}/-/ready") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
        raise RuntimeError(f"Prometheus did not get ready; its log ends:\n{self._daemon.tail()}")

    async def stop(self) -> None:
        """Ends it, also when it hangs."""
        if self._daemon is not None:
            self.resume()
            await self._daemon.stop()

    def hang(self) -> None:
        """Freezes it: connections are still accepted by the kernel, and nothing is ever answered."""
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a hung one go on."""
        assert self._daemon is not None
        if self._daemon.exit_code() is None:
            os.kill(self._daemon.pid, signal.SIGCONT)

    async def covers(self, seconds: int) -> None:
        """Waits until its data cover so many seconds."""
        promql = f"count(count_over_time(response_total[{seconds}s]) >= {seconds})"
        async with aiohttp.ClientSession() as session:
            for _ in range(10 * (seconds + 30)):
                async with session.get(f"{self.url}/api/v1/query", params={"query": promql}) as response:
                    if (await response.json())["data"]["result"]:
                        return
                await asyncio.sleep(0.1)
        raise RuntimeError(f"Prometheus has not scraped the mesh for {seconds} s")


@asynccontextmanager
async def run_prometheus(target: str, directory: Path) -> AsyncIterator[Prometheus]:
    """One that is gone afterwards."""
    prometheus = Prometheus(target, directory)
    try:
        await prometheus.start()
        yield prometheus
    finally:
        await prometheus.stop()
