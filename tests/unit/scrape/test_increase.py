"""The increase of a counter: numbers worked out by hand from Prometheus' rules, and an oracle that works them out the slow way."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from backends.scrape.increase import increase

Samples = list[tuple[float, float]]


@pytest.mark.parametrize(
    ("samples", "start", "end", "expected"),
    [
        # Samples 5 s apart fill a window of 30 s but for 2 s and 3 s at its edges: 100 in 25 s are 120 in 30 s.
        pytest.param(
            [(2 + 5 * n, 1000 + 20.0 * n) for n in range(6)], 0, 30, 120.0, id="a full window is extrapolated to both edges"
        ),
        pytest.param([(5 * n, 1000 + 20.0 * n) for n in range(1, 7)], 0, 30, 120.0, id="a sample at the end of the window"),
        # 60 in 15 s; 12 s before the first sample is more than 5.5 s, so half a spacing: 60 / 15 * (15 + 2.5 + 3).
        pytest.param([(12 + 5 * n, 1000 + 20.0 * n) for n in range(4)], 0, 30, 82.0, id="a series that starts late"),
        # The last sample is 13 s before the end: 60 / 15 * (15 + 2 + 2.5).
        pytest.param([(2 + 5 * n, 1000 + 20.0 * n) for n in range(4)], 0, 30, 78.0, id="a series that ends early"),
        # 5.4 s from the edge is still near: 1.1 times 5 s.
        pytest.param([(5.4, 1000.0), (10.4, 1020.0)], 0, 15, 60.0, id="just near enough"),
        pytest.param([(5.5, 1000.0), (10.5, 1020.0)], 0, 15, 48.0, id="just too far"),
        # It would have been zero 1 s before the first sample, though the window begins 4 s before it: 20 * (5 + 1 + 1) / 5.
        pytest.param([(4, 4.0), (9, 24.0)], 0, 10, 28.0, id="never to before the zero of the counter"),
        pytest.param([(4, 0.0), (9, 20.0)], 0, 10, 24.0, id="a counter that begins at zero"),
        # 30, 50, then a restart, 10, 40: grew by 20 + 10 + 30.
        pytest.param([(0.5, 30), (1.5, 50), (2.5, 10), (3.5, 40)], 0, 4, 80.0, id="a reset"),
        pytest.param([(0.5, 100), (1.5, 0), (2.5, 0), (3.5, 0)], 0, 4, 0.0, id="a reset to nothing"),
        pytest.param([(0.5, 5), (1.5, 3), (2.5, 2), (3.5, 1)], 0, 4, 6 + 6 * 0.5 / 3 * 2, id="a reset at every sample"),
        pytest.param([(0.5, 7), (1.5, 7), (3.5, 7)], 0, 4, 0.0, id="a counter that stands still"),
        pytest.param([(1, 5.0)], 0, 4, None, id="one sample"),
        pytest.param([], 0, 4, None, id="no sample"),
        # A gap makes the mean distance 3 s: both edges are near.
        pytest.param([(1, 10.0), (2, 20.0), (7, 70.0)], 0, 9, 60 * 9 / 6, id="a gap"),
    ],
)
def test_the_increase_is_that_of_prometheus(samples: Samples, start: float, end: float, expected: float | None):
    assert increase(samples, start, end) == (None if expected is None else pytest.approx(expected, rel=1e-12))


def oracle(samples: Samples, start: float, end: float) -> Fraction | None:
    """The rules one by one, exactly, with no regard for time."""
    if len(samples) < 2:
        return None
    times = [Fraction(time) for time, _ in samples]
    values = [Fraction(value) for _, value in samples]
    growth = sum(((after - before) if after >= before else after for before, after in pairwise(values)), Fraction(0))
    sampled = times[-1] - times[0]
    spacing = sampled / (len(samples) - 1)
    # Prometheus multiplies as machines do: what is 5.5 s away is not near where samples are 5 s from each other.
    threshold = Fraction(1.1 * float(spacing))
    to_start, to_end = times[0] - Fraction(start), Fraction(end) - times[-1]
    stretched_start = to_start if to_start < threshold else spacing / 2
    stretched_end = to_end if to_end < threshold else spacing / 2
    if growth > 0:
        stretched_start = min(stretched_start, sampled * values[0] / growth)
    return growth * (sampled + stretched_start + stretched_end) / sampled


gaps = st.lists(st.integers(1, 40), min_size=2, max_size=12)
values = st.lists(st.integers(0, 50) | st.floats(0, 1e6), min_size=12, max_size=12)


@settings(deadline=None)
@given(gaps, values, st.integers(0, 60), st.integers(0, 60))
@example([1, 1, 1, 1, 1, 1, 35, 40, 40, 40, 40], [0.0] * 10 + [1.0, 0.0], 0, 22)
def test_an_oracle_that_follows_the_rules_one_by_one_agrees(distances: list[int], counts: list[float], before: int, after: int):
    samples: Samples = []
    time = 100.0
    for distance, count in zip(distances, counts, strict=False):
        time += distance / 4
        samples.append((time, float(count)))
    # Not at the left edge: the window is open there.
    start, end = samples[0][0] - before / 4 - 0.125, samples[-1][0] + after / 4
    expected = oracle(samples, start, end)
    assert expected is not None
    assert increase(samples, start, end) == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
