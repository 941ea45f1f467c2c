"""How much is worked on at once: a server that takes everything answers nobody in time, and in the end runs out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from apiservice.status import too_many_requests

__all__ = ["Slots"]


class Slots:
    """Room for ``limit`` of one kind, called ``what`` in the plural; 0 is no limit.

    Nobody waits for a slot. Whoever finds none is told to come back in a second: waiting, too, would take memory, and who waits cannot
    go to another replica.
    """

    def __init__(self, limit: int, what: str) -> None:
        self._limit = limit
        self._what = what
        self._taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold one slot; raises a 429 when there is none."""
        if self._limit and self._taken >= self._limit:
            raise too_many_requests(self._limit, self._what)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
