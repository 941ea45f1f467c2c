"""Whatever becomes of one source, under load: answers stay right for what remains, say what they lack, and are soon whole again."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Awaitable, Callable

import pytest

from tests.doubles.line import State
from tests.federation.facts import EAST, PROXIES, SOURCES, WEST
from tests.federation.load import Load, under_load
from tests.federation.rig import REFRESH, TIMEOUT, WINDOW, Rig
from tests.federation.verdict import judge, one

pytestmark = pytest.mark.real

NAMES = [source.name for source in SOURCES]

OWN = {source.name: one(source.flows[0].server) for source in SOURCES}
"""Of each source what no other knows."""

RECOVERY = 2 * REFRESH + 0.3
"""Seconds: what was answered in one refresh is kept to its end, and within the next one a probe finds the source well again."""

Change = Callable[[], Awaitable[None]]


async def recovers(load: Load, restore: Change, within: float = RECOVERY) -> None:
    """All is well again, and all answers are soon."""
    await restore()
    took = await load.recovered()
    load.calm = True
    assert took < within, f"recovered after {took:.2f}s: {load.outcomes}"


def right(load: Load) -> None:
    """Nothing was wrong with any answer, and there were many."""
    assert not load.complaints, "\n".join(dict.fromkeys(load.complaints))
    assert sum(load.outcomes.values()) > 10, load.outcomes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("state", [State.CUT, State.STALLED, State.CORRUPTED])
async def test_what_remains_is_right_and_the_rest_comes_back(rig: Rig, name: str, state: State) -> None:
    async with under_load(rig) as load:
        load.calm = False
        await rig.disturb(name, state)
        await load.noticed()
        # Asked like this for the first time; of what was scraped a part is remembered.
        reply = await rig.ask(OWN[name].path, window=f"{WINDOW + 1}s")
        assert reply.status in ((503, 504) if name != PROXIES.name else (200,)), reply
        assert judge(OWN[name], reply).complaints == ()
        await recovers(load, lambda: rig.restore(name))
    right(load)


async def test_a_store_that_was_killed_is_asked_again_when_it_is_back(rig: Rig) -> None:
    store = rig.stores[EAST.name]
    async with under_load(rig) as load:
        load.calm = False
        await store.kill()
        await load.noticed()
        await recovers(load, store.start)
    right(load)


async def test_answers_of_slow_sources_lack_nothing(rig: Rig) -> None:
    async with under_load(rig) as load:
        for name in NAMES:
            await rig.disturb(name, State.LATE)
            await asyncio.sleep(REFRESH / 2)
            await rig.restore(name)
    right(load)
    assert set(load.outcomes) == {"whole"}


async def test_one_row_does_not_wait_for_a_source_that_stalls_and_cannot_change_it(rig: Rig) -> None:
    web = one(("shop", "web"))

    async def seconds(windows: range) -> list[float]:
        """Of questions that nobody has asked yet."""
        taken = []
        for window in windows:
            reply = await rig.ask(web.path, window=f"{window}s")
            assert judge(web, reply).complaints == ()
            taken.append(reply.seconds)
        return taken

    before = await seconds(range(20, 40))
    await rig.disturb(WEST.name, State.STALLED)
    try:
        meanwhile = await seconds(range(40, 60))
    finally:
        await rig.restore(WEST.name)
        await Load(rig).recovered()
    assert statistics.median(meanwhile) < 5 * statistics.median(before) + TIMEOUT / 20
    assert max(meanwhile) < TIMEOUT


async def test_without_any_source_there_is_an_error_and_never_an_empty_list(rig: Rig) -> None:
    async with under_load(rig) as load:
        load.calm = False
        for name in NAMES:
            await rig.disturb(name, State.CUT)
        # What was scraped counts for as long as it lies in the window.
        async with asyncio.timeout(8):
            while (await rig.ask("/deployments", window="1s")).status == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        for path in ("/deployments", "/trafficmetrics", "/namespaces/shop/deployments", "/namespaces/shop/deployments/web/edges"):
            reply = await rig.ask(path, window="1s")
            assert (reply.status, reply.document["kind"], "items" in reply.document) == (503, "Status", False), (path, reply)
            assert reply.document["details"]["retryAfterSeconds"] > 0
        opened = await rig.circuits()
        # The gap in what was scraped has to leave the window.
        await recovers(load, lambda: rig.restore(*NAMES), RECOVERY + WINDOW)
    right(load)
    # The one that scrapes still answers questions about longer windows.
    assert opened.items() >= {name: 1.0 for name in NAMES if name != PROXIES.name}.items()
    assert await rig.circuits() == dict.fromkeys(NAMES, 0.0)
