"""What each of the sources in AWS must be: who answers questions about moments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from backends.cloudwatch.moment import Moment
from metrics_api import Sample, TrafficQuery

__all__ = ["Observation", "Source"]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a source says of a moment: ``moment`` is the one that the samples really describe, an older one where they are stale.

    ``warnings`` are sentences for the reader; ``incomplete`` says that some of them mean missing data.
    """

    samples: tuple[Sample, ...]
    moment: Moment
    warnings: tuple[str, ...] = ()
    incomplete: bool = False


class Source(Protocol):
    """One way to learn of traffic from AWS. Opened and closed as part of :class:`backends.cloudwatch.backend.CloudWatchBackend`."""

    def refusal(self, query: TrafficQuery) -> str | None:
        """Why it can never answer such a query, in one sentence; None when it can. Does no I/O."""
        ...

    async def observe(self, query: TrafficQuery, moments: Sequence[Moment]) -> Sequence[Observation]:
        """What was observed in each of the moments, in their order; what identifies objects is looked up once for all.

        Raises :class:`metrics_api.errors.BackendError`.
        """
        ...
