"""What the service answers to one question: rows, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from apiservice.hiding import Places
from metrics_api.objects import TrafficMetrics
from metrics_api.window import Window

__all__ = ["Result"]


@dataclass(frozen=True, slots=True)
class Result:
    """One answer. ``rows`` are in the order they are sent.

    ``instant`` is what the rows are of, in Unix seconds, and ``asked`` what was asked about: sources may know no later one than another
    instant. It is None while nobody has said.

    ``warnings`` are sentences for the reader; ``incomplete`` says that a source failed and rows or values may be missing.
    ``hidden`` are the places of the peers that the question says not to tell of: they are for whoever asks it, and never sent.
    """

    rows: tuple[TrafficMetrics, ...]
    instant: int
    window: Window
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    hidden: Places = frozenset()
    asked: int | None = None
