"""Mean and standard deviation of a histogram, and when they are not known."""

import math

import pytest

from metrics_api.histogram import Histogram, Percentiles, merge

INF = math.inf


def test_the_mean_is_the_sum_over_the_count():
    assert Histogram.from_cumulative([0.1, 1.0, INF], [3, 4, 5], 7.5).mean() == pytest.approx(1.5)


@pytest.mark.parametrize(
    "histogram",
    [
        pytest.param(Histogram.from_cumulative([0.1, INF], [3, 4]), id="no sum"),
        pytest.param(Histogram.from_cumulative([0.1, INF], [0, 0], 0.0), id="no observations"),
        pytest.param(Histogram.from_cumulative([0.1, INF], [5, 0], 1.0), id="a count that fell behind to nothing"),
        pytest.param(Histogram.from_cumulative([0.1, 0.2], [3, 4], 1.0), id="no unbounded bucket, so no count"),
        pytest.param(Histogram.from_cumulative([0.1, INF], [3, math.nan], 1.0), id="no number"),
        pytest.param(Histogram((), (), sum=1.0), id="no buckets"),
    ],
)
def test_a_mean_that_cannot_be_told_is_unknown(histogram: Histogram):
    assert histogram.mean() is None


def test_a_mean_is_known_where_no_percentile_is():
    assert Histogram.from_cumulative([INF], [4], 2.0).mean() == 0.5


@pytest.mark.parametrize(
    ("histogram", "seconds"),
    [
        pytest.param(
            Histogram.from_cumulative([1.2, INF], [10, 10]), 1.2 / math.sqrt(12), id="all in one bucket: spread evenly in it"
        ),
        # Middles 0.5 and 1.5, 0.5 away from their mean.
        pytest.param(Histogram.from_cumulative([1, 2, INF], [5, 10, 10]), math.sqrt(0.25 + 1 / 12), id="half in each of two"),
        pytest.param(Histogram.from_cumulative([1, 2, 3, INF], [5, 5, 10, 10]), math.sqrt(1 + 1 / 12), id="an empty one between"),
        pytest.param(Histogram((4.0,), (10,), 1.0, exponential=True), 3 / math.sqrt(12), id="an exponential bucket"),
        # Middles 2 and 8: the geometric ones; those of an even scale would be 2.5 and 10.
        pytest.param(
            Histogram((4.0, 16.0), (1, 1), 1.0, exponential=True), math.sqrt(9 + (9 + 144) / 2 / 12), id="exponential ones"
        ),
        pytest.param(Histogram((0.5,), (10,), 0.0, exponential=True), 0.5 / math.sqrt(12), id="the zero bucket"),
    ],
)
def test_the_deviation_is_estimated_from_the_buckets(histogram: Histogram, seconds: float):
    assert histogram.stddev() == pytest.approx(seconds)


def test_the_deviation_does_not_depend_on_whether_the_sum_is_known():
    bounds, cumulative = [1, 2, INF], [5, 10, 10]
    assert Histogram.from_cumulative(bounds, cumulative, 19.0).stddev() == Histogram.from_cumulative(bounds, cumulative).stddev()


@pytest.mark.parametrize(
    "histogram",
    [
        pytest.param(Histogram.from_cumulative([0.1, INF], [3, 4]), id="one beyond the last bound"),
        pytest.param(Histogram.from_cumulative([INF], [4]), id="no finite bound"),
        pytest.param(Histogram((1.0, INF), (1, 99), 0.5, exponential=True), id="in the overflow bucket of a native one"),
        pytest.param(Histogram.from_cumulative([0.1, INF], [0, 0]), id="no observations"),
        pytest.param(Histogram.from_cumulative([0.1, 0.2], [3, 4]), id="no unbounded bucket"),
        pytest.param(Histogram((), ()), id="no buckets"),
    ],
)
def test_a_deviation_that_cannot_be_told_is_unknown(histogram: Histogram):
    assert histogram.stddev() is None


def test_what_rounding_leaves_in_the_unbounded_bucket_is_nobody():
    assert Histogram.from_cumulative([1.2, INF], [54.0, 54.0 + 2e-12]).stddev() == pytest.approx(1.2 / math.sqrt(12))


def test_a_cumulative_count_that_falls_behind_is_raised_for_the_deviation():
    fell = Histogram.from_cumulative([1, 2, 3, INF], [5, 4, 8, 8])
    assert fell.stddev() == Histogram.from_cumulative([1, 2, 3, INF], [5, 5, 8, 8]).stddev()


@pytest.mark.parametrize(
    ("sums", "merged"),
    [((1.5, 2.0), 3.5), ((1.5, None), None), ((None, None), None)],
    ids=["both are known", "one is not", "none is"],
)
@pytest.mark.parametrize("bounds", [(0.1, INF), (0.2, INF)], ids=["one layout", "two layouts"])
def test_sums_are_added_when_all_are_known(sums: tuple[float | None, ...], merged: float | None, bounds: tuple[float, ...]):
    parts = [Histogram((0.1, INF), (1, 1), sum=sums[0]), Histogram(bounds, (1, 1), sum=sums[1])]
    assert merge(parts).sum == merged


def test_a_part_without_observations_need_not_know_its_sum():
    busy, idle = Histogram((0.1, INF), (1, 1), sum=1.5), Histogram((0.1, INF), (0, 0))
    assert merge([idle, busy]).sum == merge([busy, idle, Histogram((), ())]).sum == 1.5


def test_native_histograms_carry_the_sum():
    native = Histogram.from_buckets([(1.0, 2.0, 4.0)], 6.0)
    assert native is not None
    assert native.mean() == 1.5


def test_neither_can_be_derived_from_percentiles():
    percentiles = Percentiles({0.5: 0.01})
    assert percentiles.mean() is None
    assert percentiles.stddev() is None
