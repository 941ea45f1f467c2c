"""Informers: the clients controllers and dashboards are built on keep a true copy of the traffic, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.informers import Listener, Told, run_informer
from tests.controlplane.served.harbour import HARBOUR, WATCHER, Harbour, quiet
from tests.controlplane.served.python_clients import run_shared_informer, run_watch_loop
from tests.controlplane.served.relay import Relay

pytestmark = pytest.mark.real

RESOURCE = "deployments.v1alpha1.metrics.smi-spec.io"
CALM, FERRY, RAFT = (f"{HARBOUR}/{name}" for name in ("calm", "ferry", "raft"))
GO = {"streaming": {"streaming": True}, "listing": {"streaming": False}, "metadata": {"metadata": True}}
"""The ways client-go's informers are run."""
PYTHON = {"python": run_shared_informer, "asyncio": run_watch_loop}
MODES = [*GO, *PYTHON]


@dataclass(frozen=True, slots=True)
class Follower:
    """One who keeps a copy, and what passes its requests on."""

    listener: Listener
    relay: Relay


def kubeconfig(relay: Relay, directory: Path) -> Path:
    file = directory / "kubeconfig"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "relay",
        "clusters": [{"name": "relay", "cluster": {"server": relay.url}}],
        "contexts": [{"name": "relay", "context": {"cluster": "relay", "user": ""}}],
    }
    file.write_text(json.dumps(document))
    return file


@pytest.fixture(scope="module")
async def followers(
    harbour: Harbour, informer: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Follower]]:
    """One of each mode, synced."""
    plane = harbour.api.plane
    async with AsyncExitStack() as stack:
        running = {}
        for mode in MODES:
            relay = await stack.enter_async_context(Relay(plane.url, plane.tls(WATCHER)).served())
            if mode in GO:
                directory = tmp_path_factory.mktemp(mode)
                log = directory / f"{mode}.log"
                following = run_informer(informer, kubeconfig(relay, directory), log, RESOURCE, HARBOUR, **GO[mode])
            else:
                following = PYTHON[mode](relay.url, HARBOUR, "deployments")
            running[mode] = Follower(await stack.enter_async_context(following), relay)
            # A watch is left when its server ends it.
            stack.callback(relay.close)
        for follower in running.values():
            await follower.listener.until("synced")
        # A watch that ends within a second, with nothing told, is a failure to client-go: it would list again.
        await asyncio.sleep(1.2)
        yield running


@pytest.mark.parametrize("mode", MODES)
async def test_it_begins_with_what_there_is(followers: dict[str, Follower], mode: str):
    *rows, synced = followers[mode].listener.told()[:4]
    assert ([row.event for row in rows], synced.event) == (["added"] * 3, "synced")
    assert {row.key for row in rows} == {CALM, FERRY, RAFT}
    if mode == "metadata":
        assert all(row.object.keys() == {"metadata"} for row in rows)
    else:
        assert all(quiet(row.object) for row in rows)


async def test_it_begins_the_way_it_is_meant_to(followers: dict[str, Follower]):
    streaming, listing = followers["streaming"].relay, followers["listing"].relay
    assert [query.get("sendInitialEvents") for query in streaming.watches] == ["true"]
    assert [query.get("sendInitialEvents") for query in listing.watches] == [None]
    assert (len(streaming.lists), len(listing.lists)) == (0, 1)


async def test_it_hears_of_a_change_and_of_nothing_else(harbour: Harbour, followers: dict[str, Follower]):
    marks = marked(followers)
    await harbour.sink()
    await heard_of_the_ferry(followers, marks, harbour.turn())
    for mode, follower in followers.items():
        await follower.listener.until("deleted", RAFT, marks[mode])
        told = follower.listener.told(marks[mode])
        assert {(each.event, each.key) for each in told if each.event != "updated"} == {("deleted", RAFT)}, mode
        versions = [int(each.version) for each in told]
        assert versions == sorted(versions), mode
        if mode != "metadata":
            assert repeated(follower.listener.told()) == [], mode


def repeated(told: list[Told]) -> list[Told]:
    """What was said of an object though nothing had changed since it was last spoken of."""
    known: dict[str, Any] = {}
    found = []
    for each in told:
        if each.event in ("added", "updated"):
            if known.get(each.key) == each.object["metrics"]:
                found.append(each)
            known[each.key] = each.object["metrics"]
        else:
            known.pop(each.key, None)
    return found


def marked(followers: dict[str, Follower]) -> dict[str, int]:
    """What each informer has been told."""
    return {mode: follower.listener.mark() for mode, follower in followers.items()}


async def heard_of_the_ferry(
    followers: dict[str, Follower], marks: dict[str, int], changed: Callable[[Mapping[str, Any]], bool]
) -> None:
    """Waits until all informers have been told of the ferry's traffic; metadata say only that there is something new."""
    for mode, follower in followers.items():
        await follower.listener.until("updated", FERRY, marks[mode], (lambda _: True) if mode == "metadata" else changed)


async def test_it_goes_on_where_its_watch_was_broken_off(harbour: Harbour, followers: dict[str, Follower]):
    marks = marked(followers)
    before = {mode: len(follower.relay.afresh) for mode, follower in followers.items()}
    for follower in followers.values():
        follower.relay.cut()
    await harbour.build()
    await heard_of_the_ferry(followers, marks, harbour.turn())
    for mode, follower in followers.items():
        await follower.listener.until("added", RAFT, marks[mode])
        told = follower.listener.told(marks[mode])
        assert {(each.event, each.key) for each in told if each.event != "updated"} == {("added", RAFT)}, mode
        assert len(follower.relay.afresh) == before[mode], mode


async def test_it_starts_afresh_when_nobody_knows_what_it_missed(harbour: Harbour, followers: dict[str, Follower]):
    marks = marked(followers)
    before = {mode: len(follower.relay.afresh) for mode, follower in followers.items()}
    for follower in followers.values():
        follower.relay.cut(ageing=True)
    await heard_of_the_ferry(followers, marks, harbour.turn())
    for mode, follower in followers.items():
        assert len(follower.relay.afresh) == before[mode] + 1, mode
        assert {each.event for each in follower.listener.told(marks[mode])} == {"updated"}, mode


async def test_it_goes_on_when_the_server_was_restarted(harbour: Harbour, followers: dict[str, Follower]):
    marks = marked(followers)
    before = {mode: len(follower.relay.asked) for mode, follower in followers.items()}
    await harbour.api.server.restart()
    await heard_of_the_ferry(followers, marks, harbour.turn())
    for mode, follower in followers.items():
        assert {each.event for each in follower.listener.told(marks[mode])} <= {"updated", "failed"}, mode
        # While there is nobody client-go tries with growing pauses, as with any server; SharedInformer does without pauses.
        assert len(follower.relay.asked) - before[mode] < 20 or mode == "python", mode
