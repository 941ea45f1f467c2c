"""The page in front of the whole product: a simulated mesh, scraped, in standalone mode."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.page.asking import cells, show
from tests.page.browser import Tab
from tests.page.serving import dashboard

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("kubectl")]

NODES = "[...document.querySelectorAll('.node')].map((each) => each.dataset.id)"


async def test_the_page_shows_the_mesh_of_the_demo(tab: Tab):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "apiservice.main", "demo", "--simulate"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            while b"Served at " not in (line := await process.stdout.readline()):
                assert line
        port = int(line.split()[2].rstrip(b".").rpartition(b":")[2])
        async with dashboard(port) as url:
            await show(tab, f"{url}#/topology", "!!document.getElementById('every')")
            await tab.run(
                "(() => { const e = document.getElementById('every'); e.value = '5'; e.dispatchEvent(new Event('change')); })()"
            )
            await tab.until(f"{NODES}.includes('data/StatefulSet/db') && document.querySelectorAll('.link').length > 8", seconds=40)
            calls = {tuple(cell.split()[0] for cell in row[1:3]) for row in await cells(tab)}
        assert {("gateway", "web"), ("web", "catalog"), ("catalog", "db"), ("catalog", "catalog")} <= calls
        # Before the first scrape there are no numbers, and the page says so until there are.
        assert [each for each in tab.complaints if "status of 503" not in each] == []
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
