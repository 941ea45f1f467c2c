"""Grafana's own code, running in a process of its own: asked what it makes of responses, queries, panels and variables.

``scripts/node-part`` makes it of Grafana's published packages; ``tests/grafana/node`` holds what asks it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

__all__ = ["Grafana", "MissingGrafana", "Refused", "Run", "do_without", "run_grafana"]

_ROOT = Path(__file__).parents[2]
_FINDER = _ROOT / "scripts" / "node-part"
_RIG = Path(__file__).parent / "node" / "rig.cjs"
_LONGEST = 64 * 1024 * 1024
_PATIENCE = 30.0


class MissingGrafana(Exception):
    """Node or Grafana's packages are not on this machine; the message says which, and how to get them."""


class Refused(Exception):
    """Grafana's code threw: the message is its own."""


@dataclass(frozen=True, slots=True)
class Run:
    """What a dashboard is run with.

    ``sources`` are data sources by uid, each with ``type``, ``url``, ``headers`` and ``jsonData`` or ``allowedHosts``. ``variables`` are by
    name, as a dashboard that was opened has them. ``first`` and ``last`` are the time range in Unix seconds.
    """

    sources: Mapping[str, Mapping[str, Any]]
    first: int
    last: int
    variables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def wire(self) -> dict[str, Any]:
        """What the rig reads; times are in milliseconds there."""
        return {
            "sources": self.sources,
            "variables": self.variables,
            "range": {"from": self.first * 1000, "to": self.last * 1000},
        }


class Grafana:
    """The running rig. What it raises is a :class:`Refused` with the message of Grafana's code."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def frames(self, responses: Sequence[Any]) -> list[dict[str, Any]]:
        """What ``toDataFrame`` makes of each of the responses."""
        return list(await self._ask("frames", responses=responses))

    async def graph(self, responses: Sequence[Any]) -> dict[str, list[dict[str, Any]]]:
        """The nodes and edges that the node graph panel draws of responses."""
        return dict(await self._ask("graph", responses=responses))

    async def panel(self, panel: Mapping[str, Any], run: Run) -> Any:
        """What a panel shows, by its type: texts as they stand on the screen."""
        return await self._ask("panel", panel=panel, **run.wire())

    async def variable(self, query: str, source: str, run: Run) -> tuple[list[str], list[dict[str, Any]]]:
        """What a query of a variable finds, and the requests that the data source made for it."""
        answer = await self._ask("variable", query=query, source=source, **run.wire())
        return answer["found"], answer["requests"]

    async def editor(self, source: str, selector: str, label: str, run: Run) -> dict[str, Any]:
        """What the query editor of the Prometheus data source knows."""
        return dict(await self._ask("editor", source=source, selector=selector, label=label, **run.wire()))

    async def query(self, source: str, targets: Sequence[Mapping[str, Any]], run: Run) -> list[dict[str, Any]]:
        """The frames of queries of a data source."""
        return list(await self._ask("query", source=source, targets=targets, **run.wire()))

    async def _ask(self, op: str, **asked: Any) -> Any:
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None
        assert writer is not None
        async with self._turn, asyncio.timeout(_PATIENCE):
            writer.write(json.dumps({"op": op, **asked}).encode() + b"\n")
            await writer.drain()
            line = await reader.readline()
        assert line, "the rig has ended"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]


@asynccontextmanager
async def run_grafana(log: Path, authorities: Path | None = None) -> AsyncIterator[Grafana]:
    """The rig; ``log`` gets what Grafana's code has to say. Raises :class:`MissingGrafana`.

    ``authorities`` is a PEM file of those that sign the certificates of data sources.
    """
    trusted = {} if authorities is None else {"NODE_EXTRA_CA_CERTS": str(authorities)}
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "node",
            _RIG,
            await _bundle(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            limit=_LONGEST,
            env={**os.environ, **trusted},
        )
    try:
        yield Grafana(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


def do_without(missing: MissingGrafana) -> NoReturn:
    """Skips the test, or fails it where CI=true: there it belongs to the machine."""
    if os.environ.get("CI") == "true":
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


async def _bundle() -> str:
    finder = await asyncio.create_subprocess_exec(
        _FINDER, "--no-build", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    stdout, stderr = await finder.communicate()
    if finder.returncode:
        raise MissingGrafana(stderr.decode().strip())
    return stdout.decode().strip()
