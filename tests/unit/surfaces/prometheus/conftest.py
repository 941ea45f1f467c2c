"""One server for all tests that do not change it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from tests.unit.surfaces.prometheus.shop import client


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[TestClient[Any, Any]]:
    """A client of the shop."""
    async with client() as session:
        yield session
