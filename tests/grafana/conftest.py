"""What the tests of Grafana share: Grafana's own code, and a shop to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.grafana.rig import Grafana, MissingGrafana, do_without, run_grafana
from tests.grafana.shop import Shop, run_shop


@pytest.fixture(scope="session")
async def grafana(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grafana]:
    """The rig; without Node or Grafana's packages the tests are skipped, or fail where CI=true."""
    try:
        async with run_grafana(tmp_path_factory.mktemp("grafana") / "log") as running:
            yield running
    except MissingGrafana as missing:
        do_without(missing)


@pytest.fixture(scope="session")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The server of a small mesh with an hour of history."""
    async with run_shop(tmp_path_factory.mktemp("shop")) as running:
        yield running
