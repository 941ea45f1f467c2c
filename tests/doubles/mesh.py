"""A fleet of proxies of every mesh that can be scraped, whose truth is known: an HTTP server with one page per mesh and pod.

It runs in a process of its own, so that a busy test does not delay its clock, and ends when its standard input does, so that nothing is
left behind whatever becomes of the test.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from tests.doubles.mesh_facts import WORKLOADS
from tests.doubles.mesh_series import Page, counter
from tests.doubles.meshes.all import MESHES

__all__ = ["CLOCK", "MeshDouble", "Target"]

CLOCK = "double_clock_milliseconds_total"
"""A counter on every page that grows by 1000 a second: it tells how well a store kept time."""

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Target:
    """One proxy to scrape: where, and the labels that scraping gives its series."""

    mesh: str
    address: str
    path: str
    labels: Mapping[str, str]


def _pages() -> dict[str, tuple[Page, str, dict[str, str]]]:
    """The page of every proxy by its path, with the mesh and the labels of its target."""
    pages: dict[str, tuple[Page, str, dict[str, str]]] = {}
    for name, mesh in MESHES.items():
        if not mesh.scraped:
            continue
        for workload in (*WORKLOADS, *mesh.extra):
            for pod in workload.pods:
                rows = list(mesh.rows(workload, pod))
                if rows:
                    page = Page.of([*rows, counter(CLOCK, {}, 1000.0)], pod)
                    pages[f"/{name}/{workload.namespace}/{pod.name}"] = (page, name, mesh.scrape_labels(workload, pod))
    return pages


class MeshDouble:
    """The running fleet; a context manager. ``targets`` are what to scrape."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.address = ""
        self.targets: tuple[Target, ...] = ()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.doubles.mesh"], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.address = f"127.0.0.1:{int(self._process.stdout.readline())}"
        self.targets = tuple(Target(mesh, self.address, path, labels) for path, (_, mesh, labels) in _pages().items())
        return self

    def quieten(self) -> None:
        """Expose nothing from now on: scraping stays as it is and costs nothing, while history is asked about."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


async def _serve() -> None:
    """Serve every page on a free port and print the port; a line on standard input empties the pages, its end stops the server."""
    pages = {path: page for path, (page, _, _) in _pages().items()}
    start = time.monotonic()

    async def answer(request: web.BaseRequest) -> web.Response:
        page = pages.get(request.path)
        text = page.render(time.monotonic() - start) if page is not None else ""
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)  # noqa: T201 how the parent learns the port
    while await asyncio.to_thread(sys.stdin.readline):
        pages.clear()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_serve())
