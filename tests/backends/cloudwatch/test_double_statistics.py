"""The double's statistics against the plainest definition of them: write every observation down, and look."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.doubles.cloudwatch.errors import Refusal
from tests.doubles.cloudwatch.statistics import check, statistic
from tests.doubles.cloudwatch.store import Datum, StatisticSet, summary

PUBLISHED = st.dictionaries(st.integers(0, 50), st.integers(1, 40), min_size=1, max_size=8)
PERCENTS = st.one_of(st.integers(1, 100).map(str), st.decimals(0, 100, places=4).map(lambda percent: f"{percent:f}"))


def datum(values: dict[int, int]) -> Datum:
    return Datum(0, summary(values), values, "None", 0, 0)


def whole(statistics: StatisticSet) -> Datum:
    return Datum(0, statistics, None, "None", 0, 0)


def written_down(published: list[dict[int, int]]) -> list[int]:
    return sorted(value for values in published for value, count in values.items() for _ in range(count))


@given(st.lists(PUBLISHED, min_size=1, max_size=5), PERCENTS)
def test_a_percentile_is_the_first_observation_that_enough_do_not_exceed(published: list[dict[int, int]], percent: str):
    observed = written_down(published)
    rank = math.ceil(Fraction(percent) * len(observed) / 100)
    assert statistic(f"p{percent}", list(map(datum, published))) == observed[max(rank, 1) - 1]


@given(st.lists(PUBLISHED, min_size=1, max_size=5))
def test_the_simple_ones_are_those_of_all_observations(published: list[dict[int, int]]):
    observed = written_down(published)
    expected = {
        "SampleCount": len(observed),
        "Sum": sum(observed),
        "Average": pytest.approx(sum(observed) / len(observed)),
        "Minimum": observed[0],
        "Maximum": observed[-1],
    }
    assert {stat: statistic(stat, list(map(datum, published))) for stat in expected} == expected


@given(st.lists(PUBLISHED, min_size=1, max_size=5))
def test_sets_of_the_same_observations_differ_in_percentiles_alone(published: list[dict[int, int]]):
    raw = list(map(datum, published))
    sets = [whole(one.statistics) for one in raw]
    for stat in ("SampleCount", "Sum", "Average", "Minimum", "Maximum"):
        assert statistic(stat, sets) == statistic(stat, raw)
    hidden = any(len(values) > 1 and sum(values.values()) > 1 for values in published)
    assert statistic("p50", sets) == (None if hidden else statistic("p50", raw))


@given(st.lists(PUBLISHED, min_size=1, max_size=5), st.integers(-9, -1), PERCENTS)
def test_one_negative_value_takes_every_percentile(published: list[dict[int, int]], negative: int, percent: str):
    assert statistic(f"p{percent}", [*map(datum, published), datum({negative: 1})]) is None


def test_counts_may_be_fractions_and_nothing():
    data = [Datum(0, summary({1: 0.1, 2: 0.2, 3: 0.0}), {1: 0.1, 2: 0.2, 3: 0.0}, "None", 0, 0)]
    assert [statistic(stat, data) for stat in ("p33", "p34", "p100")] == [1, 2, 2]


@pytest.mark.parametrize("stat", ["p50", "p99.9999999999", "p0", "p100", "SampleCount", "Average"])
def test_what_is_a_statistic_is_taken(stat: str):
    check(stat)


@pytest.mark.parametrize("stat", ["P50", "p", "p101", "p100.1", "p1.12345678901", "sum", "", "p-1", "p50 ", "p5."])
def test_what_is_none_is_refused(stat: str):
    with pytest.raises(Refusal, match="not supported"):
        check(stat)
