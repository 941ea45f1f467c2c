"""Measures of latency beyond the three that every object has: other percentiles, the mean and the standard deviation.

A question says which it wants. They come after the five metrics, so that clients that know the five by their position still find them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from metrics_api.errors import BadQuery
from metrics_api.histogram import Histogram, Percentiles

__all__ = ["MOST_PERCENTILES", "Measure", "parse_percentiles", "parse_stats"]

MOST_PERCENTILES = 20
"""How many percentiles one question may ask for, those that every object has among them."""

_PERCENTILE = re.compile(r"[0-9]{1,2}(?:\.[0-9]{1,3})?")
_ALWAYS_THERE = frozenset({"p99", "p90", "p50"})
_QUOTED = 20  # characters of what was asked that an error repeats


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: the percentile at ``quantile``, or without one ``mean`` or ``stddev``, which ``word`` says."""

    word: str
    quantile: float | None = None

    @classmethod
    def percentile(cls, quantile: float) -> Measure:
        """The measure of a quantile that a source has: ``p95`` of 0.95."""
        return _of_percent(Decimal(str(quantile)) * 100)

    @property
    def name(self) -> str:
        """The name it is sent under: ``p99.9_response_latency``, ``mean_response_latency``."""
        return f"{self.word}_response_latency"

    @property
    def needs_sum(self) -> bool:
        """Whether a source must tell how long all requests took together."""
        return self.word == "mean"

    def of(self, latency: Histogram | Percentiles) -> float | None:
        """The value in seconds; None when it cannot be told."""
        if self.quantile is not None:
            return latency.quantile(self.quantile)
        return latency.mean() if self.word == "mean" else latency.stddev()


_STATS = {word: Measure(word) for word in ("mean", "stddev")}


def parse_percentiles(texts: Iterable[str]) -> tuple[Measure, ...]:
    """The percentiles of lists such as ``50,95,99.9`` that no object has anyway, each once and in their order.

    Raises :class:`BadQuery` for what is no number above 0 and below 100 with at most three decimals, and for too many of them.
    """
    asked = dict.fromkeys(_percentile(part) for text in texts for part in text.split(","))
    if len(asked) > MOST_PERCENTILES:
        raise BadQuery(f"{len(asked)} percentiles are asked for: at most {MOST_PERCENTILES} are given at once")
    return tuple(measure for measure in asked if measure.word not in _ALWAYS_THERE)


def parse_stats(texts: Iterable[str]) -> tuple[Measure, ...]:
    """The statistics of lists such as ``mean,stddev``, each once and in their order; :class:`BadQuery` for any other word."""
    asked = dict.fromkeys(part for text in texts for part in text.split(","))
    for word in asked:
        if word not in _STATS:
            raise BadQuery(f'stats: "{word[:_QUOTED]}" is not known: it is a list of {", ".join(_STATS)}')
    return tuple(_STATS[word] for word in asked)


def _percentile(text: str) -> Measure:
    percent = Decimal(text) if _PERCENTILE.fullmatch(text) else Decimal(0)
    if not percent:
        raise BadQuery(
            f'percentiles: "{text[:_QUOTED]}" is not one: each is a number above 0 and below 100 with at most three decimals, '
            "and commas stand between them, as in 95,99.9"
        )
    return _of_percent(percent)


def _of_percent(percent: Decimal) -> Measure:
    # 0.999 and not the neighbour that 99.9 / 100 is: the quantile is a key where a source gives percentiles only.
    return Measure(f"p{percent.normalize():f}", float(percent / 100))
