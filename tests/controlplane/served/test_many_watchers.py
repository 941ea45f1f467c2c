"""Many watchers: a thousand of them cost the source what one costs."""

from __future__ import annotations

import asyncio
import re
import time

import aiohttp
import pytest

from tests.controlplane.commands import LOOPBACK
from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV

pytestmark = pytest.mark.real

WATCHERS = 1_000
PATH = f"{GV}/namespaces/shop/trafficmetrics?watch=true"


async def queries(store: Prometheus) -> int:
    """How many queries the store has answered, as it counts them itself."""
    async with aiohttp.ClientSession() as session, session.get(f"{store.url}/metrics") as response:
        text = await response.text()
    found = re.findall(r'^prometheus_http_requests_total\{code="200",handler="/api/v1/query"\} (\S+)$', text, re.MULTILINE)
    return int(float(found[0])) if found else 0


async def test_a_thousand_watchers_cost_one_question_in_a_refresh(api: Api, prometheus: Prometheus):
    before = await queries(prometheus)
    await api.direct(f"{GV}/namespaces/shop/trafficmetrics?window=11s", user=ADMIN)
    for_one_answer = await queries(prometheus) - before
    assert for_one_answer > 0

    tls = api.server.tls(ADMIN)
    room = asyncio.Semaphore(50)
    request = f"GET {PATH} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()
    writers: list[asyncio.StreamWriter] = []

    async def watch() -> asyncio.StreamReader:
        async with room:
            reader, writer = await asyncio.open_connection(LOOPBACK, api.server.port, ssl=tls, server_hostname="localhost")
            writers.append(writer)
            writer.write(request)
            # The state has two rows.
            assert b"200" in await reader.readuntil(b"\r\n\r\n")
            text = b""
            while text.count(b'"type":"ADDED"') < 2:
                text += await reader.read(65_536)
            return reader

    try:
        await asyncio.gather(*(watch() for _ in range(WATCHERS)))
        gauge = f"trafficmetrics_watchers {WATCHERS:.1f}"
        assert gauge in (await api.direct("/metrics", user=ADMIN)).body.decode()
        start, before = time.monotonic(), await queries(prometheus)
        await asyncio.sleep(4)
        asked, seconds = await queries(prometheus) - before, time.monotonic() - start
    finally:
        for writer in writers:
            writer.transport.abort()
    # Answers are as of every second here.
    assert 2 * for_one_answer <= asked <= (seconds + 2) * for_one_answer
