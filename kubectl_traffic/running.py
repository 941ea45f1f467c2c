"""Running kubectl: what it prints is read, and what it asks of its user while it is at work (a login's prompt) is shown at once."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PROMPT", "Outcome", "run"]

_PATIENCE = 0.3  # seconds that kubectl may take from its last word to its end; with an error, it ends at once
_PIECE = 1 << 16
_WARNING = b"Warning: "
PROMPT = b"Please enter "
"""How kubectl begins to ask for what its context lacks, on standard output (kubernetes/client-go: tools/clientcmd/auth_loaders.go)."""


class Outcome(NamedTuple):
    """What a command left behind: its exit code, its output, and what it said at its end, without what was shown before."""

    code: int
    out: bytes
    err: str


def run(command: Sequence[str]) -> Outcome:
    """Run a command to its end; its standard input stays ours. Raises :class:`FileNotFoundError` when there is no such program."""
    with (
        subprocess.Popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,  # noqa: S603 no shell
        selectors.DefaultSelector() as selector,
    ):
        assert process.stdout is not None  # noqa: S101 for the type checker
        assert process.stderr is not None  # noqa: S101
        out, err = bytearray(), bytearray()
        selector.register(process.stdout, selectors.EVENT_READ, out)
        selector.register(process.stderr, selectors.EVENT_READ, err)
        while selector.get_map():
            ready = selector.select(_PATIENCE if _pending(err) or out.startswith(PROMPT) else None)
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE)
                key.data.extend(piece)
                if not piece:
                    selector.unregister(key.fileobj)
            if not ready:
                _show(err)
                _ask(out)
    return Outcome(process.returncode, bytes(out), err.decode(errors="replace"))


def _pending(err: bytearray) -> bool:
    return any(not line.startswith(_WARNING) for line in err.splitlines())


def _ask(out: bytearray) -> None:
    """Show a prompt, which is no part of the answer."""
    if out.startswith(PROMPT):
        sys.stderr.write(out.decode(errors="replace"))
        sys.stderr.flush()
        out.clear()


def _show(err: bytearray) -> None:
    """Show what was said; warnings of the server are kept, they belong to its answer."""
    lines = err.splitlines(keepends=True)
    sys.stderr.write(b"".join(line for line in lines if not line.startswith(_WARNING)).decode(errors="replace"))
    sys.stderr.flush()
    err[:] = b"".join(line for line in lines if line.startswith(_WARNING))
