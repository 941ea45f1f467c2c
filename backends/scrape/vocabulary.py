"""What a dialect reads: the few metrics and labels that are kept of all that proxies expose."""

from __future__ import annotations

from dataclasses import dataclass

from backends.dialects import Dialect

__all__ = ["BUCKET", "BUCKET_BOUND", "SUM", "Vocabulary"]

BUCKET = "_bucket"
"""What the text format adds to the name of a histogram for its buckets."""

SUM = "_sum"
"""What it adds for the sum of what was observed; such a series is a counter of its own."""

BUCKET_BOUND = "le"
"""The label of a bucket that holds its upper bound."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """``counters`` and ``histograms`` (without ``_bucket``) by name, and every label that any read of the dialect looks at."""

    counters: frozenset[str]
    histograms: frozenset[str]
    labels: tuple[str, ...]

    @classmethod
    def of(cls, dialect: Dialect) -> Vocabulary:
        """The vocabulary of all questions the dialect can answer."""
        counters: set[str] = set()
        labels: dict[str, None] = {}
        for view in dialect.views:
            counters.update(view.counters)
            counters.update(metric for correction in view.corrections for metric in correction.metrics)
            counters.update(item.metric + SUM for item in view.latencies)
            labels |= dict.fromkeys(matcher.label for matcher in view.match)
            labels |= dict.fromkeys(view.outcome_labels)
            labels |= dict.fromkeys(label for identity in (*view.source, *view.destination) for label in identity.labels)
            if view.observer.label:
                labels[view.observer.label] = None
        histograms = frozenset(item.metric for view in dialect.views for item in view.latencies)
        return cls(frozenset(counters), histograms, tuple(labels))

    @property
    def metrics(self) -> frozenset[str]:
        """The names to look for in a text."""
        return self.counters | {name + BUCKET for name in self.histograms}
