"""A server that tells something else each time it is asked: numbers made up by hand, so that verdicts about them can be, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from apiservice.question import Question
from apiservice.result import Result
from metrics_api import NotFound, ResourceRef, TrafficMetrics, Window
from tests.apiservice.memory import INSTANT, Door, serving, total
from tests.plugin.conftest import Plugin, plugin_for

__all__ = ["Round", "Rounds", "seen", "told"]


def seen(success: int | None, failure: int | None = 0, p99_ms: int | None = None) -> TrafficMetrics:
    """What one workload received in a window; None is unknown."""
    micro = None if p99_ms is None else p99_ms * 1000
    row = replace(total(ResourceRef("Deployment", "shop", ""), 0, 0), p50=None, p90=None, p99=micro)
    return replace(row, success=None if success is None else success * 1000, failure=None if failure is None else failure * 1000)


@dataclass(frozen=True)
class Round:
    """What is told of workloads by name, until one is asked for again, or one that is not among them; or ``failure``, which is raised once.

    ``step`` is by how many seconds it is later than the round before; ``window`` is what the numbers cover.
    """

    rows: Mapping[str, TrafficMetrics] = field(default_factory=dict)
    failure: Exception | None = None
    incomplete: bool = False
    warnings: tuple[str, ...] = ()
    step: int = 30
    window: int = 30


@dataclass
class Rounds:
    """The service. After the last round it comes again and again, each time later.

    ``asked`` are the names asked for; ``reached`` is set with the first.
    """

    rounds: list[Round]
    asked: list[str] = field(default_factory=list)
    instant: int = INSTANT
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _told: set[str] = field(default_factory=set)

    async def answer(self, question: Question, instant: int | None = None) -> Result:  # noqa: ARG002
        """See :class:`apiservice.answering.Service`."""
        self.asked.append(question.name)
        self.reached.set()
        if question.name in self._told or (question.name not in self.rounds[0].rows and not self.rounds[0].failure):
            self._next()
        self._told.add(question.name)
        now = self.rounds[0]
        if now.failure is not None:
            self._next()
            raise now.failure
        if question.name not in now.rows:
            raise NotFound(f"{question.resource}.metrics.smi-spec.io", question.name)
        resource = ResourceRef(question.kinds[0], question.namespace, question.name)
        window = Window(now.window)
        row = replace(now.rows[question.name], name=question.name, resource=resource, instant=self.instant, window=window)
        return Result((row,), self.instant, window, now.warnings, now.incomplete)

    def _next(self) -> None:
        self.rounds = self.rounds[1:] or self.rounds
        self.instant += self.rounds[0].step
        self._told = set()


@asynccontextmanager
async def told(service: Any, home: Path, door: Door | None = None) -> AsyncIterator[Plugin]:
    """The plugin, and a server with this service."""
    async with serving(service, door) as server:
        assert server.port is not None
        yield plugin_for(server.port, home / "plugin")
