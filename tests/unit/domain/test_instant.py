"""Times that are asked about: RFC 3339, in whole seconds, of the past."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api.errors import BadQuery
from metrics_api.instant import parse_instant, timestamp

NOW = 1_795_300_000.5  # 2026-11-21T22:26:40Z


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-21T22:25:55Z", 1_795_299_955),
        ("2026-11-21t22:25:55z", 1_795_299_955),
        ("2026-11-21T22:25:55.999999999Z", 1_795_299_955),
        ("2026-11-21T23:25:55+01:00", 1_795_299_955),
        ("2026-11-21T16:55:55-05:30", 1_795_299_955),
        ("2026-11-22T04:10:55.5+05:45", 1_795_299_955),
        ("2026-11-21T22:25:55-00:00", 1_795_299_955),
        pytest.param("2026-11-21T23:25:55 01:00", 1_795_299_955, id="a plus that a URL made a space"),
        pytest.param("2026-11-21T22:26:40.9Z", 1_795_300_000, id="this very second"),
        pytest.param("1970-01-01T00:00:00Z", 0, id="the first"),
        pytest.param("1970-01-01T01:00:00+01:00", 0, id="the first, elsewhere"),
        pytest.param("2024-02-29T00:00:00Z", 1_709_164_800, id="a leap day"),
    ],
)
def test_a_time_is_read_to_the_second(text: str, instant: int):
    assert parse_instant(text, NOW) == instant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1795299955",
        "-5m",
        "2026-11-21",
        "2026-11-21T22:25:55",
        "2026-11-21 22:25:55Z",
        "2026-11-21T22:25Z",
        "2026-11-21T22:25:55.Z",
        "2026-11-21T22:25:55,5Z",
        "2026-11-21T22:25:55+0100",
        "2026-11-21T22:25:55+24:00",
        "2026-11-21T22:25:55  01:00",
        "2026-11-21T22:25:55Z ",
        "2026-11-21T22:25:55Z\n",
        "2026-11-21T24:00:00Z",
        "2026-11-21T22:25:60Z",
        "2026-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-W47-6T22:25:55Z",
        "٢٠٢٦-11-21T22:25:55Z",
        "9" * 100_000,
    ],
)
def test_what_is_no_such_time_is_refused_with_how_to_write_one(text: str):
    with pytest.raises(BadQuery, match="is not an RFC 3339 time: write it as") as told:
        parse_instant(text, NOW)
    assert len(told.value.message) < 200


@pytest.mark.parametrize("text", ["2026-11-21T22:26:41Z", "2026-11-21T23:26:40-00:01", "9999-12-31T23:59:59-23:59"])
def test_the_future_is_refused_with_the_time_of_the_server(text: str):
    with pytest.raises(BadQuery, match="is in the future: at this server it is 2026-11-21T22:26:40Z"):
        parse_instant(text, NOW)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "0001-01-01T00:00:00+23:59"])
def test_there_is_nothing_before_1970(text: str):
    with pytest.raises(BadQuery, match="is before 1970"):
        parse_instant(text, NOW)


@given(st.integers(0, 253_402_300_799))
def test_what_is_written_is_read_back(instant: int):
    assert parse_instant(timestamp(instant), 253_402_300_799) == instant


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}\Z"))
def test_whatever_is_asked_is_a_time_or_an_error(text: str):
    with suppress(BadQuery):
        assert 0 <= parse_instant(text, NOW) <= NOW
