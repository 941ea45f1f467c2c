"""How a source has been, as the questions it was asked have shown: what the list of sources asks of whoever asks the sources."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["Outcomes", "SourceHealth", "SourceState"]


class SourceState(StrEnum):
    """It answers, it failed, it is not asked for a while because it failed again and again, or nobody has asked it yet."""

    OK = "ok"
    FAILING = "failing"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """``reason`` is why it is not well, in one sentence; ``since`` when that, or its being well, began, in Unix seconds."""

    state: SourceState = SourceState.UNKNOWN
    reason: str = ""
    since: float | None = None


class Outcomes(Protocol):
    """Whoever asks the sources, and remembers what became of it."""

    @property
    def home(self) -> str:
        """The name of the cluster of the server, empty if it has none."""
        ...

    def health(self, source: str) -> SourceHealth:
        """How the source of that name has been. Does no I/O."""
        ...
