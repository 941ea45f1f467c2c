"""Abuse of the real server behind a real kube-apiserver: nothing of it is left, in its answers to others as in its memory."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutation import changed
from tests.fuzz.wire import PATIENCE, Connection

pytestmark = pytest.mark.real

SEED = os.environ.get("TRAFFICMETRICS_FUZZ_SEED", "1795300000")


class Held(NamedTuple):
    """What a process has: open descriptors, and resident bytes."""

    descriptors: int
    resident: int


def held(pid: int) -> Held:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return Held(sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()), pages * os.sysconf("SC_PAGE_SIZE"))


async def settled(pid: int, descriptors: int) -> Held:
    """What it has as soon as it has no more descriptors than that, or when it had time enough to close them."""
    for _ in range(int(PATIENCE * 10)):
        if held(pid).descriptors <= descriptors:
            break
        await asyncio.sleep(0.1)
    return held(pid)


def mutate(api: Api, amount: int) -> None:
    """Requests with changed bytes, over TLS."""
    generator, context = random.Random(SEED), api.server.tls()
    for _ in range(amount):
        with Connection(api.server.port, context) as connection:
            connection.send(changed(generator))


def disturb(api: Api, amount: int) -> None:
    """Connections that end before, in or after what is no handshake."""
    generator = random.Random(SEED)
    for _ in range(amount):
        with socket.create_connection(("127.0.0.1", api.server.port), PATIENCE) as connection:
            connection.sendall(b"\x16\x03\x01" * generator.randrange(2) + generator.randbytes(generator.randrange(300)))
            if generator.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


async def test_the_server_is_none_the_worse_for_abuse(api: Api):
    port, pid, logged = api.server.port, api.server.daemon.pid, api.server.daemon.printed()
    admin, nobody = api.server.tls(ADMIN), api.server.tls()
    campaigns = [
        Campaign.over(lambda: Connection(port, admin), SEED, knowing=False),
        Campaign.over(lambda: Connection(port, nobody), SEED, knowing=False, asking=lambda: Connection(port, admin)),
    ]

    async def abuse(requests: int) -> None:
        for campaign in campaigns:
            await asyncio.to_thread(campaign.run, requests)
            campaign.close()
        await asyncio.gather(asyncio.to_thread(mutate, api, requests // 4), asyncio.to_thread(disturb, api, requests))

    idle = held(pid).descriptors
    await abuse(400)
    before = await settled(pid, idle)
    await abuse(1_000)
    after = await settled(pid, before.descriptors)

    by_admin, by_nobody = (campaign.statuses for campaign in campaigns)
    assert by_admin[200] > 200
    assert by_nobody[403] > 500
    assert after.descriptors <= before.descriptors + 2
    assert after.resident - before.resident < 48 * 1024 * 1024
    assert (await api.direct("/livez")).body == b"ok"
    assert "web" in await api.prints("get", "deployments.metrics.smi-spec.io", "-n", "shop")
    log = api.server.daemon.tail(lines=100_000, since=logged)
    assert "Traceback" not in log
    assert "Exception ignored" not in log
