"""Mean and standard deviation: the mean is that of the observations themselves, the deviation that of observations spread over buckets."""

import math
import statistics
from fractions import Fraction
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api.histogram import Histogram, merge

INF = math.inf

latencies = st.floats(0.0001, 20.0)
seen = st.lists(latencies, max_size=30)
edges = st.sets(st.floats(0.001, 15.0), max_size=8).map(sorted)
counts = st.lists(st.integers(0, 50), min_size=1, max_size=8)


def observed(values: list[float], bounds: list[float], *, timed: bool = True) -> Histogram:
    """What a proxy makes of observations; ``timed`` says whether it tells their sum."""
    ends = [*bounds, INF]
    return Histogram.from_cumulative(ends, [sum(value <= end for value in values) for end in ends], sum(values) if timed else None)


def spread_deviation(buckets: list[tuple[float, float, float]], *, exponential: bool) -> float:
    """The standard deviation of observations spread over ``(lower, upper, count)``, in exact arithmetic up to the last root.

    E[x^2] - E[x]^2, where a bucket alone has E[x] in its middle and a variance of width^2 / 12.
    """
    first = second = total = Fraction(0)
    for lower, upper, count in buckets:
        low, high, many = Fraction(lower), Fraction(upper), Fraction(count)
        middle = Fraction(math.sqrt(lower * upper)) if exponential and lower else (low + high) / 2
        first += many * middle
        second += many * (middle**2 + (high - low) ** 2 / 12)
        total += many
    return math.sqrt(second / total - (first / total) ** 2)


def buckets_of(histogram: Histogram) -> list[tuple[float, float, float]]:
    return [
        (*ends, count)
        for ends, count in zip(pairwise((histogram.floor, *histogram.bounds)), histogram.counts, strict=True)
        if count
    ]


@given(st.lists(st.tuples(seen, edges), min_size=1, max_size=4))
def test_the_mean_of_a_merge_is_that_of_all_observations(parts: list[tuple[list[float], list[float]]]):
    everything = [value for values, _ in parts for value in values]
    mean = merge([observed(values, bounds) for values, bounds in parts]).mean()
    assert mean == (pytest.approx(math.fsum(everything) / len(everything)) if everything else None)


@given(st.lists(st.tuples(seen, edges, st.booleans()), min_size=1, max_size=4))
def test_the_sum_is_known_when_every_part_that_has_observations_tells_its_own(parts: list[tuple[list[float], list[float], bool]]):
    merged = merge([observed(values, bounds, timed=timed) for values, bounds, timed in parts])
    told = all(timed or not values for values, _, timed in parts)
    assert (merged.mean() is not None) is (told and any(values for values, _, _ in parts))
    assert told or merged.sum is None


@given(st.lists(st.tuples(seen, edges, st.booleans()), min_size=2, max_size=5), st.integers(1, 4))
def test_sums_add_up_however_parts_are_grouped(parts: list[tuple[list[float], list[float], bool]], cut: int):
    histograms = [observed(values, bounds, timed=timed) for values, bounds, timed in parts]
    grouped = merge([merge(some) for some in (histograms[:cut], histograms[cut:]) if some])
    at_once = merge(histograms[::-1]).sum
    assert grouped.sum == (None if at_once is None else pytest.approx(at_once))


@given(counts, edges.filter(bool), st.booleans())
def test_the_deviation_is_that_of_observations_spread_over_their_buckets(many: list[int], bounds: list[float], exponential: bool):  # noqa: FBT001
    pairs = list(zip(bounds, many, strict=False))
    histogram = Histogram(
        (*(bound for bound, _ in pairs), INF), (*(float(count) for _, count in pairs), 0.0), exponential=exponential
    )
    found = histogram.stddev()
    if not histogram.total:
        assert found is None
    else:
        assert found == pytest.approx(spread_deviation(buckets_of(histogram), exponential=exponential), rel=1e-6)


@given(seen.filter(bool), edges)
def test_the_deviation_is_no_further_from_the_true_one_than_a_bucket_is_wide(values: list[float], bounds: list[float]):
    histogram = observed(values, [*bounds, 20.0] if not bounds or bounds[-1] < 20 else bounds)
    estimate = histogram.stddev()
    assert estimate is not None
    widest = max(upper - lower for lower, upper, _ in buckets_of(histogram))
    assert abs(estimate - statistics.pstdev(values)) <= widest * (1 + 1e-9)


@given(seen, edges)
def test_observations_beyond_the_last_bound_leave_the_deviation_unknown_and_the_mean_known(
    values: list[float], bounds: list[float]
):
    histogram = observed([*values, 30.0], bounds)
    assert histogram.stddev() is None
    assert histogram.mean() == pytest.approx((math.fsum(values) + 30.0) / (len(values) + 1))


@given(counts, edges.filter(bool), st.sampled_from([0.001, 60.0]))
def test_another_unit_is_the_same_deviation(many: list[int], bounds: list[float], unit: float):
    cumulative = list(accumulate(many[: len(bounds)]))
    ends = bounds[: len(cumulative)]
    one = Histogram.from_cumulative([*ends, INF], [*cumulative, cumulative[-1]]).stddev()
    other = Histogram.from_cumulative([*(end * unit for end in ends), INF], [*cumulative, cumulative[-1]]).stddev()
    assert other == (None if one is None else pytest.approx(one * unit, rel=1e-9))


@given(
    st.lists(st.tuples(st.floats(0, 15), st.floats() | st.integers(-5, 50)), min_size=1, max_size=8),
    st.floats(0, 1e9) | st.none(),
    st.booleans(),
)
def test_no_counts_whatever_give_a_moment_that_is_no_number(
    buckets: list[tuple[float, float]],
    seconds: float | None,
    bounded: bool,  # noqa: FBT001
):
    ordered = sorted(dict(buckets).items())
    bounds = [bound for bound, _ in ordered] + ([] if bounded else [INF])
    told = [count for _, count in ordered] + ([] if bounded else [ordered[-1][1]])
    histogram = Histogram.from_cumulative(bounds, told, seconds)
    for found in (histogram.mean(), histogram.stddev()):
        assert found is None or (found >= 0 and not math.isnan(found))
        assert found is None or not bounded
