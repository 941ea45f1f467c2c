"""The page's way to the API through kubectl and kube-apiserver: it has the rights of its user, and no others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.controlplane.plane import ADMIN, Person
from tests.controlplane.served.api import Api
from tests.controlplane.served.cluster import SHOP_READER, STRANGER
from tests.controlplane.served.server import GV
from tests.page.serving import address

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[3]


@asynccontextmanager
async def page(api: Api, user: Person) -> AsyncIterator[str]:
    """The address of the page of this person, up to its API."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kubectl_traffic.main", "dashboard", "--no-browser"),
        env={**api.plane.environment(user), "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield (await address(process)).rstrip("/") + GV
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), 20)


async def statuses(url: str, *paths: str) -> dict[str, int]:
    """The status of the response to each path."""
    async with aiohttp.ClientSession() as session:
        found = {}
        for path in paths:
            async with session.get(f"{url}/{path}") as response:
                found[path] = response.status
        return found


async def test_a_reader_of_a_namespace_reads_it_and_nothing_else(api: Api):
    shop, data = "namespaces/shop/trafficmetrics?includeIdle=true", "namespaces/data/trafficmetrics"
    async with page(api, SHOP_READER) as url:
        found = await statuses(url, shop, "namespaces/shop/deployments/web/edges", data, "trafficmetrics", "namespaces")
        assert list(found.values()) == [200, 200, 403, 403, 403]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/{data}") as response:
            told = await response.json()
    assert (told["kind"], told["reason"]) == ("Status", "Forbidden")
    assert 'User "ann" cannot list resource "trafficmetrics"' in told["message"]


async def test_a_stranger_reads_nothing_and_an_administrator_all(api: Api):
    paths = ("trafficmetrics?fieldSelector=edge.resource.name!%3D", "namespaces?includeIdle=true", "namespaces/shop/pods")
    async with page(api, STRANGER) as url:
        assert set((await statuses(url, *paths)).values()) == {403}
    async with page(api, ADMIN) as url:
        assert set((await statuses(url, *paths)).values()) == {200}
