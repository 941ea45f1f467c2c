"""What observations say of checks, one by one and together, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from kubectl_traffic.gate.check import STALE, Check, Enough, Observation, Outcome, find
from kubectl_traffic.gate.demands import (
    at_least_rate,
    at_least_success,
    at_most_drop,
    at_most_failures,
    at_most_latency,
    at_most_rise,
)
from kubectl_traffic.gate.report import Report
from kubectl_traffic.gate.verdict import decide, requests_seen, tallies
from metrics_api import Edge, ResourceRef, TrafficMetrics, Window
from metrics_api.provenance import INCOMPLETE

HELD, BROKEN, NO_DATA = Outcome.HELD, Outcome.BROKEN, Outcome.NO_DATA
WINDOW = Window(30)


def row(success: int | None = 1000, failure: int | None = 0, p99: int | None = 300_000, instant: int = 0) -> TrafficMetrics:
    """A row; counts in thousandths, the percentile in microseconds."""
    resource = ResourceRef("Deployment", "shop", "web")
    return TrafficMetrics("web", "shop", resource, Edge(), instant, WINDOW, p99=p99, success=success, failure=failure)


@pytest.mark.parametrize(
    ("held", "broken", "missing", "tolerated", "verdict"),
    [
        pytest.param(0, 0, 0, 5, NO_DATA, id="nothing at all"),
        pytest.param(0, 0, 3, 5, NO_DATA, id="gaps alone, however many are tolerated"),
        pytest.param(3, 0, 0, 0, HELD, id="all held"),
        pytest.param(3, 0, 1, 0, NO_DATA, id="one gap"),
        pytest.param(3, 0, 1, 1, HELD, id="one gap tolerated"),
        pytest.param(3, 1, 1, 1, NO_DATA, id="one broken and one gap, one tolerated"),
        pytest.param(3, 2, 0, 1, BROKEN, id="two broken, one tolerated"),
        pytest.param(9, 1, 9, 0, BROKEN, id="one broken among gaps"),
    ],
)
def test_verdicts(held: int, broken: int, missing: int, tolerated: int, verdict: Outcome) -> None:
    assert decide(held, broken, missing, tolerated) is verdict


@pytest.mark.parametrize(
    ("check", "seen", "outcome", "value"),
    [
        pytest.param(at_least_success(Fraction("0.999")), row(999, 1), HELD, "0.999", id="success at the limit"),
        pytest.param(at_least_success(Fraction("0.999")), row(998_999, 1_001), BROKEN, "0.998999", id="success below"),
        pytest.param(at_most_latency("p99", Fraction("0.3")), row(p99=300_000), HELD, "0.3", id="latency at the limit"),
        pytest.param(at_most_latency("p99", Fraction("0.3")), row(p99=300_001), BROKEN, "0.300001", id="latency above"),
        pytest.param(at_most_latency("p50", Fraction("0.3")), row(), NO_DATA, None, id="latency unknown"),
        pytest.param(at_most_failures(Fraction(0)), row(1000, 0), HELD, "0", id="no failure"),
        pytest.param(at_most_failures(Fraction(0)), row(1000, 1), BROKEN, "0.001", id="a part of a failure"),
        pytest.param(at_least_rate(Fraction("0.1")), row(3000, 0), HELD, "0.1", id="rate at the limit"),
        pytest.param(at_least_rate(Fraction("0.1")), row(2999, 0), NO_DATA, "0.09996666666666666667", id="rate below"),
        pytest.param(at_least_rate(Fraction(1)), row(0, 0), NO_DATA, "0", id="rate of nothing"),
        pytest.param(at_least_rate(Fraction(1)), row(None, 0), NO_DATA, None, id="rate unknown"),
    ],
)
def test_one_row_and_one_check(check: Check, seen: TrafficMetrics, outcome: Outcome, value: str | None) -> None:
    found = find(check, Enough(Fraction(1, 1000)), Observation((seen,)))
    assert found.outcome is outcome
    assert (found.value is None) == (value is None)
    if value is not None and found.value is not None:
        assert abs(found.value - Fraction(value)) < Fraction(1, 10**15)


@pytest.mark.parametrize(
    ("check", "baseline", "candidate", "outcome"),
    [
        pytest.param(at_most_drop(Fraction("0.005")), row(995, 5), row(990, 10), HELD, id="a drop as large as it may be"),
        pytest.param(at_most_drop(Fraction("0.005")), row(9950, 50), row(9899, 101), BROKEN, id="a larger drop"),
        pytest.param(at_most_drop(Fraction(0)), row(1, 1), row(2, 1), HELD, id="a candidate that is better"),
        pytest.param(
            at_most_rise("p99", Fraction("0.1")), row(p99=700_000), row(p99=770_000), HELD, id="a rise as large as may be"
        ),
        pytest.param(at_most_rise("p99", Fraction("0.1")), row(p99=700_000), row(p99=770_001), BROKEN, id="a larger rise"),
        pytest.param(at_most_rise("p99", Fraction("0.1")), row(p99=0), row(p99=1), NO_DATA, id="nothing to be a share of"),
        pytest.param(at_most_rise("p99", Fraction("0.1")), row(p99=None), row(p99=1), NO_DATA, id="no percentile of the baseline"),
    ],
)
def test_two_rows_and_one_check(check: Check, baseline: TrafficMetrics, candidate: TrafficMetrics, outcome: Outcome) -> None:
    assert find(check, Enough(Fraction(0)), Observation((baseline, candidate))).outcome is outcome


@pytest.mark.parametrize("mark", [INCOMPLETE, STALE])
def test_marked_rows_are_no_data_whatever_they_say(mark: str) -> None:
    marked = replace(row(), annotations={mark: "true"})
    for seen in (Observation((marked,)), Observation((row(), marked))):
        assert find(at_least_success(Fraction(0)), Enough(), seen).outcome is NO_DATA


def test_requests_of_windows_that_overlap_are_counted_once() -> None:
    seen = [
        Observation((row(success, 0, instant=instant),)) for instant, success in ((60, 2000), (30, 1000), (45, 5000), (91, 4000))
    ]
    assert requests_seen([*seen, Observation((), "nobody")], 0) == 7


@pytest.mark.parametrize(
    ("check", "seen", "line"),
    [
        pytest.param(at_least_success(Fraction("0.995")), row(994_999, 5_001), "success  99.49% < 99.50%", id="just below"),
        pytest.param(at_least_success(Fraction("0.99495")), row(994_970, 5_030), "success  99.497% >= 99.495%", id="fine limits"),
        pytest.param(at_least_success(Fraction("0.5")), row(10**9 - 1, 1), "success  99.99% >= 50.00%", id="never quite all"),
        pytest.param(at_most_latency("p99", Fraction("0.3")), row(p99=300_001), "p99  300.1ms > 300ms", id="just above"),
        pytest.param(at_most_latency("p99", Fraction("1.5")), row(p99=412_000), "p99  0.42s <= 1.5s", id="seconds"),
        pytest.param(at_most_latency("p50", Fraction("0.3")), row(), "p50  - <= 300ms", id="unknown"),
    ],
)
def test_what_is_shown_agrees_with_the_verdict(check: Check, seen: TrafficMetrics, line: str) -> None:
    taken = (Observation((seen,)),)
    report = Report(("deployment/web",), tallies([check], Enough(), taken), taken, 1, 0)
    (told,) = report.lines()
    assert told.split("  ", 1)[1].strip().startswith(f"{line}  (")


def test_colours_are_beside_the_words() -> None:
    taken = (Observation((row(),)),)
    report = Report(("deployment/web",), tallies([at_least_success(Fraction(1))], Enough(), taken), taken, 1, 0)
    (plain,), (coloured,) = report.lines(), report.lines(colour=True)
    assert coloured == plain.replace("held   ", "\x1b[32mheld   \x1b[0m", 1)
