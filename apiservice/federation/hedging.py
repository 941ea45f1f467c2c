"""Hedging: asking a second time what takes long, because of two askings of the same one may be stuck where the other is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["hedged"]

T = TypeVar("T")


async def hedged(ask: Callable[[], Awaitable[T]], after: float, hedge: Callable[[], None]) -> T:
    """The outcome of ``ask``, which is called a second time when there is none within ``after`` seconds; 0 is never.

    ``hedge`` is called when that happens. The first to succeed gives the outcome; the other is cancelled, and has ended when this returns.
    When both fail, the error is that of the first that was asked. Whoever cancels the call cancels both.
    """
    if not after:
        return await ask()
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_outcome(ask))]
        await asyncio.wait(asked, timeout=after)
        if not asked[0].done():
            hedge()
            asked.append(group.create_task(_outcome(ask)))
            await _one_succeeds(asked)
        for task in asked:
            task.cancel()
    outcomes = [task.result() for task in asked if not task.cancelled()]
    values = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    if values:
        return values[0][0]
    errors = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    try:
        raise errors[0] if errors else asyncio.CancelledError
    finally:
        # An error refers to this frame, and would be kept by what refers to the error here.
        del asked, task, outcomes, errors


async def _one_succeeds(asked: list[asyncio.Task[tuple[T] | Exception]]) -> None:
    """Wait until one of them has, or none can any more."""
    pending = set(asked)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if any(not task.cancelled() and not isinstance(task.result(), Exception) for task in done):
            return


async def _outcome(ask: Callable[[], Awaitable[T]]) -> tuple[T] | Exception:
    """What becomes of one asking; an error that left the task would cancel the other one."""
    try:
        return (await ask(),)
    except Exception as error:  # noqa: BLE001
        return error
