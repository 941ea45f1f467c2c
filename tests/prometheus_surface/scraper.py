"""A real Prometheus that scrapes pages of ours, as its own configuration says, and promtool."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.doubles.stores import command

__all__ = ["Scraper", "promtool", "run_scraper"]

_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Scraper:
    """The running Prometheus."""

    url: str
    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: str) -> Any:
        """What its API answers, errors too."""
        async with self.session.get(f"{self.url}/api/v1/{path}", params=parameters) as response:
            return await response.json()

    async def vector(self, query: str) -> list[tuple[dict[str, str], float]]:
        """The elements of a query now, without the labels that scraping adds."""
        document = await self.ask("query", query=query)
        assert document["status"] == "success", document
        return [
            (
                {label: value for label, value in element["metric"].items() if label not in ("job", "instance")},
                float(element["value"][1]),
            )
            for element in document["data"]["result"]
        ]

    async def until(self, query: str, satisfied: Callable[[list[tuple[dict[str, str], float]]], bool]) -> None:
        """Wait for a query to find what is wanted."""
        found: list[tuple[dict[str, str], float]] = []
        try:
            async with asyncio.timeout(_PATIENCE):
                # Nobody tells when a scrape is over.
                while not satisfied(found := await self.vector(query)):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            raise AssertionError(f"{query} still finds {found}, and targets are {await self.ask('targets')}") from error


@asynccontextmanager
async def run_scraper(directory: Path, jobs: Sequence[Mapping[str, Any]], rules: Sequence[Path] = ()) -> AsyncIterator[Scraper]:
    """A Prometheus with these ``scrape_configs`` and files of rules, which scrapes every second, and evaluates as often."""
    (port,) = free_ports(1)
    file = directory / "prometheus.yml"
    document = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": list(jobs),
    }
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    arguments = [
        command("prometheus"),
        f"--config.file={file}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address={LOOPBACK}:{port}",
        "--log.level=warn",
    ]
    server = Daemon("prometheus", arguments, directory / "prometheus.log", os.environ)
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(_PATIENCE) as starting:
            url = f"http://{LOOPBACK}:{port}"
            while not await _is_ready(session, url):
                assert server.exit_code() is None, server.tail()
                await asyncio.sleep(0.05)
            starting.reschedule(None)
            yield Scraper(url, session)
    finally:
        await server.stop()


async def promtool(*arguments: str, given: bytes = b"") -> tuple[int, str, str]:
    """What promtool leaves behind: its code, and what it printed."""
    process = await asyncio.create_subprocess_exec(
        command("promtool"), *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(given), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/-/ready") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
