"""Whom those who ask the sources tell what they do, so that it can be counted."""

from __future__ import annotations

__all__ = ["Observer"]


class Observer:
    """Told of everything that happens between a question and the sources; this one does not care."""

    def asked(self, source: str, outcome: str, seconds: float, rows: int) -> None:
        """A source was asked; ``outcome`` is ``ok``, ``cancelled`` or the name of the error, ``rows`` is 0 without an answer."""

    def skipped(self, source: str, reason: str) -> None:
        """A source that can answer was not asked, or not waited for.

        ``reason`` is ``circuit`` (it fails), ``coverage`` (it does not tell of that namespace), or ``decided`` (its answer could change
        nothing any more).
        """

    def hedged(self, source: str) -> None:
        """A source that took long was asked a second time."""

    def circuit(self, source: str, *, is_open: bool) -> None:
        """The circuit of a source has opened or closed; half-open counts as open."""

    def incomplete(self) -> None:
        """An answer lacks what a source would have told."""
