"""Histograms: percentiles agree with PromQL, and a merge says nothing that the observations themselves do not."""

import math
from bisect import bisect_left
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api.histogram import Histogram, merge
from tests.properties.promql import classic_quantile, native_quantile

INF = math.inf
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ASKED = (0.5, 0.9, 0.99)

quantiles = st.sampled_from(ASKED) | st.floats(0.001, 1.0)
latencies = st.sampled_from([*BOUNDS, 1.0, 2.0, 4.0, 0.5]) | st.floats(0.0001, 20.0)
observations = st.lists(latencies, max_size=30)


class Part(NamedTuple):
    """Raw observations, and the histogram some proxy made of them."""

    seen: list[float]
    histogram: Histogram


def in_classic_buckets(seen: list[float], bounds: list[float]) -> Part:
    edges = [*sorted(bounds), INF]
    return Part(seen, Histogram.from_cumulative(edges, [sum(value <= edge for value in seen) for edge in edges]))


def in_native_buckets(seen: list[float], schema: int) -> Part:
    """Buckets that grow by ``2 ** 2 ** -schema``, those that hold something only, as Prometheus keeps them."""

    def edge(index: int) -> float:
        return 2.0 ** (index / 2**schema)

    counts: dict[int, int] = {}
    for value in seen:
        index = math.ceil(math.log2(value) * 2**schema)
        while value > edge(index):
            index += 1
        while value <= edge(index - 1):
            index -= 1
        counts[index] = counts.get(index, 0) + 1
    buckets = [(edge(index - 1), edge(index), float(count)) for index, count in sorted(counts.items())]
    return Part(seen, Histogram.from_buckets(buckets) or Histogram((), ()))


layouts = st.sets(st.sampled_from(BOUNDS) | st.floats(0.001, 15.0), max_size=8).map(list)
classics = st.builds(in_classic_buckets, observations, layouts)
natives = st.builds(in_native_buckets, observations, st.integers(0, 4))
same_layout = layouts.flatmap(
    lambda bounds: st.lists(st.builds(in_classic_buckets, observations, st.just(bounds)), min_size=1, max_size=4)
)
mixtures = st.lists(classics | natives, min_size=1, max_size=4)
fallen = st.integers(2, 6).flatmap(
    lambda size: st.lists(st.lists(st.integers(0, 20), min_size=size, max_size=size), min_size=1, max_size=5)
)
"""Cumulative counts of several rows with the same bounds, in any order: most of them fall behind somewhere."""


def everything(parts: list[Part]) -> list[float]:
    return sorted(value for part in parts for value in part.seen)


def merged(parts: list[Part]) -> Histogram:
    return merge([part.histogram for part in parts])


cumulative_counts = st.lists(st.integers(0, 50) | st.floats(0, 50), min_size=1, max_size=8)


@given(cumulative_counts, st.booleans(), quantiles)
def test_classic_percentiles_are_those_of_promql(counts: list[float], bounded: bool, q: float):  # noqa: FBT001
    """Counts in any order: what falls behind is repaired; without an unbounded bucket there is no percentile."""
    bounds = [*BOUNDS[: len(counts) - 1], BOUNDS[len(counts)] if bounded else INF]
    ours = Histogram.from_cumulative(bounds, counts).quantile(q)
    theirs = classic_quantile(q, dict(zip(bounds, counts, strict=True)))
    assert (ours is None) is math.isnan(theirs)
    if ours is not None:
        assert ours == pytest.approx(theirs, rel=1e-9)


@given(observations.filter(bool), st.integers(0, 4), quantiles)
def test_native_percentiles_are_those_of_promql(seen: list[float], schema: int, q: float):
    histogram = in_native_buckets(seen, schema).histogram
    edges = pairwise((histogram.floor, *histogram.bounds))
    buckets = [(*edge, count) for edge, count in zip(edges, histogram.counts, strict=True) if count]
    assert histogram.quantile(q) == pytest.approx(native_quantile(q, buckets), rel=1e-9)


@given(mixtures)
def test_a_merge_loses_and_invents_no_observation(parts: list[Part]):
    assert merged(parts).total == len(everything(parts))


@given(mixtures)
def test_the_count_at_every_kept_bound_is_exact(parts: list[Part]):
    histogram = merged(parts)
    seen = everything(parts)
    assert not any(value <= histogram.floor for value in seen)
    for bound, count in zip(histogram.bounds, accumulate(histogram.counts), strict=True):
        assert count == sum(value <= bound for value in seen)


@given(mixtures)
def test_every_bound_at_which_all_parts_are_known_is_kept(parts: list[Part]):
    populated = [
        (lower, upper)
        for part in parts
        for (lower, upper), count in zip(
            pairwise((part.histogram.floor, *part.histogram.bounds)), part.histogram.counts, strict=True
        )
        if count
    ]
    edges = {edge for part in parts for edge in (part.histogram.floor, *part.histogram.bounds)}
    kept = {edge for edge in edges if not any(lower < edge < upper for lower, upper in populated)}
    histogram = merged(parts)
    assert {histogram.floor, *histogram.bounds} == kept


@given(mixtures, st.randoms(use_true_random=False))
def test_merging_is_commutative(parts: list[Part], random: Random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert merged(shuffled) == merged(parts)


@given(mixtures, mixtures)
def test_merging_is_associative(one: list[Part], other: list[Part]):
    assert merge([merged(one), merged(other)]) == merged([*one, *other])


@given(fallen, st.randoms(use_true_random=False), quantiles)
def test_counts_that_fall_behind_add_up_as_in_promql_however_they_are_grouped(rows: list[list[int]], random: Random, q: float):
    """PromQL raises what falls behind in the sum by ``le``, so what any one row of it lacks must not be raised before."""
    bounds = [*BOUNDS[: len(rows[0]) - 1], INF]
    parts = [Histogram.from_cumulative(bounds, row) for row in rows]
    random.shuffle(parts)
    cut = random.randrange(len(parts))
    grouped = merge([merge(part) for part in (parts[:cut], parts[cut:]) if part])
    theirs = classic_quantile(q, dict(zip(bounds, map(sum, zip(*rows, strict=True)), strict=True)))
    ours = grouped.quantile(q)
    assert ours == merge(parts).quantile(q)
    assert ours == (None if math.isnan(theirs) else pytest.approx(theirs, rel=1e-9))


@given(same_layout)
def test_equal_layouts_add_up_bucket_by_bucket(parts: list[Part]):
    histogram = merged(parts)
    assert histogram.bounds == parts[0].histogram.bounds
    assert histogram.counts == tuple(sum(counts) for counts in zip(*(part.histogram.counts for part in parts), strict=True))


@given(same_layout, st.sampled_from(ASKED))
def test_a_percentile_of_equal_layouts_is_that_of_one_histogram_of_all(parts: list[Part], q: float):
    bounds = list(parts[0].histogram.bounds[:-1])
    assert merged(parts).quantile(q) == in_classic_buckets(everything(parts), bounds).histogram.quantile(q)


@given(mixtures, st.sampled_from(ASKED))
def test_a_percentile_lies_in_the_bucket_that_holds_the_true_one(parts: list[Part], q: float):
    histogram = merged(parts)
    seen = everything(parts)
    found = histogram.quantile(q)
    if not seen:
        assert found is None
        return
    true = seen[math.ceil(q * len(seen)) - 1]
    at = bisect_left(histogram.bounds, true)
    lower, upper = (histogram.floor, *histogram.bounds)[at], histogram.bounds[at]
    if math.isinf(upper):
        assert found == (lower if at else None)
    else:
        assert found is not None
        assert lower <= found <= upper * (1 + 1e-12)


@given(mixtures)
def test_percentiles_grow_with_their_rank(parts: list[Part]):
    found = [merged(parts).quantile(q) for q in ASKED]
    if None in found:
        assert found == [None] * 3
    else:
        assert found == sorted(found)


@given(
    st.lists(st.tuples(st.sampled_from(BOUNDS), st.floats() | st.integers(-5, 50)), min_size=1, max_size=8), st.sampled_from(ASKED)
)
def test_no_counts_whatever_give_a_percentile_that_is_no_number(buckets: list[tuple[float, float]], q: float):
    ordered = sorted(dict(buckets).items())
    found = Histogram.from_cumulative(
        [bound for bound, _ in ordered] + [INF], [count for _, count in ordered] + [ordered[-1][1]]
    ).quantile(q)
    assert found is None or (math.isfinite(found) and found >= 0)
