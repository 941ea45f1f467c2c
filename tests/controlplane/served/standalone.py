"""The command as an operator starts it, with CloudWatch as its source and without a cluster."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.controlplane.served.api import Reply
from tests.controlplane.served.server import GV
from tests.doubles.cloudwatch import Aws

__all__ = ["TIMEOUT", "Running", "run", "running"]

COMMAND = str(Path(sys.executable).parent / "trafficmetrics")
TIMEOUT = 4
"""Seconds the server gives AWS."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server without a cluster, and the AWS it asks."""

    url: str
    aws: Aws
    started: int

    async def get(self, path: str) -> Reply:
        """The response to a path of the server."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return Reply(response.status, response.headers, await response.read())

    async def deployments(self, query: str = "") -> Reply:
        """Those of everybody. Each question of a test has a window of its own: what is known already is not asked of AWS."""
        return await self.get(f"{GV}/deployments?{query}")


@asynccontextmanager
async def running(aws: Aws, directory: Path, variables: Mapping[str, str], source: Mapping[str, Any]) -> AsyncIterator[Running]:
    port = free_ports(1)[0]
    command = [COMMAND, "serve", f"--config={configuration(directory, source, port)}"]
    daemon = Daemon("trafficmetrics", command, directory / "log", environment(variables))
    running = Running(f"http://{LOOPBACK}:{port}", aws, int(time.time()))
    try:
        for _ in range(400):
            try:
                if (await running.get("/readyz")).status == 200:
                    break
            except aiohttp.ClientError:
                assert daemon.exit_code() is None, daemon.tail()
            await asyncio.sleep(0.05)
        yield running
    finally:
        await daemon.stop()


def configuration(directory: Path, source: Mapping[str, Any], port: int = 8001) -> Path:
    """The file with one source; ``source`` adds to it, and None takes away."""
    path = directory / "config.yaml"
    entry = {"name": "signals", "type": "cloudwatch", "cluster": "prod", "timeout": f"{TIMEOUT}s", **source}
    document = {
        "server": {"insecurePort": port},
        "kubernetes": {"enabled": False},
        "metrics": {"window": "1m", "refresh": "1s"},
        "backends": [{key: value for key, value in entry.items() if value is not None}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Nothing of AWS but these variables."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": "/nonexistent/config", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent/credentials"}
    return own | nowhere | {"AWS_EC2_METADATA_DISABLED": "true"} | dict(variables)


async def run(directory: Path, *arguments: str, variables: Mapping[str, str], **source: Any) -> tuple[int, str, str]:
    """Exit code and output of a command that ends by itself."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        f"--config={configuration(directory, source)}",
        env=environment(variables),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
