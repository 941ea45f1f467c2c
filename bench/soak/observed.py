"""The command ``trafficmetrics`` with somebody inside who looks: ``python bench/soak/observed.py serve ...``.

Nothing outside a process can count its tasks or the objects its garbage collector knows. So the server under the soak runs beside a task
that answers questions on its standard input, each a number and a word, with a line of JSON on its standard output, the number and an
:class:`Inside`: ``look`` and ``collect``, the second after a collection; ``leak-tasks``, ``leak-descriptors`` and ``leak-memory`` make the
server leak from then on, which shows whether the soak would notice. The server ends when its input does, so that nobody leaves it behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import ctypes
import gc
import json
import sys
from collections import Counter
from collections.abc import Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from apiservice.main import main

__all__ = ["LEAKS", "Inside"]

LEAKS = ("tasks", "descriptors", "memory")
_PACE = 0.1
"""Seconds between two things that are leaked."""
_LEAKED = 300_000
"""Bytes leaked at a time."""
_TYPES = 80
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Inside:
    """What a process knows of itself.

    ``tasks`` that are not done, by their coroutines, and the ``garbage`` that no collection could free; after a collection also all
    ``objects`` that can be part of cycles, and the most frequent of their ``types``. The task that looks is not counted. ``blocks`` are
    all pieces of memory that Python has given out, and ``allocated`` the bytes that the C library has, where it tells (glibc from 2.33):
    what is resident beyond these is free, and in pieces.
    """

    tasks: dict[str, int]
    objects: int
    types: dict[str, int]
    garbage: int
    blocks: int
    allocated: int


class _Runner(asyncio.Runner):  # type: ignore[misc]
    """Runs what it is given beside the task that looks."""

    def run(self, coro: Coroutine[Any, Any, _T], *, context: contextvars.Context | None = None) -> _T:
        return super().run(_beside(coro), context=context)


async def _beside(main_task: Coroutine[Any, Any, _T]) -> _T:
    this = asyncio.current_task()
    assert this is not None
    looking = asyncio.create_task(_look_when_asked(this))
    try:
        return await main_task
    finally:
        looking.cancel()


async def _look_when_asked(served: asyncio.Task[Any]) -> None:
    questions = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(questions), sys.stdin)
    leaking: list[asyncio.Task[None]] = []
    while line := (await questions.readline()).decode():
        number, question = line.split()
        if question.startswith("leak-"):
            leaking.append(asyncio.create_task(_leak(question.removeprefix("leak-"))))
        if question == "collect":
            gc.collect()
        print(json.dumps([int(number), asdict(_inside(leaking, thoroughly=question == "collect"))]), flush=True)
    served.cancel()


def _inside(leaking: list[asyncio.Task[None]], *, thoroughly: bool) -> Inside:
    ours = {asyncio.current_task(), *leaking}
    tasks = Counter(
        str(getattr(task.get_coro(), "__qualname__", task.get_coro())) for task in asyncio.all_tasks() if task not in ours
    )
    blocks = sys.getallocatedblocks()
    # Only while nothing is calculated in other threads: a tuple that one of them is making must not be referred to by anybody.
    known = gc.get_objects() if thoroughly else []
    types = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in known)
    return Inside(dict(tasks), len(known), dict(types.most_common(_TYPES)), len(gc.garbage), blocks, _allocated())


class _Allocation(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")
    ]


def _allocated() -> int:
    """Bytes in use of those the C library has given out; 0 where it does not tell."""
    with contextlib.suppress(AttributeError):
        tell = ctypes.CDLL(None).mallinfo2
        tell.restype = _Allocation
        found = tell()
        return int(found.uordblks) + int(found.hblkhd)
    return 0


async def _leak(what: str) -> None:
    """Lose one thing after the other."""
    tasks: list[asyncio.Task[bool]] = []
    files: list[BinaryIO] = []
    memory: list[bytes] = []
    while True:
        match what:
            case "tasks":
                tasks.append(asyncio.create_task(asyncio.Event().wait()))
            case "descriptors":
                files.append(Path("/dev/null").open("rb"))  # noqa: ASYNC230, SIM115 this one does not wait, and is to be lost
            case _:
                memory.append(b"\x01" * _LEAKED)
        await asyncio.sleep(_PACE)


if __name__ == "__main__":
    asyncio.Runner = _Runner  # type: ignore[misc]
    with contextlib.suppress(asyncio.CancelledError):
        sys.exit(main())
