"""``histogram_quantile`` once more, written from the rules of the Prometheus documentation and sharing no code with the product."""

import math


def classic_quantile(q: float, buckets: dict[float, float]) -> float:
    """The value for ``le`` bounds and cumulative counts; NaN where PromQL gives NaN.

    Source: prometheus/prometheus docs/querying/functions.md, histogram_quantile() on classic histograms.
    """
    ordered = sorted(buckets.items())
    if len(ordered) < 2 or ordered[-1][0] != math.inf:
        return math.nan
    repaired = []
    highest = 0.0
    for bound, count in ordered:
        highest = max(highest, count)
        repaired.append((bound, highest))
    if repaired[-1][1] == 0:
        return math.nan
    rank = q * repaired[-1][1]
    previous_bound, previous_count = 0.0, 0.0
    for bound, count in repaired[:-1]:
        if count >= rank:
            return previous_bound + (bound - previous_bound) * (rank - previous_count) / (count - previous_count)
        previous_bound, previous_count = bound, count
    return previous_bound


def native_quantile(q: float, buckets: list[tuple[float, float, float]]) -> float:
    """The value for ``(lower, upper, count)`` buckets, none of them below zero; NaN where PromQL gives NaN.

    Source: the same page, on native histograms: evenly inside the zero bucket, on a logarithmic scale inside every other one.
    """
    rank = q * sum(count for _, _, count in buckets)
    seen = 0.0
    for lower, upper, count in sorted(buckets):
        if count and seen + count >= rank:
            share = (rank - seen) / count
            if lower == 0:
                return upper * share
            return 2 ** (math.log2(lower) + (math.log2(upper) - math.log2(lower)) * share)
        seen += count
    return math.nan
