r"""The Prometheus text format, 0.0.4, and OpenMetrics 1.0, of which a few metrics are read and all others passed over.

A proxy exposes thousands of lines every few seconds, nearly all of which differ from the last time in their value alone. So a line is
split into its *head*, the text that names the series, and its value; what a head means (:func:`read_head`) is worked out once per series.

Timestamps and exemplars are read over: a sample counts at the time it was scraped. Counts are all that is read, so a value that is no
count (NaN, infinite, negative) is left out.

Source of the formats: prometheus/docs, content/docs/instrumenting/exposition_formats.md; OpenMetrics specification 1.0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

__all__ = ["Exposition", "ExpositionError", "Samples", "line_of", "read_head"]

_CHUNK = 1 << 16
_END = b"# EOF"
_SAMPLE = re.compile(
    rb"""
    (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*+)
    (?P<open>[ \t]*+ \{ (?P<labels> (?: [^"}] | "(?:[^"\\]|\\.)*+" )*+ ) \} )?+
    [ \t]*+ (?P<value>[^ \t\#{}"]++)
    (?: [ \t]++ (?P<timestamp>[-+]?[0-9][-+0-9.eE]*+) )?+
    [ \t]*+ (?P<exemplar>\#[ \t].*+)?+
    """,
    re.VERBOSE | re.DOTALL,
)
_LABEL = re.compile(r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*+)"[ \t]*(,|$)', re.DOTALL)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}

Samples = list[tuple[bytes, float]]
"""Heads and values."""


class ExpositionError(ValueError):
    """A text is not in the format. The message names the line, and quotes none of it: it may be anything."""


class Exposition:
    """Reads the series of ``metrics``, names as they stand in the text, out of whole texts."""

    def __init__(self, metrics: Iterable[str]) -> None:
        names = sorted(metrics)
        self._starts = tuple(f"{name}{after}".encode() for name in names for after in "{ ")
        self._odd_starts = tuple(f"{name}{after}".encode() for name in names for after in "{ \t")

    def read(self, body: bytes, *, open_metrics: bool = False) -> Iterator[Samples]:
        """Pairs of head and value, a list per stretch of the text: between two, the caller may let others work.

        ``open_metrics`` texts must end as OpenMetrics does. Raises :class:`ExpositionError`, possibly after some lists.
        """
        _check_ends(body, open_metrics=open_metrics)
        position, line = 0, 1
        while position < len(body):
            end = body.rfind(b"\n", position, position + _CHUNK) + 1
            if end <= 0:
                # A line longer than a stretch; the text ends in a line feed.
                end = (body.find(b"\n", position) + 1) or len(body)
            chunk = body[position:end]
            yield self._chunk(chunk, line)
            line += chunk.count(b"\n")
            position = end

    def _chunk(self, chunk: bytes, number: int) -> Samples:
        """The samples in some whole lines, of which ``number`` is the first."""
        if b"\t" in chunk or b"\n " in chunk or b" # " in chunk or chunk[:1] == b" ":
            return self._careful(chunk, number)
        starts = self._starts
        samples: Samples = []
        keep = samples.append
        lines = chunk.split(b"\n")
        for line in lines:
            if not line.startswith(starts):
                continue
            head, labels, value = line.rpartition(b"} ")
            if not labels:
                head, _, value = line.partition(b" ")
            try:
                count = float(value)
            except ValueError:
                return self._careful(chunk, number)
            if not labels and b"{" in head:
                return self._careful(chunk, number)
            if 0.0 <= count < math.inf:
                keep((head, count))
        return samples

    def _careful(self, chunk: bytes, number: int) -> Samples:
        """The same for lines with blanks in odd places, timestamps or exemplars, and for those that are malformed."""
        samples: Samples = []
        for at, line in enumerate(chunk.split(b"\n"), number):
            line = line.lstrip(b" \t")
            if not line.startswith(self._odd_starts):
                continue
            line = line.rstrip(b" \t\r")
            match = _SAMPLE.fullmatch(line)
            if match is None:
                raise ExpositionError(f"line {at} is not a sample, which is a name, labels in braces and a number")
            try:
                count = float(match["value"])
            except ValueError:
                raise ExpositionError(f"the value in line {at} is not a number") from None
            if 0.0 <= count < math.inf:
                samples.append((line[: match.end("labels")] if match["open"] else match["name"], count))
        return samples


def _check_ends(body: bytes, *, open_metrics: bool) -> None:
    """Refuse what is something else altogether, and what is only the beginning of a text."""
    text = body.lstrip()
    first = text[:_CHUNK].partition(b"\n")[0].rstrip()
    if first and not first.startswith(b"#") and len(first) < _CHUNK - 1 and _SAMPLE.fullmatch(first) is None:
        blank = body[: len(body) - len(text)].count(b"\n")
        raise ExpositionError(f"line {blank + 1} is neither a comment nor a sample")
    complete = body[-64:].rstrip().endswith(_END)
    if open_metrics and not complete:
        raise ExpositionError("the text breaks off: OpenMetrics ends with # EOF")
    if body and not complete and not body.endswith(b"\n"):
        raise ExpositionError("the text breaks off in the middle of its last line")


def read_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Name and labels of a series. ValueError says what is wrong with the text."""
    try:
        text = head.decode()
    except UnicodeDecodeError:
        raise ValueError("a label is not UTF-8") from None
    name, _, rest = text.partition("{")
    name, rest = name.rstrip(" \t"), rest.rstrip(" \t")
    if not _NAME.fullmatch(name):
        raise ValueError("a name has characters that names cannot have")
    labels: dict[str, str] = {}
    position = 0
    while position < len(rest):
        match = _LABEL.match(rest, position)
        if match is None:
            raise ValueError(f'the labels of {name} are not written as label="value"')
        label, value, _ = match.groups()
        if label in labels:
            raise ValueError(f"{name} has a label twice")
        labels[label] = _ESCAPE.sub(_unescaped, value) if "\\" in value else value
        position = match.end()
    return name, labels


def line_of(body: bytes, head: bytes) -> int:
    """The number of the line that starts with ``head``."""
    at = body.find(b"\n" + head) + 1 or body.find(head)
    return 1 + body[: max(at, 0)].count(b"\n")


def _unescaped(match: re.Match[str]) -> str:
    # An unknown escape stands for itself, as in Prometheus.
    return _ESCAPES.get(match[1], match[0])
