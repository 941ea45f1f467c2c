"""What blocks of the documentation are run beside: the demonstration, a Prometheus that scrapes a mesh, a copy of the project."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.commands.running import copy_project, programs
from tests.controlplane.commands import free_ports
from tests.controlplane.daemon import Daemon
from tests.controlplane.served.mesh import Mesh, serve_mesh
from tests.controlplane.served.prometheus import Prometheus, run_prometheus

_LISTED = "/apis/metrics.smi-spec.io/v1alpha1/trafficmetrics"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is run here needs kubectl; CI has it, and must not pass over its absence."""
    missing = shutil.which("kubectl") is None and os.environ.get("CI") != "true"
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.path.name == "test_blocks.py":
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.skipif(missing, reason="kubectl is not on the PATH"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where blocks are run: what stands for the addresses of the pages, and the environment of commands."""

    replaced: Mapping[str, str]
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project that blocks may write to."""
    return copy_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A shell of somebody who has no cluster."""
    home = tmp_path_factory.mktemp("home")
    path = programs(home / "bin")
    return Place({}, {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", "KUBECONFIG": str(home / "none")})


@pytest.fixture(scope="session")
async def demo(shell: Place, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """The demonstration, to which kubectl leads by itself."""
    folder, (port,) = tmp_path_factory.mktemp("demo"), free_ports(1)
    url = f"http://127.0.0.1:{port}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "demo", "cluster": {"server": url}}],
        "contexts": [{"name": "demo", "context": {"cluster": "demo", "user": ""}}],
        "current-context": "demo",
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).parent / "trafficmetrics"), "demo", "--simulate", "--port", str(port)]
    daemon = Daemon("trafficmetrics demo", command, folder / "demo.log", os.environ)
    try:
        await asyncio.to_thread(_until_answered, f"{url}{_LISTED}")
        yield Place({"http://127.0.0.1:8001": url}, {**shell.environment, "KUBECONFIG": str(folder / "kubeconfig")})
    finally:
        await daemon.stop(5)


def _until_answered(url: str) -> None:
    """Wait until the first numbers are there; the latest of them are of the slowest to be scraped."""
    import time  # noqa: PLC0415 blocks, and so belongs to this thread

    for _ in range(300):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 of ours
                if len(json.load(answer)["items"]) >= 9:
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("the demonstration did not answer within a minute")


@pytest.fixture(scope="session")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes a mesh of Linkerd, for some seconds already."""
    async with serve_mesh(Mesh()) as target, run_prometheus(target, tmp_path_factory.mktemp("store")) as running:
        await running.covers(5)
        yield running


@pytest.fixture(scope="session")
def store(scraped: Prometheus, shell: Place) -> Place:
    """A shell beside that Prometheus, and a port for the server."""
    (port,) = free_ports(1)
    ports = {"--insecure-port 8001": f"--insecure-port {port}"}
    hosts = {f"http://{host}:8001": f"http://127.0.0.1:{port}" for host in ("127.0.0.1", "localhost")}
    return Place({"http://localhost:9090": scraped.url, **ports, **hosts}, shell.environment)
