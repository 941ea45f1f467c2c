"""The plugin as its users have it: found by a real kubectl on its PATH, against a server in standalone mode."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.apiservice.memory import Door, Memory, serving

ROOT = Path(__file__).parent.parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need kubectl."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on the PATH"))


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> list[list[str]]:
        """The words of each line printed."""
        return [line.split() for line in self.out.splitlines()]


@dataclass(frozen=True)
class Plugin:
    """kubectl with the plugin on its PATH. ``flags`` are those that lead to the server."""

    environment: dict[str, str]
    flags: tuple[str, ...]

    async def __call__(self, *arguments: str, flags: tuple[str, ...] | None = None) -> Outcome:
        """The outcome of ``kubectl ARGUMENTS FLAGS``."""
        process = await asyncio.create_subprocess_exec(
            *("kubectl", *arguments, *(self.flags if flags is None else flags)),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Outcome(process.returncode, out.decode(), err.decode())

    async def traffic(self, *arguments: str, flags: tuple[str, ...] | None = None) -> Outcome:
        """The outcome of ``kubectl traffic ARGUMENTS FLAGS``."""
        return await self("traffic", *arguments, flags=flags)


def plugin_for(port: int, home: Path) -> Plugin:
    """A kubectl with an empty home, an empty kubeconfig, a discovery cache of its own, and both programs of the plugin."""
    programs = home / "bin"
    programs.mkdir(parents=True)
    for name, module in (("kubectl-traffic", "main"), ("kubectl_complete-traffic", "completion")):
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from kubectl_traffic.{module} import main; sys.exit(main())"
        (programs / name).write_text(f'#!/bin/sh\nexec \'{sys.executable}\' -c "{code}" "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    empty = home / "kubeconfig"
    empty.touch()
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "TERM": "xterm"}
    return Plugin(environment, (f"--server=http://127.0.0.1:{port}", f"--kubeconfig={empty}", f"--cache-dir={home / 'cache'}"))


@pytest.fixture(scope="module")
def service() -> Memory:
    """What the server knows."""
    return Memory()


@pytest.fixture(scope="module")
def door() -> Door:
    """Who may read what."""
    return Door()


@pytest.fixture(scope="module")
async def plugin(service: Memory, door: Door, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plugin]:
    """The plugin, and a server that knows the shop."""
    async with serving(service, door) as server:
        assert server.port is not None
        yield plugin_for(server.port, tmp_path_factory.mktemp("plugin"))
