"""More than can be served: who is refused, who is cut off, and who is served all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

import apiservice.app
from apiservice.app import AppOptions
from apiservice.connection import Bounds
from apiservice.telemetry import Telemetry
from metrics_api import ResourceRef
from tests.apiservice.asking import BASE, SHOP, client, status_of
from tests.apiservice.memory import Memory, total

ASK = f"GET {BASE}/deployments HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
LAST_CHUNK = b"0\r\n\r\n"
MANY = tuple(total(ResourceRef("Deployment", "shop", f"deployment-{number:05}"), number, 0) for number in range(20_000))
"""A list of more bytes than the kernel keeps for a connection nobody reads from."""


@asynccontextmanager
async def ignored(session: TestClient[Any, Any], request: bytes = ASK) -> AsyncIterator[asyncio.StreamReader]:
    """A client that asks, and does not read the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", session.port, limit=1024)
    try:
        writer.write(request)
        await asyncio.sleep(0.3)
        yield reader
    finally:
        writer.transport.abort()


async def served(session: TestClient[Any, Any], path: str) -> bool:
    """Whether there is room again, sooner or later."""
    for _ in range(200):
        response = await session.get(path)
        if response.status != 429:
            return response.status == 200
        await asyncio.sleep(0.05)
    return False


def counted(telemetry: Telemetry, name: str, **labels: str) -> float:
    """What a metric has counted of requests with these labels."""
    samples = (sample for metric in telemetry.registry.collect() for sample in metric.samples)
    return sum(sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items())


# Slots


async def test_a_slot_is_held_until_the_answer_is_sent_and_free_when_its_client_is_cut_off() -> None:
    options = AppOptions("0.1.0", max_in_flight=1)
    async with client(Memory(rows=MANY), options=options, bounds=Bounds(unread_time=1)) as session, ignored(session):
        response = await session.get(f"{SHOP}/deployments")
        assert (response.status, response.headers["Retry-After"]) == (429, "1")
        assert (await session.get("/livez")).status == 200
        assert await served(session, f"{SHOP}/deployments?limit=1")


async def test_a_refusal_for_want_of_room_is_counted() -> None:
    telemetry, service = Telemetry("0.1.0"), Memory(delay=60)
    async with client(service, options=AppOptions("0.1.0", max_in_flight=1), telemetry=telemetry) as session:
        waiting = asyncio.create_task(session.get(f"{SHOP}/deployments"))
        await service.arrivals.get()
        document = await status_of(await session.get(f"{SHOP}/deployments"))
        waiting.cancel()
    assert document["message"] == "the server is answering 1 requests already and cannot take more: try again in a second"
    assert counted(telemetry, "apiserver_request_terminations_total", verb="LIST", code="429") == 1


async def test_without_a_limit_there_is_always_room() -> None:
    service = Memory(delay=60)
    async with client(service, options=AppOptions("0.1.0", max_in_flight=0)) as session:
        waiting = [asyncio.create_task(session.get(f"{SHOP}/deployments?window={number}s")) for number in range(1, 10)]
        for _ in waiting:
            await service.arrivals.get()
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_body_that_never_ends_holds_its_slot_no_longer_than_the_request_may_take() -> None:
    async with client(options=AppOptions("0.1.0", max_in_flight=1)) as session:
        _, writer = await asyncio.open_connection("127.0.0.1", session.port)
        writer.write(
            f"GET {SHOP}/deployments?timeout=500ms HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )

        async def trickle() -> None:
            while True:
                writer.write(b"1\r\nx\r\n")
                await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        try:
            await asyncio.sleep(0.2)
            assert (await session.get(f"{SHOP}/deployments")).status == 429
            await asyncio.sleep(0.6)
            assert (await session.get(f"{SHOP}/deployments")).status == 200
        finally:
            trickling.cancel()
            writer.transport.abort()


async def test_watches_have_room_of_their_own() -> None:
    options = AppOptions("0.1.0", max_in_flight=1, max_watches=1, refresh=1)
    async with client(options=options) as session:
        async with session.get(f"{SHOP}/deployments?watch=true") as watch:
            assert watch.status == 200
            refused = await session.get(f"{SHOP}/deployments?watch=true")
            assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
            assert "1 watches already" in (await status_of(refused))["message"]
            assert (await session.get(f"{SHOP}/deployments")).status == 200
        assert await served(session, f"{SHOP}/deployments?watch=true&timeoutSeconds=1")


# Deadlines


async def test_a_watch_may_last_longer_than_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apiservice.app, "LONGEST_TIMEOUT", 0.2)
    async with client(options=AppOptions("0.1.0", refresh=1)) as session:
        response = await session.get(f"{SHOP}/deployments?watch=true&timeoutSeconds=1")
        start = asyncio.get_running_loop().time()
        await response.read()
        assert asyncio.get_running_loop().time() - start > 0.5


async def test_the_first_answer_of_a_watch_has_as_long_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apiservice.app, "LONGEST_TIMEOUT", 0.2)
    async with client(Memory(delay=60), options=AppOptions("0.1.0", refresh=1)) as session:
        document = await status_of(await session.get(f"{SHOP}/deployments?watch=true"))
    assert (document["code"], document["reason"]) == (504, "Timeout")


async def test_an_answer_that_is_read_too_slowly_is_broken_off_and_counted() -> None:
    telemetry = Telemetry("0.1.0")
    async with client(Memory(rows=MANY), telemetry=telemetry) as session:
        async with ignored(session, ASK.replace(b"deployments ", b"deployments?timeout=1s ")) as reader:
            await asyncio.sleep(1)
            with suppress(ConnectionResetError):
                assert not (await reader.read()).endswith(LAST_CHUNK)
        assert counted(telemetry, "apiserver_request_aborts_total", verb="LIST", resource="deployments") == 1
