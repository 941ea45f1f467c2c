"""What was learnt for one question, before it becomes an answer."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_api import Sample

__all__ = ["Observation"]


@dataclass(frozen=True, slots=True)
class Observation:
    """Samples, and sentences for their reader. ``windows`` are those that rows say they are of, where it is not the one asked for."""

    samples: tuple[Sample, ...]
    warnings: tuple[str, ...] = ()
    windows: frozenset[str] = frozenset()
