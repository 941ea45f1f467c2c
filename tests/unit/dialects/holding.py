"""A store in a dictionary: what it would answer to a dialect's reads, for tests that need a few series and no store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backends.dialects import Consultation, Dialect, Read, Reading, Rows
from metrics_api import Histogram, TrafficQuery

__all__ = ["Held", "Series", "consult", "rows"]

Series = tuple[Mapping[str, str], float]
"""Labels, and the increase over the window."""

Held = Mapping[str, Sequence[Series]]
"""Series by the name of their metric, a histogram's without ``_bucket``."""


def rows(read: Read, held: Held) -> Rows:
    """What a store answers to a read: what its matchers select, added up by its labels; each observation took less than a second."""
    found: dict[tuple[str, ...], float] = {}
    for metric in read.metrics:
        for labels, value in held.get(metric, []):
            if all(matcher.accepts(labels) for matcher in read.matchers):
                key = tuple(labels.get(label, "") for label in read.by)
                found[key] = found.get(key, 0.0) + value
    if read.reading is Reading.HISTOGRAM:
        return {key: Histogram((1.0, float("inf")), (value, 0.0)) for key, value in found.items()}
    return found


def consult(dialect: Dialect, query: TrafficQuery, held: Held) -> Consultation:
    """A question put to a dialect over these series, at its end."""
    consultation = Consultation(dialect, query, "mesh")
    while reads := consultation.reads:
        consultation.take({read: rows(read, held) for read in reads})
    return consultation
