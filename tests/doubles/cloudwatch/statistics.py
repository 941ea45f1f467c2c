"""What a statistic of some data points is; a percentile is known exactly, so that tests can have a truth to compare with.

Rules: CloudWatch User Guide, "CloudWatch statistics definitions" (percentiles are of raw data: a statistic set has them only when it is
of one sample or of one value; never with a negative value). The guide does not say how CloudWatch interpolates. Here the percentile q is
the smallest value such that values up to it make at least q of all: the nearest rank.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction

from tests.doubles.cloudwatch.errors import Refusal, validation
from tests.doubles.cloudwatch.store import Datum

__all__ = ["SIMPLE", "check", "percentile", "statistic"]

SIMPLE = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
_FURTHER = re.compile(r"(?i:tm|wm|tc|ts|pr)(\(.*\)|\d+(\.\d+)?)|IQM")


def check(stat: str) -> None:
    """Refuses what is no statistic, and says so loudly when it is one that this double does not compute."""
    if stat in SIMPLE or _PERCENTILE.fullmatch(stat):
        return
    if _FURTHER.fullmatch(stat):
        raise Refusal("NotImplemented", f"the double of CloudWatch does not compute {stat}", 501)
    raise validation(f"The value {stat} for parameter Stat is not supported.")


def statistic(stat: str, data: Sequence[Datum]) -> float | None:
    """A statistic of data points of one period, at least one; None where there is none."""
    sets = [datum.statistics for datum in data]
    count = math.fsum(one.sample_count for one in sets)
    match stat:
        case "SampleCount":
            return count
        case "Sum":
            return math.fsum(one.sum for one in sets)
        case "Average":
            return math.fsum(one.sum for one in sets) / count if count else None
        case "Minimum":
            return min(one.minimum for one in sets)
        case "Maximum":
            return max(one.maximum for one in sets)
        case _:
            observed = _observed(data)
            return None if observed is None else percentile(Fraction(stat[1:]) / 100, observed)


def percentile(quantile: Fraction, counts: Mapping[float, float]) -> float | None:
    """The smallest value up to which there are ``quantile`` of all; None for negative values, or for nothing."""
    total = sum(map(Fraction, counts.values()))
    if not total or min(counts) < 0:
        return None
    reached = Fraction(0)
    for value in sorted(value for value, count in counts.items() if count):
        reached += Fraction(counts[value])
        if reached >= quantile * total:
            return value
    raise AssertionError("quantiles are at most 1")


def _observed(data: Sequence[Datum]) -> Counter[float] | None:
    counts: Counter[float] = Counter()
    for datum in data:
        values = datum.values
        if values is None:
            count, total, low, high = datum.statistics
            if count != 1 and not (low == high and total == low * count):
                return None
            values = {total if count == 1 else low: count}
        for value, count in values.items():
            counts[value] += count  # type: ignore[assignment]  # a count may be a fraction
    return counts
