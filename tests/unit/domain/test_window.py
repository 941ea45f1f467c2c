"""Windows and Go durations."""

from fractions import Fraction

import pytest

from metrics_api.errors import BadQuery
from metrics_api.window import LONGEST, Window, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", Fraction(0)),
        ("30s", Fraction(30)),
        ("1h30m", Fraction(5400)),
        ("1h0m0s", Fraction(3600)),
        ("1.5s", Fraction(3, 2)),
        (".5m", Fraction(30)),
        ("1.m", Fraction(60)),
        ("100ms", Fraction(1, 10)),
        ("1us", Fraction(1, 10**6)),
        ("1µs", Fraction(1, 10**6)),
        ("1μs", Fraction(1, 10**6)),
        ("1ns", Fraction(1, 10**9)),
        ("-5s", Fraction(-5)),
        ("-1h1s", Fraction(-3601)),
        ("+5s", Fraction(5)),
        ("5s1m", Fraction(65)),
    ],
)
def test_a_duration_is_read_exactly(text: str, seconds: Fraction):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "-",
        "s",
        ".s",
        "30",
        "00",
        "1d",
        "1w",
        "1 s",
        " 1s",
        "1s ",
        "1s\n",
        "--1s",
        "1S",
        "1e3s",
        "1h-1s",
        "١s",
        "1,5s",
        "s1",
        "1x",
    ],
)
def test_what_is_no_duration_is_refused_with_an_example(text: str):
    with pytest.raises(BadQuery, match="write it as 30s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["9" * 5000 + "s", "0." + "1" * 5000 + "s", "1s" * 5000], ids=["whole", "fraction", "terms"])
def test_an_endless_duration_is_a_bad_query_and_not_a_crash(text: str):
    with pytest.raises(BadQuery, match="longer than 64 characters") as caught:
        Window.parse(text)
    assert len(caught.value.message) < 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (1, "1s"),
        (30, "30s"),
        (59, "59s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (600, "10m0s"),
        (3599, "59m59s"),
        (3600, "1h0m0s"),
        (3661, "1h1m1s"),
        (86400, "24h0m0s"),
    ],
)
def test_durations_are_printed_as_go_does(seconds: int, text: str):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("30s", 30), ("1m", 60), ("0.5m", 30), ("1000ms", 1), ("1h30m", 5400), ("24h", LONGEST), ("1.5s500ms", 2)],
)
def test_a_window_is_a_whole_number_of_seconds(text: str, seconds: int):
    assert Window.parse(text) == Window(seconds)


@pytest.mark.parametrize("text", ["1.5s", "500ms", "1s1ms", "0.1s", "1ns", "-1.5s", "1.0000000001s"])
def test_a_window_in_parts_of_a_second_is_refused(text: str):
    with pytest.raises(BadQuery, match="not in whole seconds"):
        Window.parse(text)


@pytest.mark.parametrize("text", ["0", "0s", "-30s", "24h1s", "25h", "876000h", "99999999999999999999h"])
def test_a_window_out_of_bounds_is_refused_with_the_bounds(text: str):
    with pytest.raises(BadQuery, match="must be from 1s to 24h0m0s"):
        Window.parse(text)


def test_windows_have_an_order_and_print_as_go_does():
    assert Window(30) < Window(60)
    assert str(Window.parse("90s")) == "1m30s"
