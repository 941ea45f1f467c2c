"""The server under test: the command ``trafficmetrics serve``, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from tests.controlplane.commands import LOOPBACK, free_ports
from tests.controlplane.daemon import Daemon
from tests.controlplane.pki import Pair
from tests.controlplane.plane import SERVER, ControlPlane, Person

__all__ = ["GV", "Server", "configured", "run_server"]

GV = "/apis/metrics.smi-spec.io/v1alpha1"


def configured(plane: ControlPlane, store: str, **source: Any) -> dict[str, Any]:
    """A configuration with one store of a Linkerd mesh; ``source`` adds to it. Answers are as of the second they are asked in."""
    return {
        "kubernetes": {"kubeconfig": str(plane.kubeconfig(SERVER))},
        "metrics": {"window": "10s", "refresh": "1s"},
        "backends": [{"name": "mesh", "type": "prometheus", "dialect": "linkerd", "scrapeInterval": "1s", "url": store, **source}],
    }


class Server:
    """A running server. ``port`` is its secure one; ``ca_bundle`` is what an APIService is given."""

    def __init__(self, plane: ControlPlane, directory: Path, configuration: Mapping[str, Any]) -> None:
        self.port = free_ports(1)[0]
        self._directory = directory
        self._plane = plane
        self._configure(configuration)
        self._start()

    def _configure(self, configuration: Mapping[str, Any]) -> None:
        served = {"bindAddress": LOOPBACK, "securePort": self.port, "certDir": str(self._directory / "serving")}
        served |= configuration.get("server", {})
        (self._directory / "config.yaml").write_text(yaml.safe_dump({**configuration, "server": served}))

    def _start(self) -> None:
        command = [str(Path(sys.executable).parent / "trafficmetrics"), "serve", f"--config={self._directory / 'config.yaml'}"]
        self.daemon = Daemon("trafficmetrics", command, self._directory / "trafficmetrics.log", os.environ)

    async def restart(self, configuration: Mapping[str, Any] | None = None) -> None:
        """Ends it and starts it again, on its port and with its certificate; configured otherwise, if so wished."""
        await self.daemon.stop()
        if configuration is not None:
            self._configure(configuration)
        self._start()
        await self.until_ready()

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    @property
    def ca_bundle(self) -> bytes:
        return (self._directory / "serving" / "ca.crt").read_bytes()

    def tls(self, person: Person | None = None) -> ssl.SSLContext:
        """For direct requests: as somebody the cluster's authority has certified, or as nobody."""
        context = ssl.create_default_context(cadata=self.ca_bundle.decode())
        if person is not None:
            home = self._plane.kubeconfig(person).parent
            context.load_cert_chain(home / "client.crt", home / "client.key")
        return context

    def tls_with(self, pair: Pair) -> ssl.SSLContext:
        """For direct requests with any client certificate."""
        context = ssl.create_default_context(cadata=self.ca_bundle.decode())
        certificate, key = self._directory / "client.crt", self._directory / "client.key"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificate, key)
        return context

    async def until_ready(self, patience: float = 30) -> None:
        """Waits until it is ready to serve."""
        for _ in range(int(patience * 20)):
            if self.daemon.exit_code() is not None:
                break
            if (self._directory / "serving" / "apiserver.key").exists() and await self._ready():
                return
            await asyncio.sleep(0.05)
        raise RuntimeError(f"the server did not get ready; its log ends:\n{self.daemon.tail()}")

    async def _ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz", ssl=self.tls()) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False


@asynccontextmanager
async def run_server(plane: ControlPlane, directory: Path, configuration: Mapping[str, Any]) -> AsyncIterator[Server]:
    """One that is ready, and gone afterwards; it has exactly the rights the manifests give."""
    server = Server(plane, directory, configuration)
    try:
        await server.until_ready()
        yield server
    finally:
        await server.daemon.stop()
