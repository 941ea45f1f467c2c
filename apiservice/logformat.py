"""Lines of the log as Kubernetes' own components write them: klog's text, or JSON.

Whatever is told of a request may have been written by its sender. So text is quoted as Go quotes it, and only the indented lines of a
stack trace are not: nobody can make a line that looks like one of ours. Formats: ``k8s.io/klog/v2``, ``k8s.io/component-base/logs/json``.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import PurePath
from typing import Any

__all__ = ["FIELDS", "JsonFormatter", "LogFormat", "TextFormatter", "go_duration", "quote"]

FIELDS = "fields"
"""The attribute of a record that holds what the line tells beside its message, by name."""

_SEVERITIES = ((logging.ERROR, "E"), (logging.WARNING, "W"))
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"))

Context = Callable[[], Mapping[str, object]]
"""What every line tells, as of now."""


class LogFormat(StrEnum):
    """What lines look like."""

    TEXT = "text"
    JSON = "json"


class TextFormatter(logging.Formatter):
    """klog's format: severity, date, process and place, then the message and ``key=value`` pairs."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._pid = f"{os.getpid():>7}"

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end; a stack trace adds indented ones."""
        severity = next((letter for level, letter in _SEVERITIES if record.levelno >= level), "I")
        moment = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1_000_000)
        place = f"{record.filename}:{record.lineno}"
        pairs = "".join(f" {key}={_value(value)}" for key, value in _fields(record, self._context()).items())
        line = f"{severity}{moment}.{micros:06} {self._pid} {place}] {quote(record.getMessage())}{pairs}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            indented = "".join(f"\t{_printable(one)}\n" for one in trace.splitlines())
            line += f" stack=<\n{indented} >"
        return line


class JsonFormatter(logging.Formatter):
    """component-base's format: ``ts`` in milliseconds, ``caller``, ``msg``, ``v``, and whatever else the line tells.

    Kubernetes knows information, which has a ``v``, and errors, which have an ``err``; a warning is information with a ``level``.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        document: dict[str, object] = {
            "ts": round(record.created * 1000, 3),
            "caller": f"{'/'.join(PurePath(record.pathname).parts[-2:])}:{record.lineno}",
            "msg": record.getMessage(),
        }
        if record.levelno >= logging.WARNING:
            document["level"] = record.levelname.lower()
        if record.levelno < logging.ERROR:
            document["v"] = max(logging.INFO - record.levelno, 0)
        document |= _fields(record, self._context())
        if record.exc_info:
            document["stack"] = self.formatException(record.exc_info)
        # Escapes everything but ASCII: bytes that are not UTF-8, which Python reads as surrogates, cannot break the line either.
        return json.dumps(document, default=str, separators=(",", ":"))


def quote(text: str) -> str:
    """Text in double quotes as Go's ``strconv.Quote`` has it: whatever cannot be printed is escaped."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def go_duration(seconds: float) -> str:
    """A duration as Go prints it below a minute (``1.2ms``), to the microsecond; longer ones in seconds, too."""
    nanos = round(seconds * 1_000_000) * 1_000
    scale, unit = next(((scale, unit) for scale, unit in _UNITS if nanos >= scale), (1, "s"))
    return f"{nanos / scale:.6f}".rstrip("0").rstrip(".") + unit


def _fields(record: logging.LogRecord, context: Mapping[str, object]) -> dict[str, Any]:
    """What a line tells beside its message: its own fields, the context, and the error it was written for."""
    fields = {**getattr(record, FIELDS, {}), **context}
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        fields.setdefault("err", f"{type(error).__name__}: {error}")
    return fields


def _value(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int | float):
        return str(value)
    return quote(str(value))


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in line)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
