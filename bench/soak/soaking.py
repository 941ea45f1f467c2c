"""The course of a soak: cycles of churn end in points of rest, and what the server holds is written down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from callers import BUSY
from measures import Cycle, Outside, Sample, look_at
from observed import Inside
from stage import Plan, Stage

__all__ = ["Soak"]

_TOO_LATE = 1.0
"""Seconds a store that is well may take for a query that a machine with time to spare answers in some hundredths."""
_DEADLINE = 20.0
"""Seconds all sources together have for an answer."""
_QUIET = 20.0
"""Seconds after the rest within which the last tasks must have ended; a busy machine takes its time."""


class Soak:
    """A soak on a stage."""

    def __init__(self, plan: Plan, stage: Stage) -> None:
        self.plan, self.stage = plan, stage
        self.server, self.ledger = stage.server, stage.ledger
        self.samples: list[Sample] = []
        self.cycles: list[Cycle] = []

    async def go_on(self, tell: Callable[[Cycle], None]) -> None:
        """Churn and rest, again and again; ``tell`` is told of each cycle when it is over."""
        end, number = time.monotonic() + self.plan.minutes * 60, 0
        await self.stage.disturbances.find_out(await self.stage.metrics())
        while time.monotonic() < end or number < self.plan.cycles:
            number += 1
            leaking = self.plan.leak if number >= self.plan.leak_from else ()
            for each in leaking if number == self.plan.leak_from else ():
                await self.server.ask(f"leak-{each}")
            before = self.ledger.requests, self.ledger.watches, self.ledger.changes, self.ledger.unexpected_count
            busy = self.server.process.cpu_seconds(), time.monotonic()
            await self.stage.callers.compare()
            await self._churn()
            used = (self.server.process.cpu_seconds() - busy[0]) / (time.monotonic() - busy[1])
            await self.stage.disturbances.settle()
            found, inside, watching, answering = await self._rested(settles=not leaking)
            after = self.ledger.requests, self.ledger.watches, self.ledger.changes, self.ledger.unexpected_count
            requests, watches, changes, unexpected = (now - then for now, then in zip(after, before, strict=True))
            self.cycles.append(
                Cycle(
                    number=number,
                    at=round(self.ledger.now, 1),
                    outside=found,
                    tasks=inside.tasks,
                    objects=inside.objects,
                    blocks=inside.blocks,
                    allocated=inside.allocated,
                    types=inside.types,
                    watching=watching,
                    answering=answering,
                    requests=requests,
                    watches=watches,
                    changes=changes,
                    unexpected=unexpected,
                    processor=round(used, 3),
                    leaking=leaking,
                )
            )
            tell(self.cycles[-1])

    async def _churn(self) -> None:
        """Everybody at once; then all go home, and what was being changed is changed to its end."""
        plan, ending = self.plan, asyncio.Event()
        crowd = [lambda: self.stage.callers.ask(plan.rate)] * plan.askers + [self.stage.callers.watch] * plan.watchers
        crowd += [self.stage.callers.be_slow] * 2 + [self.stage.callers.be_rude] * 2
        tasks = [asyncio.create_task(self._over_and_over(each)) for each in crowd]
        tasks += [
            asyncio.create_task(self._without_end(self.stage.accounts.renew_now_and_then(3))),
            asyncio.create_task(self._sample()),
        ]
        changing = asyncio.create_task(self.stage.rollouts.go_on(plan.changes, ending))
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.stage.disturbances.sources_fail(plan.churn))
                group.create_task(self.stage.disturbances.everything_rotates(plan.churn))
        finally:
            ending.set()
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await changing
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _over_and_over(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._without_end(work())

    async def _without_end(self, work: Awaitable[None]) -> None:
        """What cannot be done because kube-apiserver is away is left out."""
        try:
            await work
        except RuntimeError as error:
            self.ledger.note("kube-apiserver", "failed", expected=False, excuse="kube-apiserver away", detail=str(error))
            await asyncio.sleep(1)

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(self.plan.every)
            if await self.stage.steady.latency() > _TOO_LATE:
                self.ledger.excuse(BUSY, 2 * self.plan.every + _DEADLINE)
            inside = await self._inside("look")
            found = look_at(self.server.process)
            self.samples.append(Sample(round(self.ledger.now, 1), found, sum(inside.tasks.values()), inside.blocks))

    async def _inside(self, question: str) -> Inside:
        if self.server.ended is not None:
            raise SystemExit(f"the server ended with {self.server.ended}")
        return await self.server.ask(question)

    async def _rested(self, *, settles: bool) -> tuple[Outside, Inside, int, int]:
        """What the server holds, and still does, when it has had time to notice that everybody has gone; or holds all the same.

        A server that leaks never ``settles``, and is not waited for.
        """
        await asyncio.sleep(self.plan.rest)
        end, before = time.monotonic() + _QUIET, -1
        while True:
            lines = (await self.stage.metrics()).splitlines()
            # This very question is one of those being answered.
            watching, answering = _sum(lines, "trafficmetrics_watchers"), _sum(lines, "apiserver_current_inflight_requests") - 1
            await asyncio.sleep(1)
            tasks = sum((await self._inside("look")).tasks.values())
            if time.monotonic() > end or ((tasks == before or not settles) and not watching + answering):
                break
            before = tasks
        found = look_at(self.server.process)
        return found, await self._inside("collect"), watching, answering


def _sum(lines: list[str], metric: str) -> int:
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if line.startswith((f"{metric} ", f"{metric}{{")))
