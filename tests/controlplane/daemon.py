"""A server run as a child process: its output in a file, and certain to be gone afterwards."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["Daemon"]


class Daemon:
    """One child process. ``log`` receives what it prints, both streams, after what is there already."""

    def __init__(self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        # Its own session, or Ctrl-C in a terminal would reach etcd before the server that still writes to it. The
        # kernel ends it if the test run is killed before it can clean up (Linux; elsewhere such a run leaves it behind).
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*tied, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id, of the server itself."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    async def ended(self, patience: float) -> bool:
        """Waits for its end, at most ``patience`` seconds; whether it came."""
        try:
            await asyncio.to_thread(self._process.wait, patience)
        except subprocess.TimeoutExpired:
            return False
        return True

    async def stop(self, patience: float = 10.0) -> None:
        """Ends it: SIGTERM, and SIGKILL when it is still there after ``patience`` seconds."""
        if self._process.poll() is None:
            self._process.terminate()
            if not await self.ended(patience):
                self._process.kill()
                self._process.wait()

    def printed(self) -> int:
        """How many bytes it has printed so far."""
        return self.log.stat().st_size

    def lines(self, since: int = 0) -> list[str]:
        """The whole lines it printed after byte ``since``."""
        with self.log.open("rb") as output:
            output.seek(since)
            text = output.read()
        return text[: text.rfind(b"\n") + 1].decode(errors="replace").splitlines()

    async def until_printed(self, wanted: Callable[[str], bool], since: int = 0, patience: float = 30) -> str:
        """The first line after byte ``since`` that is wanted, waiting for it.

        Raises:
            RuntimeError: when it does not come in ``patience`` seconds, or cannot; says what came instead.

        """
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            ended = self.exit_code() is not None
            for line in self.lines(since):
                if wanted(line):
                    return line
            if ended or asyncio.get_running_loop().time() >= deadline:
                state = "has ended" if ended else f"still runs after {patience:g} s"
                raise RuntimeError(f"{self.name} {state} and printed something else:\n{self.tail(40, since)}")
            await asyncio.sleep(0.05)

    def tail(self, lines: int = 40, since: int = 0) -> str:
        """The last lines it printed, of those after byte ``since``."""
        with self.log.open("rb") as output:
            output.seek(since)
            text = output.read().decode(errors="replace")
        return "\n".join(text.splitlines()[-lines:])
