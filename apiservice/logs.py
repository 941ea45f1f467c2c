"""The log: how much is told, in which format, and for which request; written without keeping anybody waiting.

Verbosity is that of Kubernetes: 0 is what an operator must know, 3 adds a line for every request, 4 for every question asked of a source,
5 for every decision about who may. Lines are written by a thread: a reader of the log that stalls must not stall the server.
"""

from __future__ import annotations

import logging
import queue
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, TextIO

from apiservice.logformat import FIELDS, JsonFormatter, LogFormat, TextFormatter

__all__ = ["DECISIONS", "LARGEST_VERBOSITY", "QUESTIONS", "REQUESTS", "about", "fields", "level_of", "writing_log"]

LARGEST_VERBOSITY: Final = 10

_LOG = logging.getLogger(__name__)

_PACKAGES = ("apiservice", "backends", "metrics_api")
_WAITING = 10_000
"""Lines that may wait to be written; more are dropped, and counted."""
_PATIENCE = 2.0
"""Seconds the last lines have to be written."""

_context: ContextVar[Mapping[str, object]] = ContextVar("what a log line is about", default=MappingProxyType({}))


def level_of(verbosity: int) -> int:
    """The level at which :mod:`logging` knows a verbosity of Kubernetes."""
    return logging.INFO - min(verbosity, LARGEST_VERBOSITY)


REQUESTS = level_of(3)
"""The level of the lines about requests."""
QUESTIONS = level_of(4)
"""The level of the lines about questions asked of sources."""
DECISIONS = level_of(5)
"""The level of the lines about who somebody is and what they may do."""


def fields(values: Mapping[str, object]) -> dict[str, Any]:
    """What a line tells beside its message, by name; for the argument ``extra`` of the methods of a logger."""
    return {FIELDS: values}


@contextmanager
def about(audit_id: str) -> Iterator[None]:
    """Give every line that is logged meanwhile the audit id of a request, also those of tasks and threads started meanwhile."""
    token = _context.set({"audit-ID": audit_id})
    try:
        yield
    finally:
        _context.reset(token)


@contextmanager
def writing_log(stream: TextIO, form: LogFormat, level: int) -> Iterator[None]:
    """Write the log meanwhile: lines of this project from ``level`` on, warnings and errors of the libraries.

    Libraries tell no more at any verbosity: what they would tell holds headers, and so tokens; and less where ``level`` is higher.
    """
    handler = _Writer(stream, JsonFormatter(_context.get) if form is LogFormat.JSON else TextFormatter(_context.get))
    root = logging.getLogger()
    levels = {root: max(level, logging.WARNING)} | {logging.getLogger(name): level for name in _PACKAGES}
    before = {logger: logger.level for logger in levels}
    root.addHandler(handler)
    for logger, wanted in levels.items():
        logger.setLevel(wanted)
    logging.captureWarnings(capture=True)
    unraisable, sys.unraisablehook = sys.unraisablehook, _log_unraisable
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        logging.captureWarnings(capture=False)
        for logger, was in before.items():
            logger.setLevel(was)
        root.removeHandler(handler)
        handler.close()


def _log_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """Log what could not be raised, such as an error in a destructor."""
    error = unraisable.exc_value
    if isinstance(error, UnicodeDecodeError) and isinstance(unraisable.object, bytes):
        # The ssl module, of a client that asks for a server name which is none. Anybody can; the handshake has been refused.
        _LOG.log(REQUESTS, "a TLS client asks for a server by a name that is not ASCII")
        return
    _LOG.error("%s", unraisable.err_msg or "an error could not be raised", exc_info=error)


class _Writer(logging.Handler):
    """Formats where a line is logged, because only there is known for which request, and writes elsewhere."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """See :class:`logging.Handler`, which holds a lock meanwhile."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._dropped += 1
        except Exception:  # noqa: BLE001  a line that cannot be formatted must not end what it is about
            self.handleError(record)

    def close(self) -> None:
        """Write what waits; give up on a reader that takes nothing."""
        super().close()
        try:
            self._lines.put(None, timeout=_PATIENCE)
        except queue.Full:
            return
        self._thread.join(_PATIENCE)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            text = f"{line}\n{self._losses()}"
            try:
                self._stream.write(text)
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                # Nobody reads the log any more; the server is there for others.
                continue

    def _losses(self) -> str:
        """A line about lines that were dropped, if there were any."""
        with self.lock or threading.Lock():
            dropped, self._dropped = self._dropped, 0
        if not dropped:
            return ""
        record = logging.LogRecord(
            __name__, logging.WARNING, __file__, 0, "%d lines were dropped: the log is read too slowly", (dropped,), None
        )
        return f"{self.format(record)}\n"
