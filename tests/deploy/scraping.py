"""A real Prometheus that scrapes as a configuration in a folder says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.stores import command

__all__ = ["run_prometheus"]


@asynccontextmanager
async def run_prometheus(folder: Path) -> AsyncIterator[str]:
    """One that is ready, configured by ``prometheus.yaml`` in ``folder``; yields its URL."""
    port = free_ports(1)[0]
    arguments = [
        command("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={LOOPBACK}:{port}",
    ]
    prometheus = Daemon("prometheus", arguments, folder / "log", os.environ)
    try:
        await prometheus.until_printed(lambda line: "Server is ready" in line)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        await prometheus.stop(2)
