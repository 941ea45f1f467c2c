"""What the page says when there is no answer: sentences, and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.apiservice.memory import Door, serving
from tests.page.asking import FRESH, PROBLEM, show, text
from tests.page.browser import Tab
from tests.page.meshes import small_mesh
from tests.page.serving import address, dashboard, starting

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("kubectl")]

ROOT = "/apis/metrics.smi-spec.io/v1alpha1"


@pytest.fixture(scope="module")
async def shop_only() -> AsyncIterator[str]:
    """A dashboard of somebody who may read nothing but the namespace shop."""
    door = Door(
        forbidden=frozenset(f"{ROOT}/{path}" for path in ("namespaces", "trafficmetrics", "namespaces/data/trafficmetrics"))
    )
    async with serving(small_mesh(), door) as server, dashboard(server.port or 0) as url:
        yield url


async def test_who_may_not_read_a_namespace_is_told_what_would_let_them(tab: Tab, shop_only: str):
    await show(tab, f"{shop_only}#/workloads?ns=data", PROBLEM)
    said = await text(tab, ".problem")
    assert "You may not read trafficmetrics in the namespace data." in said
    assert "kubectl create rolebinding traffic-reader -n data --clusterrole=trafficmetrics-reader" in said
    assert 'cannot list resource "trafficmetrics"' in said


async def test_who_may_not_list_namespaces_types_one(tab: Tab, shop_only: str):
    await show(tab, f"{shop_only}#/workloads", f"{PROBLEM} && !!document.querySelector('input#namespace')")
    assert "You may not read trafficmetrics of all namespaces." in await text(tab, ".problem")
    await tab.run(
        "(() => { const e = document.querySelector('input#namespace'); e.value = 'shop'; e.dispatchEvent(new Event('change')); })()"
    )
    await tab.until(f"{FRESH} && document.querySelectorAll('tbody tr').length === 6 && !{PROBLEM}")


async def test_a_cluster_without_the_api(tab: Tab):
    async with TestServer(web.Application(), host="127.0.0.1") as server, dashboard(server.port or 0) as url:
        await show(tab, url, PROBLEM)
        assert "This cluster has no traffic metrics API." in await text(tab, ".problem")


async def test_a_cluster_that_cannot_be_reached(tab: Tab):
    async with dashboard(1) as url:
        await show(tab, url, PROBLEM)
        said = await text(tab, ".problem")
    assert "The API server cannot be reached." in said
    assert "connection refused" in said


async def test_old_numbers_stay_and_are_called_old(tab: Tab):
    service = small_mesh()
    async with serving(service) as server, dashboard(server.port or 0) as url:
        await show(tab, f"{url}#/workloads")
        service.failure = RuntimeError("broken")
        await tab.run("document.getElementById('now').click()")
        await tab.until(PROBLEM)
        assert "The numbers below are" in await text(tab, ".problem")
        assert await tab.run("document.querySelectorAll('tbody tr').length") == 7
        service.failure = None
        await tab.run("document.querySelector('.problem button').click()")
        await tab.until(f"{FRESH} && !{PROBLEM}")


async def test_a_page_whose_command_has_ended_says_so(tab: Tab):
    async with serving(small_mesh()) as server, starting(f"--server=http://127.0.0.1:{server.port}", "--no-browser") as process:
        await show(tab, await address(process))
        process.terminate()
        await process.wait()
        await tab.run("document.getElementById('now').click()")
        await tab.until(PROBLEM)
        assert "This page has lost its server." in await text(tab, ".problem")


async def test_warnings_of_the_api_are_shown_as_text(tab: Tab):
    service = small_mesh()
    service.warnings = ("source <b>mesh</b>: too short for „it“",)
    async with serving(service) as server, dashboard(server.port or 0) as url:
        await show(tab, f"{url}#/workloads")
        assert "source <b>mesh</b>: too short for „it“" in await text(tab, "#notices")
