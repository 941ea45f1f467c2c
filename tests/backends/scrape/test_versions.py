"""Which version runs, as proxies that are scraped tell it: on the page of their metrics, or at the admin interface of Envoy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from backends.dialects import load_dialect
from backends.scrape import ScrapeSettings, Target
from backends.scrape.diagnosis import diagnose
from metrics_api import Window
from metrics_api.diagnosis import Diagnosis, Mesh

ENVOY = """\
envoy_cluster_upstream_rq_total{envoy_cluster_name="api.shop"} 7
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="api.shop"} 7
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="api.shop",le="+Inf"} 7
"""
ISTIO = """\
istio_requests_total{reporter="destination",source_workload="web",source_workload_namespace="shop",destination_workload="api",\
destination_workload_namespace="data",destination_service="api.data.svc.cluster.local",response_code="200",grpc_response_status=""} 7
istio_build{component="proxy",tag="1.24.1"} 1
istio_build{component="proxy",tag="unknown"} 1
"""
INFO = '{{"version": "b1a2c3d4/{version}/Clean/RELEASE/BoringSSL", "state": "LIVE", "node": {{"id": "x"}}}}'


@dataclass
class Proxy:
    """What a proxy has at which path; ``asked`` are the paths that were asked for."""

    pages: dict[str, str]
    delay: float = 0.0
    status: int = 200
    asked: list[str] = field(default_factory=list)
    address: str = ""

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        if request.path == "/server_info":
            await asyncio.sleep(self.delay)
        text = self.pages.get(request.path)
        if text is None:
            return web.Response(status=404)
        if request.path == "/server_info":
            return web.Response(status=self.status, text=text, content_type="application/json")
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})


@asynccontextmanager
async def running(*proxies: Proxy) -> AsyncIterator[None]:
    runners = []
    for proxy in proxies:
        runner = web.ServerRunner(web.Server(proxy.answer), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.address = f"127.0.0.1:{runner.addresses[0][1]}"
        runners.append(runner)
    try:
        yield
    finally:
        for runner in runners:
            await runner.cleanup()


def envoy(version: str = "1.31.2", page: str = ENVOY) -> Proxy:
    return Proxy({"/stats/prometheus": page, "/server_info": INFO.format(version=version)})


async def examine(dialect: str, *proxies: Proxy, path: str = "/stats/prometheus") -> Diagnosis:
    labels = (("namespace", "shop"), ("pod", "web-1"), ("deployment", "web"))
    targets = tuple(Target(proxy.address, path, labels=labels) for proxy in proxies)
    return await diagnose(ScrapeSettings("edge", load_dialect(dialect), targets), Window(30))


async def test_envoys_that_are_upgraded_tell_both_versions():
    one, other = envoy("1.9.0"), envoy("1.31.2")
    async with running(one, other):
        diagnosis = await examine("envoy", one, other)
    assert diagnosis.meshes == (Mesh("Envoy", "envoy", ("1.9.0", "1.31.2")),)


async def test_the_version_of_the_mesh_is_on_the_page_of_its_proxies():
    proxy = envoy(page=ISTIO)
    async with running(proxy):
        diagnosis = await examine("istio", proxy)
    assert diagnosis.meshes == (Mesh("Istio", "istio", ("1.24.1",)),)
    assert diagnosis.namespaces == frozenset({"shop", "data"})


async def test_where_the_mesh_does_not_tell_its_version_that_of_its_envoys_is_told_as_theirs():
    proxy = envoy(page="\n".join(ISTIO.splitlines()[:1]) + "\n")
    async with running(proxy):
        diagnosis = await examine("istio", proxy)
    assert diagnosis.meshes == (Mesh("Istio", "istio", ("1.31.2",), "Envoy"),)


async def test_what_is_not_the_admin_interface_of_envoy_is_not_asked_what_it_is():
    proxy = Proxy({"/metrics": ENVOY, "/server_info": INFO.format(version="1.31.2")})
    async with running(proxy):
        diagnosis = await examine("envoy", proxy, path="/metrics")
    assert diagnosis.meshes == (Mesh("Envoy", "envoy"),)
    assert "/server_info" not in proxy.asked


@pytest.mark.parametrize(
    ("info", "status", "delay"),
    [
        (None, 200, 0.0),
        (INFO.format(version="1.31.2"), 503, 0.0),
        (INFO.format(version="1.31.2"), 200, 60.0),
        ("{", 200, 0.0),
        ("[]", 200, 0.0),
        ('{"version": "custom"}', 200, 0.0),
        ('{"version": 7}', 200, 0.0),
    ],
    ids=["absent", "refused", "hanging", "half", "no object", "no version", "a number"],
)
async def test_a_proxy_that_does_not_say_which_envoy_it_is_lacks_nothing(
    info: str | None, status: int, delay: float, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("backends.scrape.serverinfo._TIME", 0.2)
    proxy = Proxy({"/stats/prometheus": ENVOY, **({"/server_info": info} if info is not None else {})}, delay, status)
    async with running(proxy):
        begun = time.monotonic()
        diagnosis = await examine("envoy", proxy)
        assert time.monotonic() - begun < 3
    assert diagnosis.meshes == (Mesh("Envoy", "envoy"),)
    assert diagnosis.facts["targetsAnswering"] == 1
    assert not [finding for finding in diagnosis.findings if finding.check == "targets"]


async def test_of_many_targets_some_are_asked():
    proxies = [envoy() for _ in range(45)]
    async with running(*proxies):
        diagnosis = await examine("envoy", *proxies)
    assert diagnosis.meshes[0].versions == ("1.31.2",)
    assert sum("/server_info" in proxy.asked for proxy in proxies) == 15


async def test_targets_that_show_nothing_of_the_dialect_are_no_mesh():
    proxy = envoy(page="up 1\n")
    async with running(proxy):
        assert (await examine("istio", proxy)).meshes == ()
