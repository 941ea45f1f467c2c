"""Times, steps, and the moments of a range."""

from __future__ import annotations

import pytest

from apiservice.surfaces.prometheus.failures import Failure
from apiservice.surfaces.prometheus.times import parse_length, parse_moment, parse_range, written
from metrics_api.span import Span


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("4", 4000),
        ("1795300000.781", 1_795_300_000_781),
        ("1.7953e9", 1_795_300_000_000),
        ("-1.5", -1500),
        (".5", 500),
        ("1795300000.1", 1_795_300_000_100),
        ("2026-11-21T22:26:40Z", 1_795_300_000_000),
        ("2026-11-21T22:26:40.7819Z", 1_795_300_000_781),
        ("2026-11-21T23:26:40+01:00", 1_795_300_000_000),
        ("2026-11-21T23:26:40 01:00", 1_795_300_000_000),
        ("2026-11-21T20:26:40.5-02:00", 1_795_300_000_500),
        ("1969-12-31T23:59:59.25Z", -750),
    ],
)
def test_times_are_seconds_or_rfc_3339(text: str, milliseconds: int):
    assert parse_moment("time", text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "now", "1e400", "NaN", "Inf", "2026-13-01T00:00:00Z", "2026-11-21", "2026-11-21T22:26:40", "1 ", "٣", "9e15"]
)
def test_anything_else_is_no_time(text: str):
    with pytest.raises(Failure) as caught:
        parse_moment("start", text)
    assert caught.value.document() == {
        "status": "error",
        "errorType": "bad_data",
        "error": f'invalid parameter "start": cannot parse "{text}" to a valid timestamp',
    }


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("15", 15_000), ("0.5", 500), ("1m", 60_000), ("1h30m", 5_400_000), ("2d", 172_800_000), ("250ms", 250), ("-1", -1000)],
)
def test_steps_are_seconds_or_durations(text: str, milliseconds: int):
    assert parse_length("step", text) == milliseconds


@pytest.mark.parametrize("text", ["", "5x", "m", "1m1h", "1e300", "9999999999y", "١s"])
def test_anything_else_is_no_step(text: str):
    with pytest.raises(Failure, match=r'cannot parse ".*" to a valid duration'):
        parse_length("step", text)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (("10", "5", "1"), "end timestamp must not be before start time"),
        (("0", "5", "0"), "zero or negative query resolution step widths"),
        (("0", "5", "-1"), "zero or negative query resolution step widths"),
        (("0", "11000", "1"), "exceeded maximum resolution of 11,000 points per timeseries"),
        (("0", "100", "1.5"), '"1.5" is not a whole number of seconds'),
        (("0", "100", "500ms"), '"500ms" is not a whole number of seconds'),
        (("", "100", "1"), 'parameter "start"'),
        (("0", "", "1"), 'parameter "end"'),
        (("0", "100", ""), 'parameter "step"'),
    ],
)
def test_ranges_that_cannot_be_are_refused_as_prometheus_does(given: tuple[str, str, str], told: str):
    with pytest.raises(Failure, match="invalid parameter") as caught:
        parse_range(*given)
    assert told in caught.value.message
    assert caught.value.code == 400


def test_as_many_moments_as_prometheus_allows():
    assert parse_range("0", "10999", "1").count == 11_000


@pytest.mark.parametrize(
    ("given", "now", "span"),
    [
        pytest.param(("100", "160", "15"), 1000.0, Span(100, 160, 15), id="whole"),
        pytest.param(("100.9", "160.9", "15"), 1000.0, Span(100, 160, 15), id="fractions are dropped"),
        pytest.param(("100", "159", "15"), 1000.0, Span(100, 145, 15), id="the end lies between"),
        pytest.param(("100", "100", "15"), 1000.0, Span(100, 100, 15), id="one moment"),
        pytest.param(("100", "1000", "15"), 131.0, Span(100, 130, 15), id="what has not come is left out"),
        pytest.param(("100", "1000", "15"), 129.9, Span(100, 115, 15), id="nor what is a fraction of a second ahead"),
        pytest.param(("100", "1000", "15"), 99.0, None, id="all ahead"),
        pytest.param(("-100", "1000", "15"), 9999.0, None, id="before there was time"),
    ],
)
def test_the_instants_are_start_and_whole_steps_after_it(given: tuple[str, str, str], now: float, span: Span | None):
    moments = parse_range(*given)
    assert moments.span(now) == span
    assert span is None or len(span.instants) == moments.past(now)


def test_moments_are_told_as_they_were_asked_for():
    moments = parse_range("100.25", "130.25", "15")
    assert [written(moments.at(place)) for place in range(moments.count)] == [100.25, 115.25, 130.25]
    assert repr(written(100_000)) == "100"
