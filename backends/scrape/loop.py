"""The scraping: one task per target, each on its own beat, and one that follows the targets file. All of them end with their owner."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from backends.scrape.exposition import Exposition, ExpositionError, line_of
from backends.scrape.fetch import Fetcher, ScrapeFailed
from backends.scrape.settings import ScrapeSettings
from backends.scrape.snapshots import Allowance, BadHead, Draft, History
from backends.scrape.targets import Target, TargetsFile
from backends.scrape.vocabulary import Vocabulary
from metrics_api import BadConfiguration

__all__ = ["ScrapeLoop", "Watch"]

logger = logging.getLogger(__name__)

_GRACE = 15.0
"""Seconds kept beyond the longest window, for questions about an instant that lies a little in the past."""

_LOOK_EVERY = 5.0
"""Seconds between two looks at the targets file, at most."""


@dataclass(slots=True, eq=False)
class Watch:
    """One target and what is known of it. ``failure`` says why the last scrape failed, and is empty when it did not."""

    target: Target
    history: History
    attempts: int = 0
    failure: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class ScrapeLoop:
    """Scrapes the targets of a source while it is open.

    ``watches`` are the targets scraped now; ``histories`` are theirs and those of targets that are gone, as long as they matter.
    ``trouble`` says what is wrong with the targets file, and is empty when nothing is.
    """

    def __init__(self, settings: ScrapeSettings) -> None:
        self.watches: dict[Target, Watch] = {}
        self.trouble = ""
        self.allowance = Allowance(settings.series_limit)
        self._settings = settings
        self._vocabulary = Vocabulary.of(settings.dialect)
        self._exposition = Exposition(self._vocabulary.metrics)
        self._file = TargetsFile(settings.targets_file, settings.path, settings.scheme) if settings.targets_file else None
        self._fetcher = Fetcher(settings)
        self._retired: dict[Target, Watch] = {}
        self._forgotten: list[History] = []
        self._under_way = asyncio.Semaphore(settings.concurrency)
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._follower: asyncio.Task[None] | None = None

    @property
    def histories(self) -> list[History]:
        """Everything a window can look at."""
        return [watch.history for watch in (*self.watches.values(), *self._retired.values())]

    @property
    def left_out(self) -> int:
        """How many series the last scrapes had for which the limit left no room."""
        return sum(watch.history.left_out for watch in self.watches.values())

    def forgotten(self) -> list[History]:
        """The histories that ceased to matter since the last call."""
        gone, self._forgotten = self._forgotten, []
        return gone

    async def __aenter__(self) -> Self:
        await self._fetcher.__aenter__()
        try:
            await self._follow_once()
        except BaseException:
            await self.__aexit__()
            raise
        self._follower = asyncio.create_task(self._follow(), name=f"{self._settings.name}: targets")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._follower is not None:
            await _end([self._follower])
            self._follower = None
        await _end(self._tasks)
        for history in self.histories:
            history.clear()
            self._forgotten.append(history)
        self.watches.clear()
        self._retired.clear()
        await self._fetcher.__aexit__(None, None, None)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(min(self._settings.interval, _LOOK_EVERY))
            await self._follow_once()

    async def _follow_once(self) -> None:
        """Take up targets that are new, let go of those that left."""
        wanted: Iterable[Target] = self._settings.targets
        try:
            if self._file is not None:
                wanted = (*wanted, *await asyncio.to_thread(self._file.read))
            self._note_trouble("")
        except BadConfiguration as error:
            # Better the targets known so far than none.
            self._note_trouble(error.problems[0])
            wanted = (*wanted, *self.watches)
        except Exception:
            logger.exception("source %s: its targets file cannot be followed", self._settings.name)
            wanted = (*wanted, *self.watches)
        wanted = dict.fromkeys(wanted)
        leaving = [watch for target, watch in self.watches.items() if target not in wanted]
        for watch in leaving:
            self._retired[watch.target] = self.watches.pop(watch.target)
        await _end([watch.task for watch in leaving if watch.task is not None])
        for target in wanted:
            if target not in self.watches:
                self._take_up(target)
        self._sweep()

    def _take_up(self, target: Target) -> None:
        watch = self._retired.pop(target, None)
        if watch is None:
            labels = target.labelled(self._settings.name)
            watch = Watch(target, History(self._vocabulary, labels, self._settings.longest_window + _GRACE, self.allowance))
        self.watches[target] = watch
        watch.task = asyncio.create_task(self._scrape_steadily(watch), name=f"{self._settings.name}: {target.address}")
        self._tasks.add(watch.task)
        watch.task.add_done_callback(self._tasks.discard)

    def _sweep(self) -> None:
        """Forget targets that left, once no window can reach them."""
        for watch in list(self._retired.values()):
            watch.history.expire(time.time())
            if not watch.history.snapshots:
                watch.history.clear()
                self._forgotten.append(self._retired.pop(watch.target).history)

    def _note_trouble(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            logger.warning("source %s: %s; the targets known so far are scraped on", self._settings.name, trouble)
        self.trouble = trouble

    async def _scrape_steadily(self, watch: Watch) -> None:
        """Scrape one target on its beat. Beats of different targets are spread over the interval, so that not all are asked at once."""
        loop, interval = asyncio.get_running_loop(), self._settings.interval
        beat = loop.time() + interval * (zlib.crc32(watch.target.url.encode()) / (1 << 32))
        while True:
            await asyncio.sleep(beat - loop.time())
            await self._scrape(watch)
            # Beats that passed meanwhile are left out.
            beat += interval * max(1, -(-(loop.time() - beat) // interval))

    async def _scrape(self, watch: Watch) -> None:
        """Scrape once. Whatever the target does, it ends as a snapshot or as ``watch.failure``."""
        left_out = watch.history.left_out
        try:
            async with self._under_way:
                moment = time.time()
                text = await self._fetcher.fetch(watch.target)
            await self._read(watch.history, text.body, moment, open_metrics=text.open_metrics)
            failure = ""
        except (ScrapeFailed, ExpositionError) as error:
            failure = str(error)
        except Exception as error:
            # One target must not end the scraping of itself, let alone of others.
            logger.exception("source %s: scraping %s failed", self._settings.name, watch.target.address)
            failure = f"scraping it failed ({type(error).__name__}); the log of the server has more"
        if failure:
            watch.history.expire(time.time())
            if not watch.failure:
                logger.warning("source %s: %s cannot be scraped: %s", self._settings.name, watch.target.address, failure)
        elif watch.failure:
            logger.info("source %s: %s is scraped again", self._settings.name, watch.target.address)
        watch.failure = failure
        watch.attempts += 1
        if watch.history.left_out and not left_out:
            logger.warning(
                "source %s: %d series of %s are left out, because it keeps %d at most (seriesLimit)",
                self._settings.name,
                watch.history.left_out,
                watch.target.address,
                self.allowance.limit,
            )

    async def _read(self, history: History, body: bytes, moment: float, *, open_metrics: bool) -> None:
        """Turn a text into a snapshot, one text at a time and a stretch at a time, so that everything else goes on meanwhile."""
        draft = Draft()
        try:
            async with self._reading:
                for samples in self._exposition.read(body, open_metrics=open_metrics):
                    history.take(draft, samples)
                    await asyncio.sleep(0)
            history.commit(draft, moment)
        except BadHead as error:
            raise ExpositionError(f"line {line_of(body, error.head)} is malformed: {error}") from None
        finally:
            history.discard(draft)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks and wait until they are over."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
