"""Visitors: the requests from outside the mesh that set the shop going, each kind at its own even pace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from apiservice.demo.shop import Visit

__all__ = ["receive_visitors"]

_MOST_PRESENT = 200
"""Visitors beyond this turn away: where requests pile up, more of them would only hide the reason."""


async def receive_visitors(visits: Sequence[Visit], receive: Callable[[Visit], Coroutine[Any, Any, object]]) -> None:
    """Call ``receive`` for each visit when it is due, for ever, without waiting for those before."""
    present: set[asyncio.Task[object]] = set()

    async def stream(visit: Visit, phase: float) -> None:
        loop = asyncio.get_running_loop()
        period = 1 / visit.per_second
        due = loop.time() + phase * period
        while True:
            await asyncio.sleep(due - loop.time())
            # After a pause of the machine, go on at the same pace instead of catching up.
            due = max(due + period, loop.time())
            if len(present) < _MOST_PRESENT:
                visitor = group.create_task(receive(visit))
                present.add(visitor)
                visitor.add_done_callback(present.discard)

    async with asyncio.TaskGroup() as group:
        for number, visit in enumerate(visits):
            group.create_task(stream(visit, number / len(visits)))
