"""One Chromium for all tests of the page, and the page in front of servers that know their traffic by heart."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest

from tests.apiservice.memory import serving
from tests.page.browser import Browser, Tab, find_chromium, run_browser
from tests.page.meshes import small_mesh
from tests.page.serving import dashboard


def at_hand(command: str | None, name: str) -> str:
    """The path of a command; where it is missing, the tests that need it are skipped, or fail if CI=true."""
    if command is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"there is no {name} on the PATH", pytrace=False)
        pytest.skip(f"there is no {name} on the PATH")
    return command


@pytest.fixture(scope="session")
def kubectl() -> str:
    """The path of kubectl, which the command runs."""
    return at_hand(shutil.which("kubectl"), "kubectl")


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node, which runs the page's modules without a page."""
    return at_hand(shutil.which("node"), "node")


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of the session's own."""
    async with run_browser(at_hand(find_chromium(), "chromium")) as running:
        yield running


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Tab]:
    """A new page in it."""
    async with browser.tab() as opened:
        yield opened


@pytest.fixture(scope="session")
async def small(kubectl: str) -> AsyncIterator[str]:  # noqa: ARG001
    """The address of a dashboard in front of the small mesh."""
    async with serving(small_mesh()) as server, dashboard(server.port or 0) as url:
        yield url
