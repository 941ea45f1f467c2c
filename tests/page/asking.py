"""What tests ask of the page, in JavaScript."""

from __future__ import annotations

import json
from typing import Any

from tests.page.browser import Tab

__all__ = ["FRESH", "PROBLEM", "cells", "show", "text"]

FRESH = "/^(Updated|Paused)/.test(document.querySelector('#fresh').textContent)"
PROBLEM = "!!document.querySelector('.problem')"


async def show(tab: Tab, url: str, until: str = FRESH) -> None:
    """Open an address, and wait for the numbers."""
    await tab.go(url)
    await tab.until(f"location.href.startsWith({json.dumps(url.partition('#')[0])}) && {until}")


async def cells(tab: Tab, selector: str = "#view") -> list[list[str]]:
    """The rows of the first table below an element, as they are read: a text for each cell."""
    script = f"""[...document.querySelector({json.dumps(selector)} + ' table').tBodies[0].rows]
        .map((row) => [...row.cells].map((cell) => cell.innerText.trim().replace(/\\s+/g, ' ')))"""
    found: list[list[str]] = await tab.run(script)
    return found


async def text(tab: Tab, selector: str) -> Any:
    """The text of an element."""
    return await tab.run(f"document.querySelector({json.dumps(selector)}).innerText")
