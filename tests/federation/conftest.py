"""What the tests of several sources share: one server, started once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.federation.load import Load
from tests.federation.rig import WINDOW, Rig, run_rig


@pytest.fixture(scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """The server before its four sources, of which the one that scrapes has seen a whole window."""
    async with run_rig(tmp_path_factory.mktemp("rig")) as running:
        await asyncio.sleep(WINDOW)
        await Load(running).recovered()
        yield running
