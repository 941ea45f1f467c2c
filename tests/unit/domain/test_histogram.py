"""Histograms: percentiles as PromQL takes them, and exact merging."""

import math

import pytest

from metrics_api.histogram import Histogram, Percentiles, merge

INF = math.inf


def classic(**cumulative: float) -> Histogram:
    """A classic histogram from ``le_0_1=3`` written bounds."""
    bounds = [INF if name == "inf" else float(name.removeprefix("le_").replace("_", ".")) for name in cumulative]
    return Histogram.from_cumulative(bounds, list(cumulative.values()))


@pytest.mark.parametrize(
    ("q", "seconds"),
    [(0.25, 0.05), (0.5, 0.1), (0.75, 0.15), (0.9, 0.18), (0.95, 0.19), (1.0, 0.2)],
)
def test_a_value_is_interpolated_inside_its_bucket(q: float, seconds: float):
    histogram = Histogram.from_cumulative([0.1, 0.2, INF], [50, 100, 100])
    assert histogram.quantile(q) == pytest.approx(seconds)


def test_the_first_bucket_begins_at_zero():
    assert Histogram.from_cumulative([0.4, INF], [10, 10]).quantile(0.5) == pytest.approx(0.2)


def test_a_quantile_in_the_unbounded_bucket_is_the_highest_finite_bound():
    assert Histogram.from_cumulative([0.1, 0.2, INF], [1, 2, 100]).quantile(0.5) == 0.2


def test_empty_buckets_before_the_quantile_do_not_move_it():
    histogram = Histogram.from_cumulative([0.1, 0.2, 0.3, INF], [0, 0, 10, 10])
    assert histogram.quantile(0.5) == pytest.approx(0.25)


@pytest.mark.parametrize(
    "histogram",
    [
        Histogram((), ()),
        Histogram.from_cumulative([], []),
        Histogram.from_cumulative([0.1, INF], [0, 0]),
        Histogram.from_cumulative([INF], [10]),
        Histogram.from_cumulative([0.1, 0.2], [5, 10]),
        Histogram.from_cumulative([0.1, INF], [5, math.nan]),
        Histogram.from_cumulative([0.1, INF], [math.nan, 10]),
        Histogram.from_cumulative([0.1, INF], [5, INF]),
        Histogram.from_cumulative([0.1, INF], [-5, -5]),
    ],
    ids=[
        "no buckets",
        "nothing cumulative",
        "no observations",
        "only unbounded",
        "no unbounded",
        "nan total",
        "nan bucket",
        "infinite",
        "negative",
    ],
)
@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_a_percentile_that_cannot_be_told_is_unknown(histogram: Histogram, q: float):
    assert histogram.quantile(q) is None


def test_a_cumulative_count_that_falls_behind_is_raised_to_the_one_before():
    fell = Histogram.from_cumulative([0.1, 0.2, 0.3, INF], [5, 4, 8, 7])
    raised = Histogram.from_cumulative([0.1, 0.2, 0.3, INF], [5, 5, 8, 8])
    assert [fell.quantile(q) for q in (0.5, 0.7, 0.9, 1.0)] == [raised.quantile(q) for q in (0.5, 0.7, 0.9, 1.0)]


def test_a_cumulative_count_is_raised_after_adding_not_before():
    """One part alone falls behind where the sum does not: raised before, there would be an observation too many."""
    parts = [classic(le_0_1=5, le_0_2=4, inf=10), classic(le_0_1=0, le_0_2=3, inf=4)]
    assert merge(parts).quantile(0.5) == classic(le_0_1=5, le_0_2=7, inf=14).quantile(0.5) == 0.2


def test_a_native_bucket_is_interpolated_on_a_logarithmic_scale():
    histogram = Histogram.from_buckets([(1.0, 4.0, 10.0)])
    assert histogram is not None
    assert histogram.quantile(0.5) == pytest.approx(2.0)


def test_the_zero_bucket_of_a_native_histogram_is_interpolated_evenly():
    histogram = Histogram.from_buckets([(-0.001, 0.001, 10.0)])
    assert histogram is not None
    assert histogram.quantile(0.5) == pytest.approx(0.0005)


def test_what_a_native_histogram_counted_below_zero_is_counted_at_zero():
    histogram = Histogram.from_buckets([(-2.0, -1.0, 3.0), (-1.0, -0.5, 2.0), (-0.1, 0.1, 5.0), (1.0, 2.0, 10.0)])
    assert histogram is not None
    assert histogram.floor == 0.0
    assert histogram.bounds == (0.0, 0.1, 1.0, 2.0)
    assert histogram.counts == (5.0, 5.0, 0.0, 10.0)
    assert histogram.quantile(0.1) == 0.0


def test_gaps_between_native_buckets_are_empty():
    histogram = Histogram.from_buckets([(1.0, 2.0, 4.0), (4.0, 8.0, 6.0)])
    assert histogram == Histogram((2.0, 4.0, 8.0), (4.0, 0.0, 6.0), floor=1.0, exponential=True)


def test_a_native_histogram_without_buckets_is_none():
    assert Histogram.from_buckets([]) is None


def test_the_overflow_bucket_of_a_native_histogram_gives_its_lower_edge():
    histogram = Histogram.from_buckets([(1.0, 2.0, 1.0), (2.0, INF, 99.0)])
    assert histogram is not None
    assert histogram.quantile(0.5) == 2.0


def test_merging_one_histogram_changes_nothing():
    histogram = classic(le_0_1=1, le_0_2=3, inf=3)
    assert merge([histogram]) is histogram


def test_merging_equal_layouts_adds_bucket_by_bucket():
    merged = merge([classic(le_0_1=1, le_0_2=3, inf=3), classic(le_0_1=0, le_0_2=5, inf=6)])
    assert merged == Histogram((0.1, 0.2, INF), (1, 7, 1))


def test_a_bound_survives_where_every_part_is_known():
    fine = classic(le_0_1=1, le_0_2=2, le_0_5=4, inf=4)
    coarse = classic(le_0_2=3, le_0_5=3, inf=5)
    assert merge([fine, coarse]) == Histogram((0.2, 0.5, INF), (5, 2, 2))


def test_a_bound_inside_a_populated_bucket_of_another_part_is_dropped():
    assert merge([classic(le_0_1=5, inf=5), classic(le_0_2=5, inf=5)]).bounds == (0.2, INF)


def test_a_bound_inside_an_empty_bucket_of_another_part_survives():
    assert merge([classic(le_0_1=5, inf=5), classic(le_0_2=0, inf=5)]) == Histogram((0.1, 0.2, INF), (5, 0, 5))


def test_bounds_below_all_observations_survive_a_merge():
    # Without them the first populated bucket would seem to begin at zero, and percentiles would be too low.
    slow = classic(le_0_1=0, le_0_2=0, le_0_5=10, inf=10)
    idle = classic(le_0_1=0, le_0_3=0, inf=0)
    assert merge([slow, idle]).quantile(0.5) == pytest.approx(slow.quantile(0.5))


def test_an_idle_part_does_not_change_a_percentile():
    busy = classic(le_0_1=7, le_0_2=9, le_0_5=10, inf=10)
    for idle in (classic(le_0_15=0, le_3=0, inf=0), Histogram((), ()), classic(inf=0)):
        assert merge([busy, idle]).quantile(0.9) == pytest.approx(busy.quantile(0.9))
        assert merge([idle, busy]).quantile(0.9) == pytest.approx(busy.quantile(0.9))


def test_a_native_histogram_keeps_its_percentiles_beside_a_part_without_buckets():
    native = Histogram.from_buckets([(1.0, 2.0, 4.0)])
    assert native is not None
    merged = merge([Histogram((), ()), native])
    assert merged.exponential
    assert merged.quantile(0.5) == pytest.approx(native.quantile(0.5))


def test_a_classic_and_a_native_histogram_merge_into_a_classic_one():
    native = Histogram.from_buckets([(1.0, 2.0, 4.0)])
    assert native is not None
    merged = merge([classic(le_1=6, le_2=6, inf=6), native])
    assert merged == Histogram((1.0, 2.0, INF), (6, 4, 0))
    assert merged.quantile(0.8) == pytest.approx(1.5)


@pytest.mark.parametrize("order", [1, -1])
def test_the_scale_of_a_mixed_merge_does_not_depend_on_the_order(order: int):
    parts = [Histogram((1.0, INF), (1, 1)), Histogram((1.0, INF), (1, 1), exponential=True)][::order]
    assert not merge(parts).exponential


def test_observations_at_the_lowest_bound_are_not_lost():
    zeros = Histogram.from_cumulative([0.0, 0.1, INF], [5, 5, 5])
    others = Histogram.from_cumulative([0.1, 0.2, INF], [1, 2, 2])
    assert merge([zeros, others]) == Histogram((0.0, 0.1, 0.2, INF), (5, 1, 1, 0))


def test_percentiles_of_a_source_are_only_those_it_gave():
    percentiles = Percentiles({0.5: 0.01, 0.99: 0.3})
    assert percentiles.quantile(0.5) == 0.01
    assert percentiles.quantile(0.9) is None
    assert dict(percentiles) == {0.5: 0.01, 0.99: 0.3}
    assert len(percentiles) == 2


@pytest.mark.parametrize("noise", [-1e-12, 0.0, 1e-12])
def test_a_rank_right_at_a_bound_is_not_moved_by_the_last_digit(noise: float) -> None:
    # Nine of ten are at or below 20 ms, and nobody is between 20 and 50 ms.
    histogram = Histogram.from_cumulative((0.01, 0.02, 0.05, 0.1, math.inf), (30.0, 54.0 + noise, 54.0 + 2e-12, 60.0, 60.0))
    assert histogram.quantile(0.9) == pytest.approx(0.02, rel=1e-6)


def test_percentiles_of_exact_values_are_values_that_were_observed() -> None:
    found = Histogram.of_values({0.4: 1, 0.01: 50, 0.03: 19, 0.02: 30}, 2.07)
    assert [found.quantile(q) for q in (0.5, 0.51, 0.9, 0.99, 1.0)] == pytest.approx([0.01, 0.02, 0.03, 0.03, 0.4], abs=1e-12)
    assert (found.total, found.mean()) == (100, pytest.approx(0.0207))


def test_exact_values_stay_exact_when_they_are_merged() -> None:
    merged = merge([Histogram.of_values({0.01: 50, 0.4: 1}), Histogram.of_values({0.02: 40, 0.01: 9})])
    assert [merged.quantile(q) for q in (0.5, 0.59, 0.6, 0.99, 1.0)] == pytest.approx([0.01, 0.01, 0.02, 0.02, 0.4], abs=1e-12)


def test_a_value_of_zero_is_one_too() -> None:
    found = Histogram.of_values({0.0: 3, 0.5: 1})
    assert [found.quantile(q) for q in (0.5, 1.0)] == [0.0, pytest.approx(0.5)]
