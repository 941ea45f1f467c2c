"""Churn: so many objects of a population change in every second, as controllers and kubelets change them.

``python bench/churn.py NAMESPACES DEPLOYMENTS PODS URL RATE SECONDS`` does it in a process of its own, for a population that is there, and
prints a :class:`Churned` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import NamedTuple

from population import Pod, Population, another
from writer import AT_ONCE, Writer, writer

__all__ = ["Acknowledged", "Churned", "churning"]


class Acknowledged(NamedTuple):
    """A pod that came or went (``ADDED``, ``DELETED``), and ``time.monotonic()``, one for all processes, when that was acknowledged."""

    event: str
    namespace: str
    name: str
    at: float


class Churned(NamedTuple):
    """What a churn did: so many changes of objects in so many seconds."""

    changes: int
    seconds: float
    acknowledged: list[Acknowledged]


@contextmanager
def churning(population: Population, url: str, rate: int, seconds: int) -> Iterator[Callable[[], Churned]]:
    """A churn that has begun; what is given waits for its end."""
    command = [sys.executable, __file__, *map(str, population.sizes()), url, str(rate), str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def wait() -> Churned:
        output, _ = process.communicate()
        changes, took, acknowledged = json.loads(output)
        return Churned(changes, took, [Acknowledged(*one) for one in acknowledged])

    try:
        yield wait
    finally:
        process.kill()
        process.wait()


class _Churn:
    """Changes of a population; notes when kube-apiserver had acknowledged that a pod came or went."""

    def __init__(self, write: Writer, population: Population) -> None:
        self._write = write
        self._dice = random.Random(2)
        self._pods = population.all_pods()
        self._services = list(population.services())
        self._turn = asyncio.Semaphore(AT_ONCE)
        self.acknowledged: list[Acknowledged] = []
        self.changes = 0

    async def go_on(self, rate: float, seconds: float) -> float:
        """Change so many objects a second; how many seconds it took."""
        # What is done, how many changes that is, and how often it is done in a hundred changes.
        mix = ((self.look, 1, 50), (self.label, 1, 10), (self.replace, 3, 10), (self.reslice, 1, 10))
        start, due = time.monotonic(), 0
        async with asyncio.TaskGroup() as group:
            while due < rate * seconds:
                change, changes, _ = self._dice.choices(mix, weights=[share for _, _, share in mix])[0]
                await asyncio.sleep(start + due / rate - time.monotonic())
                group.create_task(self._take(change))
                due += changes
        self.changes = due
        return time.monotonic() - start

    async def _take(self, change: Callable[[], Awaitable[None]]) -> None:
        async with self._turn:
            await change()

    async def look(self) -> None:
        """The kubelet looks at a pod."""
        async with self._one() as pods:
            await self._write.look(pods[0])

    async def label(self) -> None:
        """A pod gets another label."""
        async with self._one() as pods:
            await self._write.label(pods[0], str(self._dice.randrange(10)))

    async def replace(self) -> None:
        """A pod is deleted, another one made."""
        async with self._one() as pods:
            await self._write.remove(pods[0])
            self._note("DELETED", pods[0])
            pods[0] = another(self._dice, pods[0].namespace, pods[0].app)
            await self._write.add(pods[0], lambda: self._note("ADDED", pods[0]))

    async def reslice(self) -> None:
        """The pods behind a Service change."""
        space, name, apps = self._dice.choice(self._services)
        pods = [one for one in self._pods if one.namespace == space and one.app in apps]
        await self._write.stand_behind(space, name, self._dice.sample(pods, len(pods)))

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[list[Pod]]:
        """A pod that nobody else changes meanwhile, in a list in which another may take its place."""
        at = self._dice.randrange(len(self._pods))
        self._pods[at], self._pods[-1] = self._pods[-1], self._pods[at]
        pods = [self._pods.pop()]
        yield pods
        self._pods += pods

    def _note(self, event: str, one: Pod) -> None:
        self.acknowledged.append(Acknowledged(event, one.namespace, one.name, time.monotonic()))


async def _main(population: Population, url: str, rate: float, seconds: float) -> None:
    async with writer(url) as write:
        await write.learn()
        churn = _Churn(write, population)
        took = await churn.go_on(rate, seconds)
    print(json.dumps(Churned(churn.changes, took, churn.acknowledged)))


if __name__ == "__main__":
    asyncio.run(_main(Population(*map(int, sys.argv[1:4])), sys.argv[4], float(sys.argv[5]), float(sys.argv[6])))
