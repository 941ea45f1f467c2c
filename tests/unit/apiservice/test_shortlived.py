"""What is remembered for some seconds leaves memory by itself: no question has to come for that."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from weakref import ref

import pytest

from apiservice.answers import Answers
from apiservice.bodies import Bodies
from apiservice.federation.fanout import Fanout
from apiservice.paging import Pager
from apiservice.shortlived import ShortLived
from apiservice.surfaces.reading import Reader

HOLDERS = {
    "answers": lambda: Answers(None, 5)._kept,  # type: ignore[arg-type]
    "bodies": lambda: Bodies()._kept,
    "pages": lambda: Pager()._kept,
    "samples": lambda: Fanout([])._kept,
    "sampled histories": lambda: Fanout([])._histories,
    "histories": lambda: Reader(None, None, None)._kept,  # type: ignore[arg-type]
}
"""Whoever remembers answers: each may hold a hundred megabytes."""


class Rows:
    """Something large."""


def cache(seconds: float = 0.05, clock: Callable[[], float] = time.monotonic) -> ShortLived[str, Rows]:
    return ShortLived(100, seconds, lambda _: 1, clock)


async def gone(thing: ref[Rows], within: float = 2) -> None:
    async with asyncio.timeout(within):
        while thing() is not None:  # noqa: ASYNC110 - memory tells nobody
            await asyncio.sleep(0.01)


async def test_what_is_over_leaves_memory_though_nobody_asks() -> None:
    kept, rows = cache(), Rows()
    kept["web"], there = rows, ref(rows)
    del rows
    assert kept.get("web") is there()
    await gone(there)


async def test_what_comes_later_leaves_too() -> None:
    kept = cache()
    for name in ("web", "api"):
        kept[name] = rows = Rows()
        there = ref(rows)
        del rows
        await gone(there)


async def test_what_is_not_over_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apiservice.shortlived.PERIOD", 0.01)
    now = 0.0
    kept = cache(10, lambda: now)
    kept["web"] = rows = Rows()
    await asyncio.sleep(0.1)
    assert kept.get("web") is rows
    there, now = ref(rows), 11.0
    del rows
    await gone(there)


async def test_a_cache_that_nobody_needs_any_more_is_not_kept() -> None:
    kept = cache(60)
    kept["web"] = rows = Rows()
    caches, there = ref(kept), ref(rows)
    del kept, rows
    gc.collect()
    assert (caches(), there()) == (None, None)


async def test_others_have_their_turn_while_much_is_let_go() -> None:
    left = 200

    class Slow:
        def __del__(self) -> None:
            nonlocal left
            left -= 1
            time.sleep(0.002)

    kept: ShortLived[int, Slow] = ShortLived(1_000, 0.05, lambda _: 1)
    for number in range(left):
        kept[number] = Slow()
    longest = 0.0
    async with asyncio.timeout(10):
        while left:
            before = time.monotonic()
            await asyncio.sleep(0)
            longest = max(longest, time.monotonic() - before)
    assert longest < 0.2


def test_it_remembers_without_an_event_loop() -> None:
    kept, rows = cache(60), Rows()
    kept["web"] = rows
    assert kept.get("web") is rows


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
async def test_whoever_remembers_answers_does_so(holder: Callable[[], object]) -> None:
    assert isinstance(holder(), ShortLived)
