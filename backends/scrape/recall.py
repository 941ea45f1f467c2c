"""History out of what was scraped: the same question at one instant after the other, as far back as is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from metrics_api import Answer, BackendError, BackendForgot, BackendUnavailable, Span, TrafficQuery

__all__ = ["recall"]


async def recall(
    source: str, ask: Callable[[TrafficQuery], Awaitable[Answer]], query: TrafficQuery, span: Span
) -> tuple[Answer, ...]:
    """What ``ask`` answers at each instant of ``span``; ``source`` is the name of what it asks.

    Where it raises :class:`BackendForgot` or :class:`BackendUnavailable`, nothing was scraped that could tell of that instant: the
    answer there is empty and incomplete, and says why. Where that is so at every instant, the error of the last one is raised.
    """
    answers: list[Answer] = []
    failure: BackendError | None = None
    remembered = False
    nothing = (
        f'source "{source}" has nothing of some instants: it knows what it scraped itself, for as long as "longestWindow" says'
    )
    for instant in span.instants:
        try:
            answers.append(await ask(replace(query, instant=instant)))
            remembered = True
        except (BackendForgot, BackendUnavailable) as error:
            failure = error
            answers.append(Answer((), instant, query.window, (nothing,), incomplete=True))
        # An answer out of memory waits for nothing: without this nobody else would have a turn before the last one.
        await asyncio.sleep(0)
    if failure is not None and not remembered:
        raise failure
    return tuple(answers)
