"""Doing several things at once, all or nothing."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from contextlib import suppress

import pytest

from metrics_api import BadQuery, aside, together


async def value(number: int, after: asyncio.Event | None = None) -> int:
    if after is not None:
        await after.wait()
    return number


async def test_results_come_in_the_order_of_the_calls():
    late = asyncio.Event()

    async def first() -> int:
        late.set()
        return 1

    assert await together(value(0, late), first()) == [0, 1]


async def test_the_first_error_is_raised_as_it_is_and_the_others_have_ended():
    ended = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def wrong() -> None:
        await asyncio.sleep(0)
        raise BadQuery("no")

    with pytest.raises(BadQuery, match="no"):
        await together(endless(), wrong())
    assert ended == [True]


async def test_an_error_is_gone_when_it_is_dealt_with():
    """It holds on to all there was where it happened, which may be a large answer; so nothing may go in circles."""
    seen: list[weakref.ref[BaseException]] = []

    async def wrong() -> None:
        error = BadQuery("no")
        seen.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        with suppress(BadQuery):
            await together(wrong(), wrong())
        await asyncio.sleep(0)
        assert [error() for error in seen] == [None, None]
    finally:
        gc.enable()


async def test_no_calls_have_no_results():
    assert await together() == []


@pytest.mark.parametrize(("size", "elsewhere"), [(10, False), (100_000, True)], ids=["small", "large"])
async def test_large_work_leaves_others_their_turn(size: int, elsewhere: bool):  # noqa: FBT001 a case
    assert (await aside(size, threading.get_ident) != threading.get_ident()) is elsewhere
