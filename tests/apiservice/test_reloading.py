"""The whole server while its configuration changes on disk: answers, health, metrics and the list of sources follow, without a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from apiservice.lifecycle import Lifecycle
from apiservice.main import serving
from apiservice.reloading import ConfigurationFiles
from backends.registry import configured, dialect_files

GV = "/apis/metrics.smi-spec.io/v1alpha1"
LABELS = {"namespace": "shop", "deployment": "web", "direction": "inbound", "classification": "success"}


class Running(NamedTuple):
    """A server, the file it follows, and the stores that may be in it, by how many requests each tells of."""

    url: str
    session: aiohttp.ClientSession
    config: Path
    stores: dict[int, str]

    def write(self, *sources: str) -> None:
        self.config.write_text(
            "server: {insecurePort: 1}\nkubernetes: {enabled: false}\nmetrics: {refresh: 1s}\nbackends:\n"
            + "".join(f"- {{{source}, type: prometheus, dialect: linkerd, scrapeInterval: 1s}}\n" for source in sources)
        )

    async def text(self, path: str) -> str:
        async with self.session.get(self.url + path) as response:
            return await response.text()

    async def count(self) -> str:
        async with self.session.get(f"{self.url}{GV}/namespaces/shop/deployments/web") as response:
            document = await response.json()
        return (
            {metric["name"]: metric["value"] for metric in document["metrics"]}["success_count"]
            if response.ok
            else str(response.status)
        )

    async def until(self, expected: str) -> None:
        """Waits until that many requests are told of."""
        async with asyncio.timeout(10):
            while await self.count() != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def until_told(self, line: str) -> None:
        """Waits until a line is among the metrics."""
        async with asyncio.timeout(10):
            while line not in await self.text("/metrics"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def store(count: int) -> web.Application:
    """A Prometheus that knows one series, which went up by ``count``."""

    async def query(request: web.Request) -> web.Response:
        text = (await request.post()).get("query", "")
        known = "response_total" in str(text) and "inbound" in str(text)
        result = [{"metric": LABELS, "value": [0, str(count)]}] if known else []
        return web.json_response({"status": "success", "data": {"resultType": "vector", "result": result}})

    app = web.Application()
    app.router.add_route("*", "/api/v1/query", query)
    return app


@pytest.fixture
async def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr("apiservice.reloading.reloader.PERIOD", 0.05)
    monkeypatch.setattr("apiservice.reloading.reloader.SETTLING", 0.05)
    config = tmp_path / "config.yaml"
    async with TestServer(store(7)) as seven, TestServer(store(9)) as nine, aiohttp.ClientSession() as session:
        stores = {7: str(seven.make_url("")), 9: str(nine.make_url(""))}
        Running("", session, config, stores).write(f"name: mesh, url: '{stores[7]}'")
        files = ConfigurationFiles(str(config), {}, {}, configured, dialect_files)
        settings, sources = files.load()
        settings = replace(settings, server=replace(settings.server, insecure_port=0))
        async with serving(settings, sources, Lifecycle(), files=files) as (url,):
            yield Running(url, session, config, stores)


async def test_a_source_that_is_written_anew_answers_without_a_restart(running: Running):
    assert await running.count() == "7"
    running.write(f"name: mesh, url: '{running.stores[9]}'")
    await running.until("9")


async def test_a_source_whose_credentials_cannot_be_had_now_comes_into_force(running: Running, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aiobotocore.utils.AioContainerMetadataFetcher.SLEEP_TIME", 0)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    running.config.write_text(
        running.config.read_text()
        + "- {name: signals, type: cloudwatch, source: application-signals, cluster: prod, region: eu-west-1}\n"
    )
    await running.until_told('trafficmetrics_source_circuit_open{source="signals"}')
    assert await running.count() == "7"
    async with running.session.get(f"{running.url}{GV}/namespaces/shop/deployments") as response:
        assert response.status == 200
        assert any("cannot be retrieved from container-role" in warning for warning in response.headers.getall("Warning"))


async def test_under_load_no_request_fails_while_sources_change_places(running: Running):
    answers: list[str] = []
    done = asyncio.Event()

    async def ask() -> None:
        while not done.is_set():
            answers.append(await running.count())

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask())
        for count in (9, 7, 9, 7):
            running.write(f"name: mesh, url: '{running.stores[count]}'")
            await running.until(str(count))
        done.set()
    assert set(answers) == {"7", "9"}


async def test_what_is_told_of_sources_is_told_of_those_in_force(running: Running):
    await running.count()
    assert 'trafficmetrics_source_up{source="mesh"} 1.0' in await running.text("/metrics")
    assert "source-mesh" in await running.text("/readyz?verbose")
    running.write(f"name: store, url: '{running.stores[9]}'")
    await running.until("9")
    await asyncio.sleep(0.1)
    metrics, ready = await running.text("/metrics"), await running.text("/readyz?verbose")
    assert 'source="mesh"' not in metrics
    assert "source-mesh" not in metrics
    assert 'trafficmetrics_source_up{source="store"} 1.0' in metrics
    assert ("source-mesh" in ready, "source-store" in ready) == (False, True)
    assert await running.text("/readyz/source-store") == "ok"
    listed = json.loads(await running.text(f"{GV}/sources"))
    assert [item["metadata"]["name"] for item in listed["items"]] == ["store"]


async def test_metrics_say_whether_the_configuration_on_disk_is_in_force(running: Running):
    name = "trafficmetrics_config_last_reload_successful"
    assert f"{name} 1.0" in await running.text("/metrics")
    running.config.write_text("backends: [")
    await running.until_told(f"{name} 0.0")
    assert await running.count() == "7"
    running.write(f"name: mesh, url: '{running.stores[9]}'")
    await running.until("9")
    await running.until_told(f"{name} 1.0")
