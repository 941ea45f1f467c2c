"""Follows the configuration on disk: sources and dialects come into force as they are written, and what is broken changes nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from apiservice.reloading.current import CurrentSources
from apiservice.reloading.files import ConfigurationFiles, misfits
from apiservice.settings import OPTIONS, Settings
from metrics_api import BadConfiguration, Source, TrafficError

__all__ = ["PERIOD", "SETTLING", "Counts", "Reloader"]

PERIOD = 10.0
"""Seconds between two looks at the files."""

SETTLING = 1.0
"""Seconds for which files that have changed must stay as they are: an editor may be writing them."""

logger = logging.getLogger(__name__)


class Counts(Protocol):
    """Whoever is told what became of reading the configuration again."""

    def loaded(self) -> None:
        """It is in force."""

    def refused(self) -> None:
        """It is not, and the one before stays."""


class Reloader:
    """Puts the sources of changed ``files`` into force; ``settings`` are those the server runs with. ``sleep`` takes seconds."""

    def __init__(
        self,
        files: ConfigurationFiles,
        settings: Settings,
        current: CurrentSources,
        counts: Counts,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._files = files
        self._settings = settings
        self._current = current
        self._counts = counts
        self._sleep = sleep
        self._told = ""
        self._refused = False

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self._sleep(PERIOD)
            await self.look()

    async def look(self) -> None:
        """Take what has changed, if it can be taken; otherwise say why, once, and go on as before."""
        try:
            # What was refused may lack something that is no configuration: a file with a certificate, or credentials that come later.
            if not self._refused and not await asyncio.to_thread(self._files.changed):
                return
            settings, sources = await self._load()
            self._require_fit(sources)
            changes = await self._current.take(sources)
        except Exception as error:  # noqa: BLE001  whatever is wrong with the new ones, the old ones answer
            self._refuse(error)
        else:
            self._refused = False
            self._counts.loaded()
            self._tell_others(settings)
            logger.info("the configuration was read again: %s", changes)

    async def _load(self) -> tuple[Settings, list[Source]]:
        """What the files say, or the error that is in them, once nobody is writing them any more."""
        while True:
            (read,) = await asyncio.gather(asyncio.to_thread(self._files.load), return_exceptions=True)
            await self._sleep(SETTLING)
            if await asyncio.to_thread(self._files.changed):
                continue
            if isinstance(read, BaseException):
                raise read
            return read

    def _require_fit(self, sources: list[Source]) -> None:
        """What is written of the refresh is not in force before a restart."""
        if told := list(misfits(sources, self._settings.metrics.refresh)):
            raise BadConfiguration([f"metrics.refresh: {each}" for each in told])

    def _refuse(self, error: Exception) -> None:
        self._refused = True
        self._counts.refused()
        known = isinstance(error, TrafficError)
        told = error.message if isinstance(error, TrafficError) else f"{type(error).__name__}: {error}"
        if told != self._told:
            logger.error("the configuration that was read before stays in force: %s", told, exc_info=None if known else error)
        self._told = told

    def _tell_others(self, settings: Settings) -> None:
        """Say what takes effect with a restart only."""
        self._told = ""
        if keys := list(_differing(settings, self._settings)):
            logger.warning("%s changed: that takes effect when the server is started again", ", ".join(keys))


def _differing(one: Settings, other: Settings) -> Iterator[str]:
    """The keys outside ``backends`` whose values differ."""
    for option in OPTIONS:
        values = (getattr(getattr(each, option.section), option.described.field) for each in (one, other))
        if len(set(values)) > 1:
            yield f"{option.section}.{option.key}"
