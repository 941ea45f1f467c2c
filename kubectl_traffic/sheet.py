"""Tables as text: the columns as wide as kubectl makes them, or as narrow as a terminal needs them.

The widths are those of kubernetes/kubernetes (staging/src/k8s.io/cli-runtime/pkg/printers/tabwriter.go): at least 6, three spaces apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["Cell", "Heading", "clean", "clip", "lay_out", "shorten"]

_LEAST, _APART = 6, 3
_READABLE, _SHORTEST = 20, 12  # characters of a name, for which spare columns are given up, and which are left in any case
_CODES = {"red": "31", "yellow": "33", "green": "32", "cyan": "36", "dim": "2", "bold": "1"}
_RESET = "\x1b[0m"


class Heading(NamedTuple):
    """The head of a column. Cells of an ``elastic`` one may be shortened; of those that are ``spare`` the highest is left out first."""

    text: str
    elastic: bool = False
    spare: int = 0


class Cell(NamedTuple):
    """A text, and the colour it has where there are colours (``red``, ``dim``); empty for that of the terminal."""

    text: str
    colour: str = ""


def lay_out(headings: Sequence[Heading], rows: Sequence[Sequence[Cell]], *, width: int = 0, colour: bool = False) -> list[str]:
    """The lines of a table, the first of which is the head; without headings' texts (all empty) there is no head.

    ``width`` is how many characters a line may have, 0 for any number: names are shortened in the middle, then spare columns left out.
    What has no room even so is longer.
    """
    lines = [[Cell(heading.text, "bold" if colour else "") for heading in headings]] if any(head.text for head in headings) else []
    lines += [[Cell(clean(cell.text), cell.colour) for cell in row] for row in rows]
    shown = list(range(len(headings)))
    widths = [max((len(line[at].text) for line in lines), default=0) for at in shown]
    if width:
        least = [min(widths[at], _READABLE) if headings[at].elastic else widths[at] for at in shown]
        while _needed([least[at] for at in shown]) > width and (spare := [at for at in shown if headings[at].spare]):
            shown.remove(max(spare, key=lambda at: headings[at].spare))
        _narrow(widths, shown, [headings[at].elastic for at in range(len(headings))], width)
    return [_line([(line[at], widths[at]) for at in shown], colour=colour) for line in lines]


def _needed(widths: Sequence[int]) -> int:
    """How long a line is; the last column needs nothing behind it."""
    return sum(max(_LEAST, width + _APART) for width in widths[:-1]) + (widths[-1] if widths else 0)


def _narrow(widths: list[int], shown: Sequence[int], elastic: Sequence[bool], width: int) -> None:
    """Take from the widest elastic column, one character at a time, until a line fits or nothing is left to take."""
    while _needed([widths[at] for at in shown]) > width:
        widest = max((at for at in shown if elastic[at] and widths[at] > _SHORTEST), key=lambda at: widths[at], default=None)
        if widest is None:
            return
        widths[widest] -= 1


def _line(cells: Sequence[tuple[Cell, int]], *, colour: bool) -> str:
    parts = []
    for at, (cell, width) in enumerate(cells):
        text = shorten(cell.text, width)
        gap = "" if at == len(cells) - 1 else " " * (max(_LEAST, width + _APART) - len(text))
        parts.append((f"\x1b[{_CODES[cell.colour]}m{text}{_RESET}" if colour and cell.colour and text else text) + gap)
    return "".join(parts)


def shorten(text: str, width: int) -> str:
    """A text in at most ``width`` characters: names differ at their ends and say what they are at their beginnings, so the middle goes."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def clean(text: str) -> str:
    """A text that does nothing to a terminal: names come from whoever sends requests, and may hold what moves a cursor."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def clip(line: str, width: int) -> str:
    """The beginning of a line that shows in ``width`` characters; its colours take no room."""
    shown, kept, at = 0, [], 0
    while at < len(line):
        if line.startswith("\x1b[", at):
            end = line.index("m", at) + 1
            kept.append(line[at:end])
            at = end
            continue
        if shown < width:
            kept.append(line[at])
            shown += 1
        at += 1
    return "".join(kept)
