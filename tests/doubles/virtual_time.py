"""An event loop whose time passes only when everybody waits, and then at once: an hour of it takes no time, and is always the same."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["VirtualLoop", "run_virtually"]

T = TypeVar("T")


class _NoWaiting(selectors.SelectSelector):
    """Waits for nothing; what it should have waited is added up."""

    waited = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that will ever happen")
        self.waited += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Begins at 0, in seconds. For code that waits for time alone, and for no socket, thread or process."""

    def __init__(self) -> None:
        self._virtual = _NoWaiting()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.waited


def run_virtually(work: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What comes of some work, and after how many seconds of a loop of its own.

    Raises what it raises. Nothing may be left behind by it: no task, and no error that nobody looked at.
    """
    complaints: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        try:
            outcome = runner.run(work), loop.time()
        finally:
            left = asyncio.all_tasks(loop)
    if left or complaints:
        raise AssertionError(f"left behind: {left or complaints}")
    return outcome
