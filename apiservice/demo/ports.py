"""Free loopback ports for programs that must be told their ports before they start, because others are told them too.

A port found free may be taken by somebody else a moment later. On Linux it can be held until the program has it: Envoy opens its
listeners with SO_REUSEPORT, so it may bind a port that this process has bound in the same way and never listens on.
"""

from __future__ import annotations

import socket
import sys
from types import TracebackType
from typing import Self

__all__ = ["PortReservation"]


class PortReservation:
    """Ports reserved from :meth:`take` to the end of the ``with`` block; other systems than Linux just find free ones."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._held: list[socket.socket] = []

    def take(self) -> int:
        """A free port, different from every other one taken."""
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._held.append(held)
        if sys.platform == "linux":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((self._host, 0))
        return int(held.getsockname()[1])

    def hand_over(self) -> None:
        """Call when every port is taken and the programs are about to start: where they could not bind a held port, lets go of them."""
        if sys.platform != "linux":
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        while self._held:
            self._held.pop().close()
