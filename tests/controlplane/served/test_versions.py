"""Versions: whatever one replica has said, another one goes on from. A version is the instant the numbers are of."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.controlplane.plane import ADMIN
from tests.controlplane.served.api import Api
from tests.controlplane.served.prometheus import Prometheus
from tests.controlplane.served.server import GV, Server, configured, run_server

pytestmark = pytest.mark.real

PODS = f"{GV}/pods"
TRAFFIC = f"{GV}/trafficmetrics"


class Replicas(NamedTuple):
    """Two servers with one certificate, as a Deployment of two has it, and a stranger who has made its own."""

    one: Api
    other: Api
    stranger: Api


@pytest.fixture(scope="module")
async def replicas(api: Api, prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Replicas]:
    directory = tmp_path_factory.mktemp("one")
    async with run_server(api.plane, directory, configured(api.plane, prometheus.url)) as one:
        shared = configured(api.plane, prometheus.url) | {"server": {"certDir": str(directory / "serving")}}
        other = Server(api.plane, tmp_path_factory.mktemp("other"), shared)
        try:
            await _until_ready(other, one)
            yield Replicas(Api(api.plane, one), _Sharing(api, other, one), api)
        finally:
            await other.daemon.stop()


class _Sharing(Api):
    """A server that has the certificate of another one."""

    def __init__(self, api: Api, server: Server, owner: Server) -> None:
        super().__init__(api.plane, server)
        self._owner = owner

    async def direct(self, path: str, **options: Any) -> Any:
        """See :class:`Api`; the owner knows whom to trust."""
        options["tls"] = self._owner.tls(options.pop("user", None))
        return await super().direct(path, **options)


async def _until_ready(server: Server, owner: Server) -> None:
    for _ in range(600):
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/readyz", ssl=owner.tls()) as response:
                if response.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    pytest.fail(f"the second replica did not get ready:\n{server.daemon.tail()}")


async def document(api: Api, path: str) -> Any:
    reply = await api.direct(path, user=ADMIN)
    assert reply.status == 200, reply.document
    return reply.document


def rows(lists: list[Any]) -> list[tuple[str, str, str]]:
    return [
        (item["metadata"]["namespace"], item["metadata"]["name"], item["timestamp"])
        for document in lists
        for item in document["items"]
    ]


async def test_pages_may_come_from_different_replicas(replicas: Replicas):
    whole = await document(replicas.one, PODS)
    turns = [replicas.one, replicas.other]
    pages = [await document(turns[0], f"{PODS}?limit=2")]
    while token := pages[-1]["metadata"].get("continue"):
        pages.append(await document(turns[len(pages) % 2], f"{PODS}?limit=2&continue={token}"))
    assert len(pages) > 2
    assert [row[:2] for row in rows(pages)] == [row[:2] for row in rows([whole])]
    # All of one instant.
    assert len({row[2] for row in rows(pages)}) == 1
    assert len({page["metadata"]["resourceVersion"] for page in pages}) == 1


async def test_a_page_of_a_stranger_has_expired(replicas: Replicas):
    token = (await document(replicas.one, f"{PODS}?limit=2"))["metadata"]["continue"]
    reply = await replicas.stranger.direct(f"{PODS}?limit=2&continue={token}", user=ADMIN)
    assert (reply.status, reply.document["reason"]) == (410, "Expired")


async def test_a_token_that_was_changed_is_refused(replicas: Replicas):
    token = (await document(replicas.one, f"{PODS}?limit=2"))["metadata"]["continue"]
    # The last part is the signature.
    forged = token[:-4] + ("AAAA" if not token.endswith("AAAA") else "BBBB")
    reply = await replicas.one.direct(f"{PODS}?limit=2&continue={forged}", user=ADMIN)
    assert (reply.status, reply.document["message"]) == (400, "continue key is not valid")


async def test_a_list_of_one_replica_can_be_had_again_from_the_other(replicas: Replicas):
    first = await document(replicas.one, TRAFFIC)
    await asyncio.sleep(2)
    version = first["metadata"]["resourceVersion"]
    again = await document(replicas.other, f"{TRAFFIC}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert again["metadata"]["resourceVersion"] == version
    assert [(item["metadata"]["name"], item["metrics"]) for item in again["items"]] == [
        (item["metadata"]["name"], item["metrics"]) for item in first["items"]
    ]


async def test_a_list_is_never_older_than_what_was_seen_elsewhere(replicas: Replicas):
    version = (await document(replicas.one, TRAFFIC))["metadata"]["resourceVersion"]
    later = await document(replicas.other, f"{TRAFFIC}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")
    assert int(later["metadata"]["resourceVersion"]) >= int(version)


@pytest.mark.parametrize(
    ("version", "code"),
    [pytest.param(lambda: time.time() + 60, 504, id="of the future"), pytest.param(lambda: time.time() - 600, 410, id="long past")],
)
async def test_a_version_nobody_can_have_is_refused(replicas: Replicas, version: Any, code: int):
    reply = await replicas.one.direct(f"{TRAFFIC}?resourceVersion={int(version())}&resourceVersionMatch=Exact", user=ADMIN)
    assert reply.status == code


async def test_a_watch_goes_on_at_another_replica(replicas: Replicas):
    version = (await document(replicas.one, f"{TRAFFIC}?fieldSelector=resource.name=web"))["metadata"]["resourceVersion"]
    path = (
        f"{TRAFFIC}?fieldSelector=resource.name=web&watch=true&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion={version}"
    )
    reply = await replicas.other.direct(path, user=ADMIN)
    events = [json.loads(line) for line in reply.body.splitlines()]
    # The traffic is steady, so there is nothing to tell but how far the watch has come.
    assert [event["type"] for event in events] == ["BOOKMARK"]
    assert int(events[0]["object"]["metadata"]["resourceVersion"]) > int(version)
