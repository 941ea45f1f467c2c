"""A Prometheus with samples of the past and of the near future, which can be killed and started again: what it keeps, it keeps."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.stores import command

__all__ = ["Store", "run_store"]

_PATIENCE = 20.0


class Store:
    """One server, at the same ``address`` whenever it runs. It scrapes nothing."""

    def __init__(self, directory: Path, samples: str) -> None:
        self._directory = directory
        directory.mkdir()
        text = directory / "samples.om"
        text.write_text(samples, encoding="utf-8")
        blocks = [command("promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", str(text), str(directory / "tsdb")]
        subprocess.run(blocks, check=True, capture_output=True)
        text.unlink()
        (directory / "prometheus.yml").write_text("global: {scrape_interval: 1s}\n", encoding="utf-8")
        self.address = f"{LOOPBACK}:{free_ports(1)[0]}"
        self._daemon: Daemon | None = None

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://{self.address}"

    async def start(self) -> None:
        """Starts it, again perhaps; returns when it answers queries."""
        arguments = [
            command("prometheus"),
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'tsdb'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address={self.address}",
            "--log.level=warn",
        ]
        self._daemon = Daemon("prometheus", arguments, self._directory / "prometheus.log", os.environ)
        async with aiohttp.ClientSession() as session, asyncio.timeout(_PATIENCE):
            while not await _is_ready(session, f"{self.url}/-/ready"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Ends it as the kernel ends what takes too much memory."""
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGKILL)
        assert await self._daemon.ended(5)

    async def stop(self) -> None:
        """Ends it in order."""
        if self._daemon is not None:
            await self._daemon.stop()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


@asynccontextmanager
async def run_store(directory: Path, samples: str) -> AsyncIterator[Store]:
    """A running one, for as long as the context lasts."""
    store = await asyncio.to_thread(Store, directory, samples)
    try:
        await store.start()
        yield store
    finally:
        await store.stop()
