"""Doing several things at once, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["aside", "together"]

T = TypeVar("T")

_MANY = 1_000


async def together(*calls: Coroutine[Any, Any, T]) -> list[T]:
    """The results of all calls, in order.

    The first error cancels the others, waits until they have ended, and is raised as it is, not inside a group.
    """
    try:
        return await _grouped(calls)
    except BaseExceptionGroup as errors:
        failure = _first(errors)
        # A frame of the task group knows the group of errors, which knows that frame by its traceback: such garbage holds itself.
        errors.__traceback__ = None
    try:
        # Raised in the handler it would have the group for its context, and be held by it.
        raise failure
    finally:
        del failure


async def aside(size: int, work: Callable[[], T]) -> T:
    """The result of ``work``; done in a thread when it is about ``size`` > 1 000 rows, so that others get their turn meanwhile.

    A large answer takes hundreds of milliseconds to put together, and health is asked for in between.
    """
    return await asyncio.to_thread(work) if size > _MANY else work()


async def _grouped(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
