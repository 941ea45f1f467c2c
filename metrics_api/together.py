"""Doing several things at once, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["aside", "together"]

T = TypeVar("T")

_MANY = 5_000


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """The results of all calls, in order.

    The first error cancels the others, waits until they have ended, and is raised as it is, not inside a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [task.result() for task in tasks]


async def aside(size: int, work: Callable[[], T]) -> T:
    """The result of ``work``; done in a thread when it is about ``size`` > 5 000 rows, so that others get their turn meanwhile.

    A large answer takes hundreds of milliseconds to put together, and health is asked for in between.
    """
    return await asyncio.to_thread(work) if size > _MANY else work()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
