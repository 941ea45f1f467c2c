"""Native histograms as the API writes them: exponential buckets, and custom ones, which are what becomes of classic ones."""

from __future__ import annotations

import math

import pytest

from backends.prometheus.client import NativeHistogram
from backends.prometheus.series import native_histogram


def custom(*buckets: tuple[float, float, float], unit: float = 1.0):  # type: ignore[no-untyped-def] # what is tested makes it
    written = [(3 if math.isinf(left) else 0, _text(left), _text(right), str(count)) for left, right, count in buckets]
    return native_histogram(NativeHistogram(count="10", sum="2.5", buckets=written), unit)


def _text(bound: float) -> str:
    return {math.inf: "+Inf", -math.inf: "-Inf"}.get(bound, repr(bound))


def test_inside_a_custom_bucket_observations_are_spread_evenly():
    made = custom((-math.inf, 0.1, 2), (0.1, 0.5, 8))
    assert not made.exponential
    assert made.total == 10
    assert made.quantile(0.1) == pytest.approx(0.05)
    assert made.quantile(0.6) == pytest.approx(0.3)
    assert made.mean() == 0.25


def test_custom_buckets_that_are_left_out_were_empty():
    made = custom((0.1, 0.25, 4), (0.5, 0.75, 6))
    assert (made.floor, made.bounds, made.counts) == (0.1, (0.25, 0.5, 0.75, math.inf), (4, 0, 6, 0))
    assert made.quantile(0.7) == pytest.approx(0.625)


def test_what_took_longer_than_every_bound_took_as_long_as_the_last():
    assert custom((0.1, 0.25, 4), (0.25, math.inf, 6)).quantile(0.9) == 0.25


def test_custom_bounds_are_in_the_unit_of_the_metric():
    assert custom((-math.inf, 10, 5), (10, 25, 5), unit=0.001).quantile(0.75) == pytest.approx(0.0175)


@pytest.mark.parametrize("schema", range(-4, 9))
def test_buckets_that_grow_by_one_factor_are_exponential(schema: int):
    factor = 2**2.0**-schema
    made = custom((-1e-6, 1e-6, 1), (1.0, factor, 4), (factor**2, factor**3, 4), (factor**3, math.inf, 1))
    assert made.exponential
    assert made.quantile(0.3) == pytest.approx(factor**0.5)
