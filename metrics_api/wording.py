"""Sentences for readers: how many of many names a message gives."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["first_few"]

_FEW = 3


def first_few(names: Sequence[str]) -> str:
    """The first three names, and how many more there are: ``a, b, c and 4 more``."""
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
