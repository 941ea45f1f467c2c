"""Clients that keep a copy of what they watch: what each was told, as it was told; and a real client-go informer among them."""

from __future__ import annotations

import asyncio
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.controlplane.daemon import Daemon

__all__ = ["Listener", "Told", "run_informer"]


class Told(NamedTuple):
    """``event`` is added, updated, deleted, or synced or failed of the client itself. ``key`` is namespace/name."""

    event: str
    key: str = ""
    version: str = ""
    object: Any = None
    message: str = ""


class Listener(ABC):
    """Somebody who is told of changes."""

    @abstractmethod
    def told(self, since: int = 0) -> list[Told]:
        """What it was told after a mark."""

    def mark(self) -> int:
        """How much it has been told."""
        return len(self.told())

    async def until(
        self, event: str, key: str = "", since: int = 0, where: Callable[[Any], bool] = lambda _: True, patience: float = 40
    ) -> Told:
        """The first such event after a mark whose object fulfils ``where``, waiting for it.

        Raises:
            RuntimeError: when it does not come in ``patience`` seconds; says what came instead.

        """
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            told = self.told(since)
            for each in told:
                if (each.event, each.key) == (event, key) and where(each.object):
                    return each
            if asyncio.get_running_loop().time() >= deadline:
                raise RuntimeError(f"{self} was not told of {event} {key}, but of {told}")
            await asyncio.sleep(0.05)


class _Informer(Listener):
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def __str__(self) -> str:
        return f"{self._daemon.name}, whose log is\n{self._daemon.tail()}\n"

    def told(self, since: int = 0) -> list[Told]:
        return [Told(**json.loads(line)) for line in self._daemon.lines() if line.startswith("{")][since:]


@asynccontextmanager
async def run_informer(
    informer: str,
    kubeconfig: Path,
    log: Path,
    resource: str,
    namespace: str = "",
    *,
    streaming: bool = True,
    metadata: bool = False,
) -> AsyncIterator[Listener]:
    """A client-go informer of a resource such as ``pods.v1.`` in a namespace, or everywhere; gone afterwards.

    ``streaming`` lets the present state come through the watch, as client-go does since 1.35; otherwise it lists first.
    """
    command = [informer, f"-kubeconfig={kubeconfig}", f"-resource={resource}", f"-namespace={namespace}", f"-metadata={metadata}"]
    env = {**os.environ, "KUBE_FEATURE_WatchListClient": str(streaming).lower()}
    daemon = Daemon(log.stem, command, log, env)
    try:
        yield _Informer(daemon)
    finally:
        await daemon.stop(2)
