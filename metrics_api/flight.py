"""Asking once what several want to know at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Sharing", "SingleFlight"]

T = TypeVar("T")


class Sharing:
    """Whom those who share answers tell how each was come by, so that it can be counted; this one does not care."""

    def held(self) -> None:
        """It was there already."""

    def missed(self) -> None:
        """It has to be made."""

    def joined(self) -> None:
        """It was being made already, for somebody else."""


class SingleFlight(Generic[T]):
    """Of those who ask under one key at one time, the first does the work and all get its outcome.

    There is no task in the background: when the one who works is cancelled, the next in line takes over.
    """

    def __init__(self) -> None:
        self._flying: dict[Hashable, asyncio.Future[tuple[T] | Exception | None]] = {}

    async def once(self, key: Hashable, work: Callable[[], Awaitable[T]], joined: Callable[[], None] | None = None) -> T:
        """The outcome of ``work``, or of the same work already under way; its exception likewise.

        ``joined`` is called when the outcome is that of somebody else's work.
        """
        while (flying := self._flying.get(key)) is not None:
            # Shielded, because cancelling one who waits must not cancel what the others wait for.
            landed = await asyncio.shield(flying)
            if landed is not None and joined is not None:
                joined()
            if isinstance(landed, Exception):
                raise landed
            if landed is not None:
                return landed[0]
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        outcome: tuple[T] | Exception | None = None
        try:
            value = await work()
            outcome = (value,)
        except Exception as error:
            outcome = error
            raise
        else:
            return value
        finally:
            del self._flying[key]
            flying.set_result(outcome)
            # An error refers to this frame, and would be kept by what refers to the error here.
            del flying, outcome
