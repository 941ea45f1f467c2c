"""The forms that values of a configuration commonly have: texts, numbers within bounds, durations, words of a list, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from metrics_api.document import Node
from metrics_api.keys import Form
from metrics_api.window import parse_duration

__all__ = [
    "BOOLEAN",
    "DURATION",
    "FILE",
    "MAPPING",
    "SECRET",
    "TEXT",
    "TEXTS",
    "absent_secret",
    "choice",
    "fraction",
    "is_file",
    "member",
    "named",
    "parsed",
    "seconds",
    "shape",
    "short_duration",
    "whole",
]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

DURATION: Mapping[str, Any] = {"type": "string", "pattern": r"^[+-]?(0|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$"}
"""The schema of a duration as :func:`metrics_api.window.parse_duration` reads it."""

_SCALAR: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}


def short_duration(seconds: float) -> str:
    """Seconds as a person writes them: in the largest unit that gives a whole number."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def is_file(path: str) -> bool:
    """Whether there is a file of that name, and it may be looked at; what can be the name of none is the name of none."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def named(path: str, otherwise: str) -> str:
    """What a message calls a file that holds a secret: ``otherwise`` where it does not look like a path and may be the secret itself."""
    return f'"{path}"' if path.startswith("/") and "\n" not in path else otherwise


def absent_secret(node: Node, path: str) -> None:
    """Say that a file that holds a secret is not there, which is no mistake: it may come later."""
    node.remark(f"there is no file {named(path, 'of that name')} here; without it nothing is asked")


def parsed(
    parse: Callable[[str], T],
    allowed: str,
    *,
    schema: Mapping[str, Any] | None = None,
    write: Callable[[T], Any] = str,
) -> Form[T]:
    """A single value that ``parse`` makes something of; a :class:`BadQuery` or ValueError from it is the mistake that is told."""
    return Form(allowed, schema or {"type": "string"}, lambda node, default: node.read(parse, default), write)


def shape(allowed: str, schema: Mapping[str, Any]) -> Form[Any]:
    """What is read by whom it concerns."""
    return Form(allowed, schema)


def whole(low: int, high: int) -> Form[int]:
    """A whole number within bounds."""
    told = f"{low} to {high}"
    schema = {"type": "integer", "minimum": low, "maximum": high}
    return Form(told, schema, lambda node, default: node.integer(low, high, default), int)


def seconds(low: str, high: str) -> Form[int]:
    """A duration in whole seconds within bounds."""
    least, most = parse_duration(low), parse_duration(high)

    def read(text: str) -> int:
        told = parse_duration(text)
        if told.denominator != 1 or not least <= told <= most:
            raise ValueError(f'"{text}" must be in whole seconds, from {low} to {high}')
        return int(told)

    return parsed(read, f"`{low}` to `{high}`", schema=DURATION, write=short_duration)


def fraction(low: str, high: str, never: str = "") -> Form[float]:
    """A duration within bounds, of which the least may stand for ``never``."""
    least, most = parse_duration(low), parse_duration(high)

    def read(text: str) -> float:
        told = parse_duration(text)
        if not least <= told <= most:
            raise ValueError(f'"{text}" must be from {low}{never and f", which is {never},"} to {high}')
        return float(told)

    return parsed(read, f"`{low}` to `{high}`", schema=DURATION, write=short_duration)


def choice(words: Iterable[str]) -> Form[str]:
    """One of a few words."""
    known = list(words)
    return Form(_told(known), {"enum": known}, lambda node, default: node.choice(known, default))


def member(options: type[E]) -> Form[E]:
    """One of the words of an enumeration."""
    words = [each.value for each in options]

    def read(node: Node, default: E) -> E:
        return options(node.choice(words, default.value))

    return Form(_told(words), {"enum": words}, read, lambda each: each.value)


def _told(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _file(node: Node, default: str) -> str:
    path = node.text(default)
    if path and not is_file(path):
        node.absent(path)
    return path


def _secret(node: Node, default: str) -> str:
    path = node.text(default)
    if not path:
        node.problem("name a file")
    elif not is_file(path):
        absent_secret(node, path)
    return path


TEXT: Form[str] = Form("", {"type": "string"}, lambda node, default: node.text(default))
"""Any text."""
FILE: Form[str] = Form("a file", {"type": "string"}, _file)
"""The path of a file that is there."""
SECRET: Form[str] = Form("a file", {"type": "string"}, _secret)
"""The path of a file that may come and go: it is read each time it is needed."""
BOOLEAN: Form[bool] = Form("`true`, `false`", {"type": "boolean"}, lambda node, default: node.boolean(default=default), bool)
TEXTS: Form[tuple[str, ...]] = Form(
    "a list", {"type": "array", "items": {"type": "string"}}, lambda node, _: tuple(node.texts()), list
)
MAPPING: Form[Mapping[str, str]] = Form(
    "a mapping", {"type": "object", "additionalProperties": _SCALAR}, lambda node, _: node.text_mapping(), dict
)
"""Texts by name."""
