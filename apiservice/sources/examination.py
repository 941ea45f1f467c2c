"""Examining the sources: all at the same time, each within a deadline; and what only shows when they are seen together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from apiservice.sources.overlaps import hints
from metrics_api import Source, Window
from metrics_api.diagnosis import Diagnosable, Diagnosis, Finding, Level

__all__ = ["Examined", "examine", "examine_one", "seen_together"]

logger = logging.getLogger(__name__)

_DEADLINE = 15.0
"""Seconds for a source. Each has a deadline of its own, which it is expected to keep."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A source, and what was found when it was examined."""

    source: Source
    diagnosis: Diagnosis

    @property
    def level(self) -> Level:
        """That of the worst finding."""
        return self.diagnosis.level


async def examine(sources: Sequence[Source], window: Window, home: str = "") -> list[Examined]:
    """The sources in their order, examined for questions about ``window``; ``home`` is the name of the cluster of the server."""
    diagnoses = await asyncio.gather(*(examine_one(source, window) for source in sources))
    return seen_together([Examined(source, diagnosis) for source, diagnosis in zip(sources, diagnoses, strict=True)], home)


async def examine_one(source: Source, window: Window) -> Diagnosis:
    """The diagnosis of one source, which says so when there can be none."""
    backend = source.backend
    if not isinstance(backend, Diagnosable):
        return Diagnosis(source.name, "a source that cannot be examined")
    try:
        async with asyncio.timeout(_DEADLINE):
            return await backend.diagnose(window)
    except TimeoutError:
        what = f"it could not be examined within {_DEADLINE:g}s"
    except Exception as error:
        # Somebody who looks for what is wrong is not helped by a traceback; the log has it, at -v 1.
        logger.warning("source %s cannot be examined", source.name, exc_info=error)
        what = f"its examination failed ({type(error).__name__})"
    return Diagnosis(source.name, findings=(Finding(Level.PROBLEM, source.name, "reach", what, "-v 1 tells more"),))


def seen_together(examined: Sequence[Examined], home: str) -> list[Examined]:
    """The same, with the findings that are about several sources at once, or about their places in the configuration."""
    found = hints([(each.source, each.diagnosis) for each in examined], home)
    return [
        replace(each, diagnosis=replace(each.diagnosis, findings=(*each.diagnosis.findings, *found.get(each.source.name, ()))))
        for each in examined
    ]
