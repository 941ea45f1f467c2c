"""A terminal with a command in it: a real pseudo terminal, what is typed into it, and what it shows."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["Terminal", "open_terminal"]

_STEP = 0.02
_PATIENCE = 20.0


@dataclass
class Terminal:
    """What has been written to the terminal so far is ``written``; ``modes`` are those it had before the command began."""

    process: asyncio.subprocess.Process
    descriptor: int
    modes: list[object]
    written: str = field(default="")

    async def until(self, holds: Callable[[str], bool]) -> str:
        """Read until something holds of all that was written."""
        end = time.monotonic() + _PATIENCE
        while not holds(self.written):
            assert time.monotonic() < end, self.written
            await asyncio.sleep(_STEP)
            self._read()
        return self.written

    async def ended(self) -> int:
        """Read to the end of the command; its exit code."""
        code = await asyncio.wait_for(self.process.wait(), _PATIENCE)
        self._read()
        return code

    def type(self, keys: str) -> None:
        """Press keys, of which Ctrl-C is the character 3."""
        os.write(self.descriptor, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give it another size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def modes_now(self) -> list[object]:
        """Its modes: whether keys are shown, and so on."""
        return termios.tcgetattr(self.descriptor)

    def frames(self) -> list[list[str]]:
        """What was drawn, one redraw after the other, without control sequences."""
        return [
            [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip() for line in frame.split("\x1b[?2026l")[0].split("\r\n")]
            for frame in self.written.split("\x1b[?2026h")[1:]
        ]

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(self.descriptor, 65536):
                self.written += piece.decode()


@contextlib.asynccontextmanager
async def open_terminal(command: list[str], environment: Mapping[str, str], columns: int, lines: int) -> AsyncIterator[Terminal]:
    """Run a command in a terminal of its own, in which it is what Ctrl-C ends."""
    ours, theirs = os.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    os.set_blocking(ours, False)
    process = await asyncio.create_subprocess_exec(
        *("setsid", "--ctty", *command),
        env=dict(environment),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    terminal = Terminal(process, ours, termios.tcgetattr(ours))
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
        os.close(theirs)
