"""Figures: medians of repeated measurements, and small tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

__all__ = ["Table", "megabytes", "milliseconds", "ratio", "seconds"]


class Table:
    """Rows under a title; ``note`` says what the columns mean where their names cannot."""

    def __init__(self, title: str, columns: Sequence[str], note: str = "") -> None:
        self._title = title
        self._note = note
        self._rows: list[list[str]] = [list(columns)]

    def add(self, *cells: Any) -> None:
        """One row; cells that are left out at its end are empty."""
        self._rows.append([*map(str, cells), *[""] * (len(self._rows[0]) - len(cells))])

    def print(self) -> None:
        """To standard output, the first column to the left and the others to the right."""
        widths = [max(len(row[index]) for row in self._rows) for index in range(len(self._rows[0]))]
        print(f"\n{self._title}")
        for number, (first, *rest) in enumerate(self._rows):
            aligned = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
            print("  " + "  ".join([first.ljust(widths[0]), *aligned]).rstrip())
            if not number:
                print("  " + "  ".join("-" * width for width in widths))
        if self._note:
            print(f"  {self._note}")


def seconds(values: Sequence[float]) -> str:
    """The median of measured seconds."""
    value = median(values)
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"


def milliseconds(value: float) -> str:
    """Seconds as milliseconds, where microseconds matter."""
    return f"{value * 1000:.2f} ms"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the ratios of what was measured in the same round: what slows a round down slows both."""
    return f"{median(one / other for one, other in zip(ours, theirs, strict=True)):.2f}"


def megabytes(size: float) -> str:
    """Bytes in millions."""
    return f"{size / 1e6:.1f} MB"
