"""The inventory alone, in a process of its own: ``python bench/informing.py KUBECONFIG``.

It prints a line of JSON when everything is listed, and one in answer to each line of its standard input: ``measure`` for what it holds,
``told`` for the pods that it was told came or went, each with the time at which the store knew it, ``lift`` for what it takes to add up the
numbers of all pods. It ends with its input.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from processes import Process

from apiservice.clock import SYSTEM_CLOCK
from apiservice.inventory import ClusterObjects
from apiservice.inventory.kinds import WATCHED
from apiservice.inventory.records import Pool, Record
from apiservice.inventory.reflector import Reflector
from apiservice.inventory.store import Store
from apiservice.kube import KubeClient
from apiservice.lifting import lifted, with_members
from apiservice.tuning import tune
from metrics_api import EVERYTHING, Direction, Histogram, ResourceRef, Sample, Side, TrafficQuery, Window

__all__ = ["Held", "Informer", "Lifted", "informer"]

_TIMES = 9

_PATIENCE = 120.0


class Held(NamedTuple):
    """What an inventory holds: how many objects of each kind, and the bytes of their records and of all its indexes with them."""

    objects: dict[str, int]
    records: dict[str, int]
    indexed: int


class Lifted(NamedTuple):
    """Samples of ``pods`` pods became ``rows`` samples of ``kind``; ``spent`` is the processor time of each time, in seconds."""

    kind: str
    edges: bool
    pods: int
    rows: int
    spent: list[float]


class Informer:
    """A running inventory, ``synced`` seconds after it began; made by :func:`informer`."""

    def __init__(self, process: subprocess.Popen[str], began: float) -> None:
        self._process = process
        self.process = Process(process.pid, "")
        self.before = int(json.loads(self._line()))
        """Bytes of its resident size before it listed anything."""
        self.synced = time.monotonic() - began

    def held(self) -> Held:
        """What it holds now."""
        return Held(*json.loads(self._ask("measure")))

    def told(self) -> dict[tuple[str, str], float]:
        """When the store knew that a pod came or went (``ADDED``, ``DELETED``), by that and the name: ``time.monotonic()``."""
        return {(event, name): at for event, name, at in json.loads(self._ask("told"))}

    def lifted(self) -> list[Lifted]:
        """What it takes to add up one sample of each pod, by what the pods belong to."""
        return [Lifted(*one) for one in json.loads(self._ask("lift"))]

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the inventory ended with {self._process.wait()}")
        return line


@contextmanager
def informer(kubeconfig: Path) -> Iterator[Informer]:
    """An inventory of a cluster, from the moment it has listed everything."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, __file__, str(kubeconfig)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Informer(process, began)
    finally:
        process.communicate()


class _Noting:
    """The store, and when it knew of pods."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.replace, self.fail, self.absent, self.stale, self.fresh = (
            store.replace,
            store.fail,
            store.absent,
            store.stale,
            store.fresh,
        )
        self.noted: list[tuple[str, str, float]] = []

    def put(self, kind: str, record: Record) -> None:
        """An object was made or changed."""
        new = kind == "Pod" and self._store.get(kind, record.namespace, record.name) is None
        self._store.put(kind, record)
        if new:
            self.noted.append(("ADDED", f"{record.namespace}/{record.name}", time.monotonic()))

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """An object was deleted."""
        self._store.remove(kind, namespace, name)
        if kind == "Pod":
            self.noted.append(("DELETED", f"{namespace}/{name}", time.monotonic()))


def _held(store: Store) -> Held:
    gc.collect()
    seen: set[int] = set()
    kinds = [watched.kind for watched in WATCHED]
    records = {kind: _size(store.records(kind), seen) for kind in kinds}
    return Held({kind: store.count(kind) for kind in kinds}, records, _size([store], seen))


def _size(roots: Sequence[object], seen: set[int]) -> int:
    """Bytes of these objects and of all they refer to, but for those ``seen`` before, and for code."""
    size, waiting = 0, list(roots)
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _CODE):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        # The search for cycles does not see what a record refers to.
        waiting += (
            [getattr(one, name) for name in one.__struct_fields__] if isinstance(one, msgspec.Struct) else gc.get_referents(one)
        )
    return size


_CODE = (type, type(sys), type(_size), type(len), type(Store.replace), property, asyncio.AbstractEventLoop)


async def _lift(store: Store) -> list[Lifted]:
    """Traffic of every pod, in total and with another pod, with histograms of twenty buckets."""
    pods = [ResourceRef("Pod", record.namespace, record.name) for record in store.records("Pod")]
    bounds = (*(step * scale / 1000 for scale in (1, 10, 100, 1000) for step in (1, 2, 3, 5, 8)), math.inf)[1:]
    found: list[Lifted] = []
    for kind, edges in (("Deployment", False), ("Deployment", True), ("Service", False), ("Node", False), ("Namespace", False)):
        samples = [
            Sample(
                resource=pod,
                peer=pods[number - 7] if edges else EVERYTHING,
                direction=Direction.TO if edges else Direction.FROM,
                side=Side.CLIENT if edges else Side.SERVER,
                success=100.0,
                failure=1.0,
                latency=Histogram(bounds, tuple(float(number * at % 7) for at in range(len(bounds)))),
            )
            for number, pod in enumerate(pods)
        ]
        view = await ClusterObjects(store).view((kind,), "", "")
        query = with_members(TrafficQuery((kind,), Window(60), 0, edges=edges), view)
        spent, rows = list[float](), 0
        for _ in range(_TIMES):
            start = time.process_time()
            rows = len(lifted(samples, query, view))
            spent.append(time.process_time() - start)
        found.append(Lifted(kind, edges, len(samples), rows, spent))
    return found


async def _main(kubeconfig: str) -> None:
    store = Store()
    noting, pool = _Noting(store), Pool()
    async with KubeClient.connect(kubeconfig) as kube, asyncio.TaskGroup() as group:
        tune()
        started = Process(os.getpid(), "").memory()
        reflectors = [Reflector(kube, watched, noting, SYSTEM_CLOCK, pool=pool) for watched in WATCHED]
        tasks = [group.create_task(reflector.run()) for reflector in reflectors]
        await store.settled([watched.kind for watched in WATCHED], _PATIENCE)
        assert store.unsynced() is None, store.unsynced()
        print(json.dumps(started), flush=True)
        while question := (await asyncio.to_thread(sys.stdin.readline)).strip():
            match question:
                case "measure":
                    answer: Sequence[object] = _held(store)
                case "lift":
                    answer = await _lift(store)
                case _:
                    answer = noting.noted
            print(json.dumps(answer), flush=True)
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    # As the server runs, where uvloop is installed.
    loops: Callable[[], asyncio.AbstractEventLoop] | None = None
    with suppress(ImportError):
        from uvloop import new_event_loop as loops
    with asyncio.Runner(loop_factory=loops) as runner:
        runner.run(_main(sys.argv[1]))
