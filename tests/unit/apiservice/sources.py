"""Sources that are examined and never asked: what an examination makes of them is up to the test."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from metrics_api import Backend, Offer, Source, Terms, Window
from metrics_api.diagnosis import Diagnosis

__all__ = ["Examinable", "source"]


@dataclass
class Examinable:
    """A backend whose examination takes ``delay`` seconds and ends with ``outcome``; ``examined`` counts how often one began."""

    name: str
    outcome: Diagnosis | Exception | None = None
    delay: float = 0.0
    examined: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def diagnose(self, window: Window) -> Diagnosis:
        """See :class:`metrics_api.diagnosis.Diagnosable`."""
        self.examined += 1
        try:
            await asyncio.sleep(self.delay)
        finally:
            self.ended.set()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or Diagnosis(self.name, f"examined for {window}")


class _Offering(Examinable):
    offered = Offer()

    @property
    def offer(self) -> Offer:
        """See :class:`metrics_api.source.Declares`."""
        return self.offered


def source(
    name: str,
    terms: Terms = Terms(),  # noqa: B008 - frozen
    offer: Offer | None = None,
    *,
    type: str = "prometheus",  # noqa: A002 as the field is called
    **examination: Any,
) -> Source:
    """A configured source over an :class:`Examinable`."""
    backend = Examinable(name, **examination) if offer is None else _Offering(name, **examination)
    if isinstance(backend, _Offering) and offer is not None:
        backend.offered = offer
    return Source(cast("Backend", backend), terms, type)
