"""The fleet as a Prometheus keeps it, the metrics-api of viz that asks this Prometheus, and a source over each: one for all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from backends.dialects import load_dialect
from backends.linkerd.backend import LinkerdBackend
from backends.linkerd.settings import LinkerdSettings
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Answer, Backend, Window
from tests.backends.linkerd.questions import Ask
from tests.doubles.backfill import INSTANT, prometheus_of
from tests.doubles.linkerd import VizDouble, run_viz
from tests.doubles.linkerd.fleet import fleet_cluster, fleet_samples
from tests.doubles.mesh_truth import Asked
from tests.truth.questions import query_of


@pytest.fixture(scope="session")
def fleet_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the Prometheus; its samples end at ``INSTANT``."""
    with prometheus_of(tmp_path_factory.mktemp("viz-prometheus"), fleet_samples()) as url:
        yield url


@pytest.fixture(scope="session")
async def viz_double(fleet_prometheus: str) -> AsyncIterator[VizDouble]:
    """The metrics-api, to which it is always ``INSTANT``."""
    async with run_viz(fleet_cluster(), fleet_prometheus, instant=INSTANT) as viz:
        yield viz


@pytest.fixture(scope="session")
async def fleet_viz(viz_double: VizDouble) -> AsyncIterator[Backend]:
    """The source that asks the metrics-api."""
    async with LinkerdBackend(LinkerdSettings(name="viz", address=viz_double.address), lambda: INSTANT) as backend:
        yield backend


@pytest.fixture(scope="session")
def ask_viz(fleet_viz: Backend) -> Ask:
    """Asks viz about the minute that ends at ``INSTANT``, each question once: lists of edges cost a call for every object."""
    known: dict[Asked, Answer] = {}

    async def ask(asked: Asked) -> Answer:
        if asked not in known:
            known[asked] = await fleet_viz.answer(query_of(asked, Window(60), INSTANT))
        return known[asked]

    return ask


@pytest.fixture(scope="session")
async def fleet_direct(fleet_prometheus: str) -> AsyncIterator[Backend]:
    """The source that asks the Prometheus itself."""
    settings = PrometheusSettings(name="direct", url=fleet_prometheus, dialect=load_dialect("linkerd"))
    async with PrometheusBackend(settings) as backend:
        yield backend
