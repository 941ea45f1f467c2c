"""Helm as people run it, and the chart and its value files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.plane import DEPLOY, Run

__all__ = ["CASES", "CHART", "Helm", "documents"]

CHART = DEPLOY / "charts" / "trafficmetrics"
CASES = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").glob("*-values.yaml"))
"""The value files in ``ci/``, by what stands before ``-values.yaml``."""


def documents(text: str) -> list[dict[str, Any]]:
    """The objects of a rendering."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


class Helm:
    """The command, with a home of its own; ``environment`` says which cluster it works on, if it does."""

    def __init__(self, command: str, home: Path, environment: Mapping[str, str] | None = None) -> None:
        self._command = command
        self._rendered: dict[str, str] = {}
        self._environment = {
            "PATH": "/usr/bin:/bin",
            **(environment or {"KUBECONFIG": str(home / "none")}),
            "HOME": str(home),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
        }

    async def run(self, *args: str, values: Mapping[str, Any] | None = None, patience: float = 60) -> Run:
        """Runs it; ``values`` are given like those of a file, after all others."""
        given = ("-f", "-") if values is not None else ()
        process = await asyncio.create_subprocess_exec(
            self._command,
            *args,
            *given,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment,
        )
        try:
            async with asyncio.timeout(patience):
                stdout, stderr = await process.communicate(yaml.safe_dump(values).encode() if values is not None else b"")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Run(process.returncode or 0, stdout.decode(), stderr.decode())

    async def done(self, *args: str, values: Mapping[str, Any] | None = None) -> str:
        """What it printed.

        Raises:
            RuntimeError: with its words, when it fails.

        """
        run = await self.run(*args, values=values)
        if run.code:
            raise RuntimeError(f"helm {' '.join(args)} failed: {run.stderr}")
        return run.stdout

    async def template(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        case: str = "",
        release: str = "trafficmetrics",
        namespace: str = "trafficmetrics",
        anew: bool = False,
    ) -> list[dict[str, Any]]:
        """The objects the chart renders: by a value file of ``ci/``, by ``values``, or by the defaults.

        What was rendered before is not rendered again, unless it is to be ``anew``.
        """
        asked = repr((values, case, release, namespace))
        if anew or asked not in self._rendered:
            files = ("-f", str(CHART / "ci" / f"{case}-values.yaml")) if case else ()
            command = ("template", release, str(CHART), "-n", namespace, *files)
            self._rendered[asked] = await self.done(*command, values=values)
        return documents(self._rendered[asked])
