"""Real Envoys, set up as each mesh of the family does it, with traffic sent through them; all of them at the same time, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.demo.conftest import envoy
from tests.envoy.running import Run, run_all
from tests.envoy.setups import SETUPS

__all__ = ["envoy", "runs"]


@pytest.fixture(scope="session")
async def runs(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Run]]:
    """What became of each setup, by its name: the traffic is over, and the sources are open to be asked about it."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield await run_all(stack, session, envoy, tmp_path_factory.mktemp("envoys"), SETUPS)
