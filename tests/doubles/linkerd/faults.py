"""What goes wrong on the way, when a test says so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import NamedTuple

import grpc

__all__ = ["Fault", "Faults"]


class Fault(NamedTuple):
    """A call ends with this status instead of an answer."""

    code: grpc.StatusCode
    message: str = ""


@dataclass(slots=True)
class Faults:
    """What is to go wrong, by method (``StatSummary``); the method ``*`` is all of them.

    ``failing`` end with a status, ``garbled`` answer these bytes, ``slow`` take so many seconds more, and what is in ``held`` answers when
    its event is set.
    """

    failing: dict[str, Fault] = field(default_factory=dict)
    garbled: dict[str, bytes] = field(default_factory=dict)
    slow: dict[str, float] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)

    async def pause(self, method: str) -> None:
        """Waits as long as the method is told to take."""
        for name in (method, "*"):
            if name in self.slow:
                await asyncio.sleep(self.slow[name])
            if name in self.held:
                await self.held[name].wait()

    def fault(self, method: str) -> Fault | None:
        """How a call of the method ends, if not with an answer."""
        return self.failing.get(method, self.failing.get("*"))

    def bytes(self, method: str) -> bytes | None:
        """What is sent in the place of an answer."""
        return self.garbled.get(method, self.garbled.get("*"))

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        for each in (self.failing, self.garbled, self.slow):
            each.clear()
        for event in self.held.values():
            event.set()
        self.held.clear()
