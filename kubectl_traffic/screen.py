"""A terminal that is drawn on: what changes is written over, so that nothing flickers, and everything is as it was when it is left.

The control sequences are those of xterm (invisible-island.net: "XTerm Control Sequences"): 1049 is the alternate screen, 25 the cursor,
7 the wrapping of lines; terminals that know 2026 show a redraw at once (contour-terminal/vt-extensions: synchronized-output.md).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from kubectl_traffic.sheet import clip

try:
    import termios
except ImportError:  # Windows, where keys are not read
    termios = None  # type: ignore[assignment]

__all__ = ["Screen", "has_colours", "terminal_width"]

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_GLANCE = 0.2  # seconds between looks at the size of the terminal
_QUIT = b"q"


def has_colours(wish: str = "auto") -> bool:
    """Whether output is coloured: ``always``, ``never``, or ``auto``: on a terminal, unless NO_COLOR is set (no-color.org)."""
    if wish != "auto":
        return wish == "always"
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def terminal_width() -> int:
    """How many characters a line of standard output has; 0, for any number, where it is no terminal."""
    return _size().columns if sys.stdout.isatty() else 0


class Screen:
    """The terminal of standard output, between :meth:`open` and its end."""

    def __init__(self) -> None:
        self._size = os.terminal_size((80, 24))

    @property
    def width(self) -> int:
        """How many characters a line has."""
        return self._size.columns

    @property
    def height(self) -> int:
        """How many lines there are."""
        return self._size.lines

    @contextlib.contextmanager
    def open(self) -> Iterator[Screen]:
        """Take the terminal, and give it back however this ends; SIGTERM and SIGHUP end it as Ctrl-C does."""
        self._size = _size()
        with _quiet_keys(), _ending_signals():
            sys.stdout.write(_ENTER)
            try:
                yield self
            finally:
                sys.stdout.write(_LEAVE)
                sys.stdout.flush()

    def draw(self, lines: Sequence[str]) -> None:
        """Show these lines, as far as there is room for them, in the place of what was there."""
        shown = "\n".join(clip(line, self.width) + _REST_OF_LINE for line in lines[: self.height])
        sys.stdout.write(f"{_BEGIN}{_HOME}{shown}{_REST_OF_SCREEN}{_END}")
        sys.stdout.flush()

    def wait(self, seconds: float) -> str:
        """Wait, but no longer than until the terminal has another size (``resized``) or somebody presses q (``quit``)."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if _pressed(min(left, _GLANCE)) == _QUIT:
                return "quit"
            if (size := _size()) != self._size:
                self._size = size
                return "resized"
        return ""


def _size() -> os.terminal_size:
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return os.terminal_size((80, 24))
    # A terminal whose size nobody has set says 0.
    return os.terminal_size((size.columns or 80, size.lines or 24))


def _pressed(seconds: float) -> bytes:
    """The key that is pressed within a time; empty for none."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return b""
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    if not ready:
        return b""
    # A terminal that is gone is at its end, and would be so at once each time.
    return os.read(sys.stdin.fileno(), 1) or _QUIT


@contextlib.contextmanager
def _quiet_keys() -> Iterator[None]:
    """Keys are read one by one and not shown; Ctrl-C and Ctrl-Z do what they always do."""
    if termios is None or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before: list[Any] = termios.tcgetattr(descriptor)
    quiet = [*before[:3], before[3] & ~(termios.ECHO | termios.ICANON), *before[4:]]
    termios.tcsetattr(descriptor, termios.TCSADRAIN, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _ending_signals() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {name: signal.signal(getattr(signal, name), end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)
