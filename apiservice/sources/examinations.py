"""Examinations that are made while the server runs: one of a source at a time, whoever wants to know, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apiservice.sources.examination import examine_one
from metrics_api import Source, Window
from metrics_api.diagnosis import Diagnosis, Level
from metrics_api.usage import Metered

__all__ = ["PATIENCE", "Examination", "Examinations"]

PATIENCE = 5.0
"""Seconds that are waited for an examination, counted from its beginning; it goes on without anybody who waits."""

_KEPT = 60.0
"""Seconds for which a diagnosis is told again. One that found a problem is soon to be looked into, and looked at again."""

_KEPT_OF_ILL = 10.0

_KEPT_OF_METERED = 600.0
"""Where each examination is paid for."""


@dataclass(frozen=True, slots=True)
class Examination:
    """What is known of a source by now. ``diagnosis`` is the last one, which ended at ``ended`` (Unix seconds); None before the first.

    ``running`` says that the next one is under way, and is taking longer than anybody waits.
    """

    diagnosis: Diagnosis | None = None
    ended: float = 0.0
    running: bool = False


@dataclass(frozen=True, slots=True)
class _Kept:
    diagnosis: Diagnosis
    ended: float
    until: float


@dataclass(frozen=True, slots=True)
class _Running:
    task: asyncio.Task[None]
    begun: float


class Examinations:
    """Examines sources for questions about ``window`` when somebody asks. :meth:`close` ends what is under way.

    ``clock`` is Unix time, and ``timer`` gives seconds that never go back.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        window: Window,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sources = tuple(sources)
        self._window = window
        self._clock = clock
        self._timer = timer
        self._kept: dict[str, _Kept] = {}
        self._running: dict[str, _Running] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    def follow(self, sources: Sequence[Source]) -> None:
        """Examine these from now on; what was found of others, and of those that have changed, is forgotten."""
        staying = {source.name for source in sources if source in self.sources}
        for name in [name for name in self._kept if name not in staying]:
            del self._kept[name]
        for name in [name for name in self._running if name not in staying]:
            task = self._running.pop(name).task
            task.cancel()
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        self.sources = tuple(sources)

    def forget(self, name: str) -> None:
        """Nothing is left to be forgotten: see :meth:`follow`."""

    async def look(self, sources: Sequence[Source]) -> dict[str, Examination]:
        """What is known of some of the sources, by their names: what is kept, or what comes out within :data:`PATIENCE`."""
        now = self._timer()
        for source in sources:
            kept = self._kept.get(source.name)
            if source.name not in self._running and (kept is None or kept.until <= now) and not self._closed:
                task = asyncio.create_task(self._examine(source), name=f"examination of {source.name}")
                self._running[source.name] = _Running(task, now)
        awaited = [running for source in sources if (running := self._running.get(source.name)) is not None]
        left = max((running.begun + PATIENCE - now for running in awaited), default=0.0)
        if left > 0:
            await asyncio.wait([running.task for running in awaited], timeout=left)
        return {source.name: self.known(source.name) for source in sources}

    async def close(self) -> None:
        """End the examinations that are under way; there will be no more of them."""
        self._closed = True
        tasks = [*(running.task for running in self._running.values()), *self._leaving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def known(self, name: str) -> Examination:
        """What is known of the source of that name, without looking."""
        kept, running = self._kept.get(name), name in self._running
        return Examination(running=running) if kept is None else Examination(kept.diagnosis, kept.ended, running)

    async def _examine(self, source: Source) -> None:
        try:
            diagnosis = await examine_one(source, self._window)
            self._kept[source.name] = _Kept(diagnosis, self._clock(), self._timer() + _longest(source, diagnosis))
        finally:
            # One that was told to end has left its place to another by now.
            running = self._running.get(source.name)
            if running is not None and running.task is asyncio.current_task():
                del self._running[source.name]


def _longest(source: Source, diagnosis: Diagnosis) -> float:
    if isinstance(source.backend, Metered):
        return _KEPT_OF_METERED
    return _KEPT_OF_ILL if diagnosis.level is Level.PROBLEM else _KEPT
