"""What a server holds, seen from outside of its process and from inside, and the figures of a whole run as numbers for JSON."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from processes import Process

__all__ = ["Cycle", "Outside", "Sample", "look_at"]

_KIND = re.compile(r"[a-z_]+")


@dataclass(frozen=True, slots=True)
class Outside:
    """What Linux tells of a process.

    Bytes ``resident``, those it shares with nobody (``own``), its open ``descriptors`` by kind, ``threads``, and seconds of ``processor``
    time since it began.
    """

    resident: int
    own: int
    descriptors: dict[str, int]
    threads: int
    processor: float


@dataclass(frozen=True, slots=True)
class Sample:
    """A process ``at`` so many seconds after the beginning, while everybody asks.

    It has so many ``tasks`` of asyncio, and so many ``blocks`` of memory that Python has given out.
    """

    at: float
    outside: Outside
    tasks: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """What the server held at a point of rest, ``at`` so many seconds after the beginning, when everybody had gone home.

    What is inside (:class:`observed.Inside`) is that after a collection, and the resident size is that before it. ``watching`` and
    ``answering`` are what the server says it still does. ``requests``, ``watches`` and ``changes`` (of objects) are those of the cycle,
    ``unexpected`` the outcomes nobody should have met, ``processor`` the share of one processor that the server used, and ``leaking``
    what it was told to.
    """

    number: int
    at: float
    outside: Outside
    tasks: dict[str, int]
    objects: int
    blocks: int
    allocated: int
    types: dict[str, int]
    watching: int
    answering: int
    requests: int
    watches: int
    changes: int
    unexpected: int
    processor: float
    leaking: tuple[str, ...]


def look_at(process: Process) -> Outside:
    """What Linux tells of a process now."""
    folder = Path(f"/proc/{process.pid}")
    private = (line for line in (folder / "smaps_rollup").read_text(encoding="utf-8").splitlines() if line.startswith("Private_"))
    own = sum(int(line.split()[1]) * 1024 for line in private)
    return Outside(process.memory(), own, dict(_descriptors(folder / "fd")), process.threads(), process.cpu_seconds())


def _descriptors(folder: Path) -> Counter[str]:
    """Open files by kind: ``socket``, ``pipe``, ``file``, or what else the kernel calls them."""
    kinds: Counter[str] = Counter()
    for link in folder.iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue  # closed meanwhile
        if target.startswith("/"):
            kinds["file"] += 1
        else:
            found = _KIND.search(target.removeprefix("anon_inode:"))
            kinds[found[0] if found else target] += 1
    return kinds
