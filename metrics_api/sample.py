"""Samples: what sources return, before anything is named, rounded or shown."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from metrics_api.histogram import Histogram, Percentiles
from metrics_api.objects import SplitBackend
from metrics_api.query import Direction, Side
from metrics_api.resources import ResourceRef
from metrics_api.window import Window

__all__ = ["NEXT_SCHEME", "Answer", "Covered", "Identities", "Sample", "first_source", "sources_of"]

Covered = tuple[int, Window]
"""What numbers describe: the window, and the instant at its end in Unix seconds."""

NEXT_SCHEME = 1_000_000
"""What is between the trusts of one scheme of names in a source and of the next: observers of one have less than that between them."""


class Identities(NamedTuple):
    """Who the two ends of an edge are to each other by mutual TLS; ``insecure`` is why there is none, empty where there is."""

    client: str = ""
    server: str = ""
    insecure: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of one source: the traffic of a resource, with one peer or (``EVERYTHING``) in total.

    ``success`` and ``failure`` are requests in the window. None is unknown, 0 is measured. ``trust`` orders observers of the same
    traffic, the best first: of two samples about the same thing the lower one is used, and they are never added. ``marks`` are words for
    what is to be known of the numbers wherever they are shown (``sampled``: they are of a part of the requests; ``stale``).
    ``dialect`` is what the source calls the traffic by: the name of a dialect, or of the kind of metrics.
    ``identities`` are those of an edge, as far as the source knows them. ``backend`` is what part of split traffic the sample is.
    ``source`` names who observed; of what several sources told together, all of them (:func:`sources_of`).
    ``share`` names the source where several see different requests: theirs are added up in the end (:mod:`metrics_api.federation`).
    """

    resource: ResourceRef
    peer: ResourceRef
    direction: Direction
    side: Side
    success: float | None
    failure: float | None
    latency: Histogram | Percentiles | None
    trust: int = 0
    source: str = ""
    marks: frozenset[str] = frozenset()
    dialect: str = ""
    identities: Identities | None = None
    backend: SplitBackend | None = None
    share: str = ""

    @property
    def about(self) -> Hashable:
        """What the sample describes; two samples about the same thing are two views of the same requests."""
        return (self.resource, self.peer, self.direction, self.share)

    @property
    def counted(self) -> bool:
        """Whether anybody counted its requests; where only connections are known nobody did."""
        return self.success is not None or self.failure is not None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one source says to one query.

    ``instant`` (Unix seconds) and ``window`` are those the numbers really describe. ``warnings`` are sentences for the reader;
    ``incomplete`` says that some of them mean missing data.
    """

    samples: tuple[Sample, ...]
    instant: int
    window: Window
    warnings: tuple[str, ...] = ()
    incomplete: bool = False


def sources_of(samples: Iterable[Sample]) -> str:
    """The names of the sources that told these, each once and in their order, as the ``source`` of what is made of all: ``east,west``."""
    return ",".join(dict.fromkeys(name for sample in samples for name in sample.source.split(",")))


def first_source(names: str) -> str:
    """The first of :func:`sources_of`; what its numbers describe, those of all do, or they would not have been added."""
    return names.partition(",")[0]
