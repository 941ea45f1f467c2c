"""A real Prometheus with native histograms, over a few pages of exactly known content, for every test of this folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.backends.prometheus.pages import hostile_page, native_page
from tests.doubles.exporter import exporter
from tests.doubles.mesh import Target
from tests.doubles.stores import prometheus

WINDOW = 4

_DISCOVERY = 5
"""Seconds after which a Prometheus begins to scrape what its configuration lists."""


@dataclass(frozen=True, slots=True)
class Known:
    """A Prometheus, and the instant at which the window of :data:`WINDOW` seconds is full."""

    url: str
    instant: int


@pytest.fixture(scope="session")
async def known(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Known]:
    """The store, once it has seen enough."""
    begun = time.time()
    async with (
        exporter(lambda moment: hostile_page(moment - begun)) as hostile,
        exporter(lambda moment: native_page(moment - begun)) as native,
    ):
        native.content_type = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
        targets = [
            Target("hostile", hostile.address, "/metrics", {}),
            Target("native", native.address, "/metrics", {"namespace": "native"}),
        ]
        # Starting it blocks, and the pages are served by this very loop.
        running = prometheus(tmp_path_factory.mktemp("prometheus-native"), targets, interval="1s", features=["native-histograms"])
        url = await asyncio.to_thread(running.__enter__)
        try:
            instant = int(time.time()) + _DISCOVERY + WINDOW + 2
            await asyncio.sleep(instant + 1 - time.time())
            yield Known(url, instant)
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)
