"""The page without a mouse, without colours, and without sight."""

from __future__ import annotations

import pytest

from tests.page.asking import FRESH, show
from tests.page.browser import Tab

pytestmark = pytest.mark.real

VIEWS = ["topology", "workloads", "deployments/shop/api"]
ACTIVE = "document.activeElement"
ROLES = ("button", "link", "combobox", "checkbox", "searchbox", "textbox", "region", "navigation", "table", "group", "columnheader")
CONTRAST = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data]; };
  const light = (rgb) => rgb.slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => { for (; element; element = element.parentElement) {
    const found = rgba(getComputedStyle(element).backgroundColor); if (found[3] > 250) return found; } return [255, 255, 255]; };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || element.closest('svg, .spoken, noscript, .none, .skip, [hidden]')) continue;
    const [front, back] = [light(rgba(getComputedStyle(element).color)), light(ground(element))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5) poor.push(`${element.tagName}.${element.className} ${element.textContent.slice(0, 20)} ${ratio.toFixed(2)}`);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("view", VIEWS)
async def test_everything_one_can_act_on_has_a_name(tab: Tab, small: str, view: str):
    await show(tab, f"{small}#/{view}")
    tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
    seen = [
        (each["role"]["value"], each.get("name", {}).get("value", "")) for each in tree if not each["ignored"] and "role" in each
    ]
    assert [pair for pair in seen if pair[0] in ROLES and not pair[1].strip()] == []
    roles = {role for role, _ in seen}
    assert {"banner", "navigation", "main", "status", "heading", "table", "columnheader", "rowheader", "button", "link"} <= roles
    assert ("table", "Calls between workloads, caller and callee") in seen or view != "topology"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
async def test_text_can_be_read_on_its_ground(tab: Tab, small: str, view: str, scheme: str):
    await tab.look(scheme=scheme)
    await show(tab, f"{small}#/{view}")
    ground = await tab.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(17, 22, 29)") == (scheme == "dark")
    assert await tab.run(CONTRAST) == []


async def test_the_theme_can_be_chosen_and_is_kept(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    system = await tab.run(ground)
    for _ in range(2):
        await tab.run("document.getElementById('theme').click()")
    assert await tab.run(f"[document.getElementById('theme').ariaLabel, {ground} === '{system}']") == ["Theme: dark", False]
    await tab.call("Page.reload")
    await tab.until(f"document.querySelector('#theme')?.ariaLabel === 'Theme: dark' && {FRESH}")
    await tab.run("document.getElementById('theme').click()")


async def test_the_first_tab_skips_to_the_content_and_leaves_the_place_as_it_is(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    await tab.press("Tab")
    assert await tab.run(f"{ACTIVE}.innerText") == "Skip to content"
    await tab.press("Enter")
    assert await tab.run(f"[{ACTIVE}.id, location.hash]") == ["main", "#/workloads"]


async def test_the_graph_is_walked_through_with_arrow_keys_and_opened_with_enter(tab: Tab, small: str):
    await show(
        tab,
        f"{small}#/topology",
        "document.querySelectorAll('.node').length === 6 && !!document.querySelector('.node[tabindex=\"0\"]')",
    )
    await tab.run("document.querySelector('.search').focus()")
    for _ in range(9):
        await tab.press("Tab")
        if await tab.run(f"!!{ACTIVE}.closest('.node')"):
            break
    where = f"{ACTIVE}.dataset.id"
    assert await tab.run(where) == "shop/Deployment/web"
    await tab.press("ArrowRight")
    assert await tab.run(where) in ("shop/Deployment/api", "shop/Deployment/broken")
    await tab.press("ArrowLeft")
    assert await tab.run(where) == "shop/Deployment/web"
    assert await tab.run("document.querySelectorAll('.node[tabindex=\"0\"]').length") == 1
    assert await tab.run(f"getComputedStyle({ACTIVE}.querySelector('.card')).strokeWidth") == "3px"
    await tab.press("Enter")
    await tab.until("location.hash.startsWith('#/deployments/shop/web')")
    # Reading goes on at the title of the new view.
    await tab.until(f"{ACTIVE}.tagName === 'H1' && {ACTIVE}.innerText === 'Deployment web'")


async def test_a_focus_survives_a_refresh(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    await tab.run("document.querySelectorAll('tbody th a')[2].focus()")
    await tab.run("document.getElementById('fresh').textContent = ''; document.getElementById('now').click()")
    await tab.until(FRESH)
    assert await tab.run(f"{ACTIVE}.innerText") == "api"


async def test_conditions_differ_in_shape_and_pattern_not_in_colour_alone(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    shapes = await tab.run(
        "[...document.querySelectorAll('.chips svg')].map((each) => each.innerHTML.replace(/ class=\"sign \\w+\"/, ''))"
    )
    assert len(set(shapes)) == 5
    await show(tab, f"{small}#/topology", "document.querySelectorAll('.link').length === 7")
    style = """((key) => {
        const found = getComputedStyle(document.querySelector(`.link.${key} .line`));
        return [found.strokeDasharray, found.strokeWidth].join();
    })"""
    assert len({await tab.run(f"{style}('{key}')") for key in ("failing", "degraded", "healthy")}) == 3


async def test_what_changes_is_announced_and_what_does_not_is_not(tab: Tab, small: str):
    await show(tab, f"{small}#/workloads")
    assert await tab.run("document.querySelector('[aria-live=polite]').textContent") == "7 workloads; 2 failing, 1 degraded"


@pytest.mark.parametrize("view", VIEWS)
async def test_a_narrow_window_does_not_scroll_sideways(tab: Tab, small: str, view: str):
    await tab.look(width=390)
    await show(tab, f"{small}#/{view}")
    assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
