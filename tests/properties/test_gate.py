"""Verdicts are never better than what was seen, and do not depend on the order in which it was."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kubectl_traffic.gate.amounts import show_latency, show_percent
from kubectl_traffic.gate.check import Check, Enough, Observation, Outcome
from kubectl_traffic.gate.demands import at_least_rate, at_least_success, at_most_failures, at_most_latency
from kubectl_traffic.gate.verdict import decide, tallies, together
from metrics_api import Edge, ResourceRef, TrafficMetrics, Window

HELD, BROKEN, NO_DATA = Outcome.HELD, Outcome.BROKEN, Outcome.NO_DATA


def row(success: int | None, failure: int | None, p99: int | None, instant: int) -> TrafficMetrics:
    """A row; counts in thousandths, the percentile in microseconds."""
    resource = ResourceRef("Deployment", "shop", "web")
    return TrafficMetrics("web", "shop", resource, Edge(), instant, Window(30), p99=p99, success=success, failure=failure)


counts = st.none() | st.integers(0, 10**9)
rows = st.builds(row, success=counts, failure=counts, p99=st.none() | st.integers(0, 10**8), instant=st.integers(0, 10**6))
observations = st.lists(st.builds(Observation, st.tuples(rows) | st.just(()), st.sampled_from(("", "nobody"))), max_size=8)
limits = st.fractions(0, 1)
checks = st.one_of(
    st.builds(at_least_success, limits),
    st.builds(lambda limit: at_most_latency("p99", limit * 100), limits),
    st.builds(lambda limit: at_most_failures(limit * 10**6), limits),
    st.builds(lambda limit: at_least_rate(limit * 100), limits),
)
enough = st.builds(Enough, st.integers(1, 1000).map(Fraction))


@given(st.lists(checks, min_size=1, max_size=4), enough, observations)
def test_a_gate_never_holds_when_a_sample_breaks(wanted: list[Check], least: Enough, seen: list[Observation]) -> None:
    found = tallies(wanted, least, seen)
    verdict = together(tally.verdict(0) for tally in found)
    outcomes = {finding.outcome for tally in found for finding in tally.findings}
    if BROKEN in outcomes:
        assert verdict is BROKEN
    elif NO_DATA in outcomes or not seen:
        assert verdict is NO_DATA
    else:
        assert verdict is HELD


@given(st.lists(checks, min_size=1, max_size=4), observations, st.integers(0, 9))
def test_no_data_never_holds(wanted: list[Check], seen: list[Observation], tolerated: int) -> None:
    nothing = [replace(observation, rows=(), missing="nobody answered") for observation in seen]
    assert together(tally.verdict(tolerated) for tally in tallies(wanted, Enough(), nothing)) is NO_DATA


@given(checks, observations, st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_order_of_samples_is_irrelevant(check: Check, seen: list[Observation], tolerated: int, random: Random) -> None:
    shuffled = list(seen)
    random.shuffle(shuffled)
    (one,), (other,) = (tallies([check], Enough(), each) for each in (seen, shuffled))
    assert (one.verdict(tolerated), one.worst, one.reasons) == (other.verdict(tolerated), other.worst, other.reasons)


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_one_more_sample_that_breaks_never_turns_a_verdict_to_the_better(
    held: int, broken: int, missing: int, tolerated: int
) -> None:
    order = (BROKEN, NO_DATA, HELD)
    before, after = decide(held, broken, missing, tolerated), decide(held, broken + 1, missing, tolerated)
    assert order.index(after) <= order.index(before)


@given(st.fractions(0, 1), st.integers(0, 10**6 - 1).map(lambda millionths: Fraction(millionths, 10**6)))
def test_what_is_shown_is_on_the_side_of_the_limit_where_it_is(value: Fraction, limit: Fraction) -> None:
    share, least = (Fraction(show_percent(each, limit, up=False).removesuffix("%")) for each in (value, limit))
    assert (share >= least) == (value >= limit)
    latency, most = (Fraction(show_latency(each, limit, up=True).removesuffix("ms")) for each in (value, limit))
    assert (latency <= most) == (value <= limit)
