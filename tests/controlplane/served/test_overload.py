"""Too much at once: who asks in vain is told so, who has gone is not worked for, and the server is well all the while."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.server import GV, configured, run_server
from tests.doubles.sluggish import Sluggish, run_sluggish

pytestmark = pytest.mark.real

TRAFFIC = f"{GV}/trafficmetrics"


@pytest.fixture(scope="module")
async def store() -> AsyncIterator[Sluggish]:
    """A store whose answers tests hold back; they let it go in the end."""
    async with run_sluggish() as running:
        yield running


@pytest.fixture(scope="module")
async def busy(api: Api, store: Sluggish, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """The API served from that store, to kube-apiserver too."""
    async with run_server(api.plane, tmp_path_factory.mktemp("busy"), configured(api.plane, store.url)) as server:
        busy = Api(api.plane, server)
        store.go.set()
        await busy.register()
        yield busy
        await api.register()


@pytest.fixture
async def held(store: Sluggish) -> AsyncIterator[Sluggish]:
    """The store, holding back its answers."""
    store.go.clear()
    store.given_up = 0
    yield store
    store.go.set()
    await store.until(lambda store: not store.waiting)


# Every question has a window of its own, so that no test waits for the answer to another.


@pytest.mark.parametrize("direct", [True, False], ids=["directly", "through kube-apiserver"])
async def test_nothing_is_worked_on_for_a_client_that_has_gone(busy: Api, held: Sluggish, *, direct: bool):
    path = f"{TRAFFIC}?window={61 if direct else 62}s"
    asking = asyncio.create_task(busy.direct(path, user=ADMIN) if direct else busy.proxied(path))
    await held.until(lambda store: store.waiting > 0)
    asking.cancel()
    await held.until(lambda store: store.waiting == 0, patience=2)
    assert held.given_up


@pytest.mark.parametrize("leaving", [0, 1], ids=["the first goes", "the second goes"])
async def test_one_of_two_who_ask_the_same_goes_and_the_other_is_answered(busy: Api, held: Sluggish, leaving: int):
    path = f"{TRAFFIC}?window={63 + leaving}s"
    asking = []
    for _ in range(2):
        asking.append(asyncio.create_task(busy.direct(path, user=ADMIN)))
        await held.until(lambda store: store.waiting > 0)
        await asyncio.sleep(0.3)
    gone = asking.pop(leaving)
    gone.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await gone
    await held.until(lambda store: store.waiting > 0)
    assert not asking[0].done()
    held.go.set()
    assert (await asking[0]).status == 200


async def test_of_two_thousand_lists_some_are_told_to_come_back_and_nothing_else_suffers(busy: Api, held: Sluggish):
    tls = busy.server.tls(ADMIN)
    before = memory(busy.server.daemon.pid)
    seen: Counter[int] = Counter()
    waits: set[str | None] = set()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=tls)) as session:

        async def ask(number: int) -> None:
            async with session.get(f"{busy.server.url}{TRAFFIC}?window={number % 900 + 100}s") as response:
                await response.read()
                seen[response.status] += 1
                if response.status == 429:
                    waits.add(response.headers.get("Retry-After"))

        asking = [asyncio.create_task(ask(number)) for number in range(2000)]
        await held.until(lambda _: seen[429] > 0, patience=60)
        for path in ("/livez", "/readyz", GV, "/openapi/v3"):
            reply = await busy.direct(path, user=ADMIN)
            assert reply.status == 200, path
        held.go.set()
        await asyncio.gather(*asking)
        assert set(seen) == {200, 429}
        # No more than there is room for were answered until the store let go.
        assert seen[200] >= 400
        assert waits == {"1"}
        async with session.get(f"{busy.server.url}{TRAFFIC}?window=65s") as response:
            assert response.status == 200
    assert memory(busy.server.daemon.pid) - before < 200 * 1024 * 1024


def memory(pid: int) -> int:
    """Bytes of memory a process has in use."""
    return 1024 * int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1])  # type: ignore[index]
