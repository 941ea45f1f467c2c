"""The page in a real Chromium: it shows the numbers of the API, and is where its address says."""

from __future__ import annotations

import asyncio

import pytest

from tests.page.asking import FRESH, cells, show, text
from tests.page.browser import Tab

pytestmark = pytest.mark.real

EVERY = "globalThis.choose = document.getElementById('every')"
NAMES = "[...document.querySelectorAll('#view tbody th')].map((each) => each.firstChild.innerText)"


async def test_the_golden_metrics_of_workloads_the_worst_first(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    assert await cells(tab) == [
        ["failing", "web", "Deployment", "shop", "90.00%", "2.0", "3 ms", "6 ms", "12 ms"],
        ["failing", "broken", "Deployment", "shop", "0.00%", "0.5", "3 ms", "6 ms", "12 ms"],
        ["degraded", "api", "Deployment", "shop", "99.50%", "20.0", "8 ms", "16 ms", "32 ms"],
        ["healthy", "db", "StatefulSet", "data", "100.00%", "50.0", "2.0 s", "4.0 s", "8.0 s"],
        ["healthy", "cart", "Deployment", "shop", "100.00%", "1.0", "0.9 ms", "2 ms", "4 ms"],
        ["no traffic", "idle", "Deployment", "shop", "no traffic", "0.0", *["– not known"] * 3],
        ["unknown", "silent", "Deployment", "shop", *["– not known"] * 5],
    ]
    assert tab.complaints == []


@pytest.mark.parametrize(
    ("list_", "names"),
    [
        pytest.param("deployments", ["web", "broken", "api", "cart", "idle", "silent"], id="deployments"),
        pytest.param("statefulsets", ["db"], id="statefulsets"),
        pytest.param("namespaces", ["shop", "data"], id="namespaces"),
    ],
)
async def test_a_table_for_each_kind(tab: Tab, small: str, list_: str, names: list[str]):
    await show(tab, f"{small}#/{list_}")
    assert await tab.run(NAMES) == names


async def test_a_kind_of_which_there_is_nothing_says_so(tab: Tab, small: str):
    await show(tab, f"{small}#/jobs?ns=shop")
    assert "There are no Jobs in the namespace shop" in await text(tab, "#view")


async def test_tables_are_sorted_by_any_column_and_the_address_says_so(tab: Tab, small: str):
    await show(tab, f"{small}#/deployments")
    await tab.run("document.querySelector('th.rps button').click()")
    assert await tab.run(NAMES) == ["api", "web", "cart", "broken", "idle", "silent"]
    assert await tab.run("[location.hash, document.querySelector('th.rps').ariaSort]") == ["#/deployments?sort=-rps", "descending"]
    await tab.run("document.querySelector('th.rps button').click()")
    assert await tab.run(NAMES) == ["idle", "broken", "cart", "web", "api", "silent"]


async def test_the_graph_and_its_table_say_the_same(tab: Tab, small: str):
    await show(tab, f"{small}#/topology", "document.querySelectorAll('.node').length === 6")
    drawn = await tab.run("[...document.querySelectorAll('.node .name')].map((each) => each.textContent).sort()")
    assert drawn == ["<b>bank<…ple.com", "api", "broken", "cart", "db", "web"]
    assert await tab.run("document.querySelectorAll('.link').length") == 7
    rows = await cells(tab)
    assert rows[1] == [
        "degraded",
        "web Deployment · shop",
        "api Deployment · shop",
        "99.44%",
        "18.0",
        "5 ms",
        "10 ms",
        "20 ms",
        "server",
    ]
    assert rows[-1][1:3] == ["api Deployment · shop", "<b>bank</b>.example.com outside the mesh"]
    assert await tab.run("document.querySelector('a.node.failing[aria-label*=web]').getAttribute('aria-label')") == (
        "Deployment web in shop, failing, 2.0 requests per second, 90.00% successful, 99th percentile 12 ms"
    )
    assert tab.complaints == []


async def test_who_has_no_traffic_is_drawn_when_asked_for(tab: Tab, small: str):
    await show(tab, f"{small}#/topology?idle=yes", "document.querySelectorAll('.node').length === 8")
    told = await tab.run("['idle', 'unknown'].map((each) => document.querySelector(`.node.${each} .numbers`).textContent)")
    assert told == ["no traffic", "unknown"]


async def test_one_workload_between_callers_and_callees(tab: Tab, small: str):
    await show(tab, f"{small}#/deployments/shop/api")
    assert await text(tab, "h1") == "Deployment api"
    tiles = await tab.run("[...document.querySelectorAll('.tile dd')].map((each) => each.innerText.trim())")
    assert tiles == ["degraded", "99.50%", "20.0", "8 ms", "16 ms", "32 ms"]
    assert [row[1:4] for row in await cells(tab, "[aria-labelledby=peers-from]")] == [
        ["web Deployment · shop", "99.44%", "18.0"],
        ["cart Deployment · shop", "100.00%", "2.0"],
    ]
    assert [row[1:4] for row in await cells(tab, "[aria-labelledby=peers-to]")] == [
        ["db StatefulSet · data", "100.00%", "50.0"],
        ["cart Deployment · shop", "100.00%", "0.4"],
        ["<b>bank</b>.example.com outside the mesh", "100.00%", "0.2"],
    ]
    # Who calls and is called stands on both sides.
    await tab.until("document.querySelectorAll('.node').length === 6")


async def test_links_lead_on_and_the_back_button_leads_back(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads?ns=shop&window=1m")
    await tab.run("[...document.querySelectorAll('tbody th a')].find((each) => each.innerText === 'web').click()")
    await tab.until(
        "document.querySelector('h1').innerText === 'Deployment web' && document.querySelectorAll('.tile').length && " + FRESH
    )
    assert await tab.run("location.hash") == "#/deployments/shop/web?window=1m"
    assert "Deployment web" in await tab.run("document.title")
    await tab.run("history.back()")
    await tab.until("document.querySelector('h1').innerText === 'Workloads' && document.querySelectorAll('tbody tr').length === 6")
    assert await tab.run("[document.querySelector('#namespace').value, document.querySelector('#window').value]") == ["shop", "1m"]


async def test_pickers_change_the_question(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads", "document.querySelectorAll('#namespace option').length === 3 && " + FRESH)
    choose = "((id, value) => { const e = document.getElementById(id); e.value = value; e.dispatchEvent(new Event('change')); })"
    await tab.run(f"{choose}('namespace', 'data')")
    await tab.until("document.querySelectorAll('tbody tr').length === 1")
    await tab.run(f"{choose}('window', '5m')")
    await tab.until(f"{FRESH} && location.hash === '#/workloads?ns=data&window=5m'")
    assert any("/namespaces/data/trafficmetrics?window=5m&" in url for url in tab.requests)
    await tab.run("history.back()")
    await tab.until("location.hash === '#/workloads?ns=data' && document.querySelector('#window').value === ''")


async def test_filters_by_condition_and_by_name(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads?health=failing")
    assert await tab.run(NAMES) == ["web", "broken"]
    await tab.run("document.querySelector('.chip.idle').click()")
    assert await tab.run(NAMES) == ["web", "broken", "idle"]
    await tab.run(
        "(() => { const f = document.querySelector('.search'); f.value = 'shop idl'; f.dispatchEvent(new Event('input')); })()"
    )
    await tab.until("location.hash.includes('q=shop+idl')")
    assert await tab.run(NAMES) == ["idle"]


async def test_it_asks_again_by_itself_and_not_when_paused(tab: Tab, small: str):
    await show(tab, f"{small}#/statefulsets")
    count = "performance.getEntriesByType('resource').filter(({name}) => name.includes('/statefulsets')).length"
    await tab.run(f"{EVERY}; choose.append(new Option('', '0.1')); choose.value = '0.1'; choose.dispatchEvent(new Event('change'))")
    await tab.until(f"{count} >= 4")
    await tab.run("document.getElementById('pause').click()")
    await tab.until("document.getElementById('pause').ariaPressed === 'true'")
    await asyncio.sleep(0.3)
    before = await tab.run(count)
    await asyncio.sleep(0.5)
    assert await tab.run(count) == before
    await tab.run("document.getElementById('now').click()")
    await tab.until(f"{count} === {before + 1}")
    await asyncio.sleep(0.3)
    assert await tab.run(count) == before + 1


async def test_nothing_is_asked_of_anybody_else_and_offline_it_works_as_well(tab: Tab, small: str):
    await tab.call("Network.setBlockedURLs", urls=["https://*", "http://*.com/*"])
    await show(tab, f"{small}#/topology", "document.querySelectorAll('.node').length === 6")
    await tab.call("Page.reload", ignoreCache=True)
    await tab.until("document.querySelectorAll('.node').length === 6")
    assert [url for url in tab.requests if not url.startswith(small)] == []
    assert tab.complaints == []


async def test_who_is_quicker_than_the_beginning_does_no_harm(tab: Tab, small: str):
    slow = """const real = fetch;
        globalThis.fetch = async (path, ...rest) => {
            if (path === 'session') await new Promise((resolve) => setTimeout(resolve, 400));
            return real(path, ...rest);
        };"""
    await tab.call("Page.addScriptToEvaluateOnNewDocument", source=slow)
    await tab.go(f"{small}#/workloads")
    await tab.until("document.getElementById('now')?.click() === undefined && !!document.getElementById('now')")
    await tab.until(FRESH)
    assert tab.complaints == []
