"""Clients that ask for much and read nothing: the command as a process of its own, whose memory can be measured."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.sluggish import run_sluggish

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory in use is found in /proc")

LIST = "/apis/metrics.smi-spec.io/v1alpha1/deployments"
CLIENTS = 60
SOFT_LIMIT = 50
"""Files the process may have open at first: fewer than there are clients."""

DEPLOYMENTS = 15_000
"""Some 10 MB: more than the kernel keeps for a connection, and nobody else keeps it whole."""

MEBIBYTE = 1024 * 1024


@asynccontextmanager
async def standalone(directory: Path, store: str) -> AsyncIterator[tuple[Daemon, str]]:
    """A server without a cluster, and its URL."""
    (port,) = free_ports(1)
    file = directory / "config.yaml"
    source = {"name": "mesh", "type": "prometheus", "dialect": "linkerd", "scrapeInterval": "1s", "url": store}
    file.write_text(
        yaml.safe_dump(
            {"server": {"insecurePort": port}, "kubernetes": {"enabled": False}, "metrics": {"refresh": "5m"}, "backends": [source]}
        )
    )
    limited = ["sh", "-c", f'ulimit -S -n {SOFT_LIMIT}; exec "$@"', "sh"]
    command = [*limited, str(Path(sys.executable).parent / "trafficmetrics"), "serve", f"--config={file}"]
    daemon = Daemon("trafficmetrics", command, directory / "log", os.environ)
    url = f"http://{LOOPBACK}:{port}"
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(600):
                try:
                    async with session.get(f"{url}/readyz"):
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        yield daemon, url
    finally:
        await daemon.stop()


@asynccontextmanager
async def asking(url: str, path: str) -> AsyncIterator[None]:
    """A client with little room, which asks and does not read."""
    host, port = url.removeprefix("http://").split(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(sock, (host, int(port)))
        await loop.sock_sendall(sock, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        yield
    finally:
        sock.close()


def memory(daemon: Daemon) -> int:
    """Bytes of memory it has had in use at most."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
    assert found
    return 1024 * int(found[1])


async def until_idle(daemon: Daemon) -> None:
    """Waits until it has nothing to do."""
    spent, before = cpu(daemon), -1
    while spent > before:
        await asyncio.sleep(0.3)
        before, spent = spent, cpu(daemon)


def cpu(daemon: Daemon) -> int:
    """Processor time it has used, in ticks of the system."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


async def test_clients_that_read_nothing_take_little_memory_and_hold_up_nobody(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(run_sluggish())
        daemon, url = await stack.enter_async_context(standalone(tmp_path, store.url))
        store.deployments = DEPLOYMENTS
        store.go.set()

        async def served(path: str) -> int:
            async with asyncio.timeout(20), aiohttp.request("GET", url + path) as response:
                assert response.status == 200, path
                return len(await response.read())

        size = await served(LIST)
        before = memory(daemon)
        for _ in range(CLIENTS):
            await stack.enter_async_context(asking(url, LIST))
        for path in (f"{LIST}?limit=10", "/livez", LIST):
            await served(path)
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await until_idle(daemon)
        grown = memory(daemon) - before
        assert size > 3 * MEBIBYTE
        # An eighth of what the answers take that nobody reads.
        assert grown < CLIENTS * size / 8, f"{grown / MEBIBYTE:.0f} MiB"
