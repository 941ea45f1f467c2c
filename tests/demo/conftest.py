"""The real Envoy of this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from apiservice.demo.proxy import NoEnvoy, find_envoy


@pytest.fixture(scope="session")
async def envoy() -> Path:
    """Its path; without one the tests are skipped, or fail where CI=true."""
    try:
        return await find_envoy()
    except NoEnvoy as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
