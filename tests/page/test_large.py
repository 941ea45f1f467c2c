"""A mesh of 200 workloads and 1 000 edges on the page."""

from __future__ import annotations

import pytest

from tests.apiservice.memory import serving
from tests.page.asking import show
from tests.page.browser import Tab
from tests.page.meshes import large_mesh
from tests.page.serving import dashboard

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("kubectl")]


async def test_a_large_mesh_is_drawn_found_in_and_told_in_full(tab: Tab):
    async with serving(large_mesh()) as server, dashboard(server.port or 0) as url:
        await show(
            tab,
            f"{url}#/topology",
            "document.querySelectorAll('.node').length === 200 && document.querySelectorAll('.link').length === 1000",
        )
        assert await tab.run("document.querySelectorAll('tbody tr').length") == 100
        await tab.run("document.querySelector('.more').click()")
        await tab.run("document.querySelector('.more').click()")
        assert await tab.run("[document.querySelectorAll('tbody tr').length, document.querySelector('.more').hidden]") == [
            1000,
            True,
        ]
        await tab.until("!!document.querySelector('.node[tabindex=\"0\"]')")
        await tab.run("document.querySelector('.search').focus()")
        await tab.write("service-117")
        await tab.until("document.querySelectorAll('.node.kept').length === 1")
        await tab.press("Enter")
        assert await tab.run("document.activeElement.dataset.id") == "team-5/Deployment/service-117"
        inside = """(() => { const [a, b] = ['.node:focus', '.stage'].map((each) => document.querySelector(each).getBoundingClientRect());
            return a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom; })()"""
        await tab.until(inside)
        assert tab.complaints == []
