"""Answers of the query API, before they are encoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

__all__ = ["Answer", "limited"]

T = TypeVar("T")

TRUNCATED = "results truncated due to limit"


class Answer(NamedTuple):
    """``data`` is what the envelope holds; ``warnings`` are sentences for the reader."""

    data: Any
    warnings: Sequence[str] = ()


def limited(found: list[T], limit: int, warnings: Sequence[str] = ()) -> tuple[list[T], list[str]]:
    """The first ``limit`` of what was found, 0 for all, with a warning, in the words of Prometheus, when some are left out."""
    if not limit or len(found) <= limit:
        return found, list(warnings)
    return found[:limit], [*warnings, TRUNCATED]
