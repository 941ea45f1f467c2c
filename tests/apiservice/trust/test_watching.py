"""A change of whom the cluster trusts is told as soon as it is published, and a watch that fails costs nothing but time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from apiservice.identity import TrustOverrides, TrustSource
from apiservice.kube import Event, KubeClient
from tests.apiservice.trust.published import CLIENTS, PROXIES, PUBLISHED
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock
from tests.doubles.kube import CONFIG_MAP, CONFIG_MAPS, Failure, KubeDouble


@asynccontextmanager
async def watching(source: TrustSource, kube: KubeDouble) -> AsyncIterator[asyncio.Future[None]]:
    """Read once, and watched from then on."""
    await source.start()
    source.changed.clear()
    following = asyncio.ensure_future(source.keep_watching())
    try:
        async with asyncio.timeout(10):
            await kube.until_watched()
            yield following
    finally:
        following.cancel()
        await asyncio.wait([following])


def rotated(kube: KubeDouble) -> Authority:
    """A new front proxy authority, published beside the old one."""
    added = Authority("front-proxy-ca")
    kube.publish_trust(**PUBLISHED | {"requestheader_client_ca_file": PROXIES.pem + added.pem})
    return added


async def test_a_rotation_is_known_as_soon_as_it_is_published(source: TrustSource, kube: KubeDouble, clock: ManualClock) -> None:
    async with watching(source, kube):
        added = rotated(kube)
        await source.changed.wait()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem + added.pem
    assert (kube.calls[CONFIG_MAP], clock.slept) == (1, [])


async def test_only_the_one_object_the_role_allows_is_watched(source: TrustSource, kube: KubeDouble) -> None:
    async with watching(source, kube):
        listed, watched = kube.queries[-2:]
    assert listed == {"fieldSelector": "metadata.name=extension-apiserver-authentication"}
    assert watched == listed | {"resourceVersion": "77", "watch": "true", "timeoutSeconds": "240"}


async def test_what_is_watched_and_did_not_change_is_no_change(source: TrustSource, kube: KubeDouble) -> None:
    async with watching(source, kube):
        before = source.current
        kube.publish_trust(**PUBLISHED)
        added = rotated(kube)
        await source.changed.wait()
        assert source.current.authorities.endswith(added.pem)
        source.changed.clear()
        assert before.clients is source.current.clients
    assert not source.changed.is_set()


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(None, id="ended"),
        pytest.param(b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old resource version"}}\n', id="gone"),
        pytest.param(b"<html>\n", id="garbage"),
        pytest.param(b'{"type":"MODIFIED","object":[]}\n', id="no-object"),
    ],
)
async def test_a_watch_that_ends_is_begun_anew_and_misses_nothing(
    source: TrustSource, kube: KubeDouble, clock: ManualClock, end: bytes | None
) -> None:
    async with watching(source, kube):
        watchers, kube.watchers = kube.watchers, []
        added = rotated(kube)
        kube.watchers = watchers
        kube.tell_bytes(end)
        await source.changed.wait()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem + added.pem
    assert len(clock.slept) == 1


@pytest.mark.parametrize("failure", [Failure(403, "watch is forbidden"), Failure(500), Failure(0)], ids=["403", "500", "broken"])
async def test_a_watch_that_is_refused_is_asked_for_ever_more_slowly_and_told_once(
    source: TrustSource, kube: KubeDouble, clock: ManualClock, failure: Failure, caplog: pytest.LogCaptureFixture
) -> None:
    kube.fail(CONFIG_MAPS, *[failure] * 8)
    async with watching(source, kube):
        added = rotated(kube)
        await source.changed.wait()
        assert source.current.authorities.endswith(added.pem)
    # aiohttp's client tries a broken connection twice by itself.
    assert len(clock.slept) == (8 if failure.status else 4)
    for slept, least in zip(clock.slept, [1, 2, 4, 8, 16, 30, 30, 30], strict=False):
        assert least <= slept <= least * 1.5
    assert caplog.text.count("cannot be watched, it is only read every minute now") == 1


async def test_a_deleted_configmap_changes_nothing(source: TrustSource, kube: KubeDouble) -> None:
    async with watching(source, kube):
        kube.tell("DELETED", {"metadata": {"name": "extension-apiserver-authentication"}, "data": {}})
        added = rotated(kube)
        await source.changed.wait()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem + added.pem


async def test_another_configmap_is_not_believed(source: TrustSource, kube: KubeDouble) -> None:
    async with watching(source, kube):
        kube.tell("MODIFIED", {"metadata": {"name": "other"}, "data": {"client-ca-file": Authority("evil").pem}})
        added = rotated(kube)
        await source.changed.wait()
    assert source.current.authorities == CLIENTS.pem + PROXIES.pem + added.pem


async def test_broken_values_that_are_watched_are_told_and_not_taken(
    source: TrustSource, kube: KubeDouble, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(source, kube):
        kube.publish_trust(**PUBLISHED | {"requestheader_allowed_names": "["})
        added = rotated(kube)
        await source.changed.wait()
    assert source.current.authorities.endswith(added.pem)
    assert "requestheader-allowed-names" in caplog.text


async def test_nothing_is_watched_when_nothing_of_the_configmap_is_used(
    client: KubeClient, kube: KubeDouble, clock: ManualClock
) -> None:
    await TrustSource(client, TrustOverrides(skip_lookup=True), clock).keep_watching()
    assert not kube.calls


class Racing:
    """A reader whose document is an old one by the time it arrives, because a watch has told a newer one meanwhile."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.asked = asyncio.Event()
        self.old = _document(PUBLISHED)
        self.new = _document(PUBLISHED | {"requestheader_client_ca_file": CLIENTS.pem})

    async def get_json(self, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:  # noqa: ARG002
        if params:
            return {"items": []}
        self.asked.set()
        await self.told.wait()
        return self.old

    async def watch(self, path: str, params: Mapping[str, str], lifetime: float) -> AsyncGenerator[Event, None]:  # noqa: ARG002
        await self.asked.wait()
        yield Event("MODIFIED", self.new)
        await asyncio.Event().wait()


def _document(data: Mapping[str, str]) -> dict[str, Any]:
    named = {key.replace("_", "-"): value for key, value in data.items()}
    return {"metadata": {"name": "extension-apiserver-authentication"}, "data": named}


async def test_a_slow_reading_does_not_undo_what_the_watch_told(clock: ManualClock) -> None:
    racing = Racing()
    source = TrustSource(racing, TrustOverrides(), clock)
    following = asyncio.ensure_future(source.keep_watching())
    await asyncio.sleep(0.05)
    reading = asyncio.ensure_future(source.read())
    await asyncio.sleep(0.05)
    racing.told.set()
    try:
        async with asyncio.timeout(10):
            await reading
            while source.current.authorities != CLIENTS.pem * 2:
                await source.changed.wait()
                source.changed.clear()
    finally:
        following.cancel()
        await asyncio.wait([following])
