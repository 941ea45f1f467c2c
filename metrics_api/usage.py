"""What a source that is paid for by use has been asked for, and what that comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

__all__ = ["Metered", "Usage"]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a source has used since it was opened.

    ``calls``: requests sent to its API, by operation, repeated ones included. ``billed``: metrics requested, which is what is paid for.
    ``throttled``: requests it turned away because there were too many. ``refused``: questions that were answered with older numbers, or
    not at all, because the budget was used up. ``monthly_dollars``: what a month costs that goes on like the last hour, None when its use
    is free of charge.
    """

    calls: Mapping[str, int] = field(default_factory=dict)
    billed: int = 0
    throttled: int = 0
    refused: int = 0
    monthly_dollars: float | None = None


@runtime_checkable
class Metered(Protocol):
    """A source whose use is counted."""

    @property
    def name(self) -> str:
        """The name it has in the configuration."""
        ...

    def usage(self) -> Usage:
        """What it has used so far. Does no I/O."""
        ...
