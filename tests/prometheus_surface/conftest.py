"""A server in standalone mode with the traffic of a small mesh, and a real Prometheus that scrapes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.grafana.shop import GROUP, Shop, run_shop
from tests.prometheus_surface.scraper import Scraper, run_scraper

BASE = f"{GROUP}/prometheus"
MATCH = ['{__name__=~"trafficmetrics_.*_ratio",namespace="shop"}', 'trafficmetrics_requests_per_second{direction="to"}']


def _job(name: str, address: str, path: str, **parameters: list[str]) -> dict[str, Any]:
    return {
        "job_name": name,
        "metrics_path": f"{BASE}/{path}",
        "params": parameters,
        "honor_labels": True,
        "static_configs": [{"targets": [address]}],
    }


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The server."""
    async with run_shop(tmp_path_factory.mktemp("shop")) as running:
        yield running


@pytest.fixture(scope="session")
async def scraper(server: Shop, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraper]:
    """A Prometheus with samples of all pages."""
    address = urlsplit(server.url).netloc
    jobs = [
        _job("totals", address, "metrics"),
        _job("edges", address, "metrics", edges=["true"]),
        _job("pods", address, "metrics", kind=["Deployment", "pods"], window=["5m"]),
        _job("federate", address, "federate", **{"match[]": MATCH}),
    ]
    async with run_scraper(tmp_path_factory.mktemp("scraper"), jobs) as running:
        await running.until("scrape_samples_scraped > 0", lambda found: len(found) == len(jobs))
        yield running
