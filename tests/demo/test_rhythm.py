"""Failures and times have the distribution they are asked for, in every window and not in the long run alone."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiservice.demo.rhythm import failures, times
from apiservice.demo.shop import Latency


@given(share=st.floats(0, 1), skipped=st.integers(0, 500), count=st.integers(1, 500))
def test_any_stretch_of_requests_holds_its_share_of_failures(share: float, skipped: int, count: int):
    found = sum(islice(failures(share), skipped, skipped + count))
    assert abs(found - share * count) <= 1 + 1e-6


def test_what_never_fails_never_fails():
    assert not any(islice(failures(0), 10_000))


@pytest.mark.parametrize(
    "latency", [Latency(0.003, 0.009), Latency(0.28, 0.9), Latency(0.05, 0.05)], ids=["quick", "slow", "always the same"]
)
@pytest.mark.parametrize("skipped", [0, 777], ids=["from the beginning", "later"])
def test_times_have_the_percentiles_asked_for(latency: Latency, skipped: int):
    drawn = sorted(islice(times(latency), skipped, skipped + 300))
    assert drawn[150] == pytest.approx(latency.p50, rel=0.03)
    assert drawn[296] == pytest.approx(latency.p99, rel=0.15)
    assert drawn[-1] <= 3 * latency.p99


def test_times_do_not_repeat_one_after_the_other():
    assert all(left != right for left, right in pairwise(islice(times(Latency(0.003, 0.009)), 1000)))
