"""Processes that are treated badly: a store that is killed and frozen, and the server, with somebody inside who looks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
from certificates import Certificates
from fleet import Fleet
from observed import Inside
from processes import LOOPBACK, Process, free_port
from stores import prometheus_command

from tests.controlplane.daemon import Daemon
from tests.controlplane.pki import Pair

__all__ = ["Server", "Store", "server", "store"]

_PATIENCE = 180.0
_LISTENED_TO = 20.0


class Store:
    """A Prometheus that can be killed, frozen and started again; it keeps what it knew."""

    def __init__(self, fleet: Fleet, address: str, directory: Path) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        directory.mkdir()
        self._members = len(fleet.all())
        self._command = prometheus_command(fleet, address, directory, port)
        self._log = directory / "prometheus.log"
        self.daemon = self._spawn()

    def _spawn(self) -> Daemon:
        return Daemon("prometheus", self._command, self._log, os.environ)

    async def kill(self) -> None:
        """As the kernel does when memory runs out."""
        os.kill(self.daemon.pid, signal.SIGKILL)
        await self.daemon.ended(10)

    def start(self) -> None:
        """Again; it is not ready yet."""
        self.daemon = self._spawn()

    def freeze(self) -> None:
        """Connections are accepted by the kernel, and nothing is answered."""
        os.kill(self.daemon.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.daemon.pid, signal.SIGCONT)

    async def until_known(self) -> None:
        """Wait until every member of the fleet has been scraped."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(_PATIENCE):
            while await self._number(session, "count(up == 1)") < self._members:  # noqa: ASYNC110 it is another process
                await asyncio.sleep(0.5)

    async def latency(self) -> float:
        """Seconds it needs for a query like those it is asked."""
        began = asyncio.get_running_loop().time()
        async with aiohttp.ClientSession() as session:
            await self._number(session, "count(sum by (deployment, namespace, le) (increase(response_latency_ms_bucket[1m])))")
        return asyncio.get_running_loop().time() - began

    async def _number(self, session: aiohttp.ClientSession, promql: str) -> float:
        with suppress(aiohttp.ClientError, ValueError):
            async with session.get(f"{self.url}/api/v1/query", params={"query": promql}) as response:
                result = (await response.json())["data"]["result"]
                return float(result[0]["value"][1]) if result else 0.0
        return 0.0


@asynccontextmanager
async def store(fleet: Fleet, address: str, directory: Path) -> AsyncIterator[Store]:
    """One that begins to scrape the fleet, and is gone afterwards, however it was treated."""
    made = Store(fleet, address, directory)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.thaw()
        await made.daemon.stop()


class Server:
    """The server under the soak. ``log`` is where it writes its log, ``config`` its configuration file."""

    def __init__(self, directory: Path, certificates: Certificates, settings: Mapping[str, Any]) -> None:
        self.port = free_port()
        self.url = f"https://{LOOPBACK}:{self.port}"
        self.config = directory / "config.yaml"
        self.log = directory / "trafficmetrics.log"
        self._certificates = certificates
        self.tls = certificates.context()
        served = {"bindAddress": LOOPBACK, "securePort": self.port, **certificates.settings}
        self._settings = {**settings, "server": {**settings.get("server", {}), **served}}
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._asked = 0
        self.took = 0.0

    def configure(self, text: str) -> None:
        """Write the configuration file, in one step as a kubelet does."""
        fresh = self.config.with_suffix(".next")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.config)

    def with_sources(self, backends: list[dict[str, Any]]) -> str:
        """The text of a configuration with these sources."""
        return json.dumps({**self._settings, "backends": backends})

    async def start(self) -> None:
        """From now on it runs; ready it is a little later."""
        command = [str(Path(__file__).with_name("observed.py")), "serve", f"--config={self.config}"]
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log, limit=1 << 20
            )
        began = asyncio.get_running_loop().time()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self.tls)) as session:
            while asyncio.get_running_loop().time() < began + _PATIENCE and self._process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            self.took = asyncio.get_running_loop().time() - began
                            return
                await asyncio.sleep(0.05)
        raise SystemExit(f"the server did not get ready; its log ends:\n{self.log.read_text(errors='replace')[-3000:]}")

    @property
    def process(self) -> Process:
        """The process, to be measured."""
        assert self._process is not None
        return Process(self._process.pid, self.url)

    @property
    def ended(self) -> int | None:
        """Its exit code; None while it runs."""
        assert self._process is not None
        return self._process.returncode

    async def ask(self, question: str) -> Inside:
        """What the somebody inside answers.

        Raises:
            TimeoutError: when the loop of the server has not answered for a while, which no answer may take.

        """
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(_LISTENED_TO):
            self._asked += 1
            self._process.stdin.write(f"{self._asked} {question}\n".encode())
            while line := await self._process.stdout.readline():
                number, answer = json.loads(line)
                # Somebody may have asked before, and gone without an answer.
                if number == self._asked:
                    return Inside(**answer)
        raise SystemExit(f"the server ended with {await self._process.wait()}:\n{self.log.read_text(errors='replace')[-3000:]}")

    def tls_with(self, client: Pair) -> ssl.SSLContext:
        """For somebody with a client certificate."""
        context = self._certificates.context()
        with tempfile.TemporaryDirectory() as place:
            certificate, key = Path(place) / "client.crt", Path(place) / "client.key"
            certificate.write_bytes(client.certificate)
            key.write_bytes(client.key)
            context.load_cert_chain(certificate, key)
        return context

    async def stop(self) -> None:
        """End it."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(15):
                await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def server(
    directory: Path, certificates: Certificates, settings: Mapping[str, Any], sources: list[dict[str, Any]]
) -> AsyncIterator[Server]:
    """One that is ready, and gone afterwards."""
    made = Server(directory, certificates, settings)
    made.configure(made.with_sources(sources))
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
