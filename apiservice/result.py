"""What the service answers to one question: rows, and how far they can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from apiservice.hiding import Places
from metrics_api.objects import TrafficMetrics
from metrics_api.resources import GROUP
from metrics_api.window import Window

__all__ = ["STALE", "Result"]

STALE = f"{GROUP}/stale"
"""The annotation of rows whose source gave numbers that are older than they need be."""


@dataclass(frozen=True, slots=True)
class Result:
    """One answer. ``instant`` is Unix seconds; ``rows`` are in the order they are sent.

    ``warnings`` are sentences for the reader; ``incomplete`` says that a source failed and rows or values may be missing.
    ``hidden`` are the places of the peers that the question says not to tell of: they are for whoever asks it, and never sent.
    """

    rows: tuple[TrafficMetrics, ...]
    instant: int
    window: Window
    warnings: tuple[str, ...] = ()
    incomplete: bool = False
    hidden: Places = frozenset()

    @property
    def stale(self) -> bool:
        """Whether a source gave older numbers than it could: they are no step back in time."""
        return any(STALE in row.annotations for row in self.rows)
