"""Windows and durations: what Go prints is read back, and garbage is refused."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_api.errors import BadQuery
from metrics_api.window import LONGEST, Window, format_duration, parse_duration

UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": 1,
    "m": 60,
    "h": 3600,
}


@given(st.integers(0, 10**12))
def test_a_printed_duration_is_read_back(seconds: int):
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.integers(1, LONGEST))
def test_a_printed_window_is_read_back(seconds: int):
    assert Window.parse(str(Window(seconds))) == Window(seconds)


@given(st.integers(-(10**9), 10**9))
def test_a_window_is_accepted_within_its_bounds_and_refused_outside(seconds: int):
    if 1 <= seconds <= LONGEST:
        assert Window.parse(f"{seconds}s").seconds == seconds
    else:
        with pytest.raises(BadQuery, match="out of bounds"):
            Window.parse(f"{seconds}s")


@given(
    st.sampled_from(["", "+", "-"]),
    st.lists(
        st.tuples(
            st.from_regex(r"[0-9]{1,6}(\.[0-9]{0,6})?|\.[0-9]{1,6}", fullmatch=True, alphabet=st.characters(codec="ascii")),
            st.sampled_from(list(UNITS)),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_a_duration_is_the_sum_of_its_terms(sign: str, terms: list[tuple[str, str]]):
    total = sum(Fraction(number if number[-1] != "." else number[:-1]) * UNITS[unit] for number, unit in terms)
    assert parse_duration(sign + "".join(f"{number}{unit}" for number, unit in terms)) == (-total if sign == "-" else total)


@given(st.text() | st.text("0123456789.+-hmsnuµ", max_size=80))
def test_no_text_does_anything_but_parse_or_be_refused(text: str):
    try:
        window = Window.parse(text)
    except BadQuery:
        return
    assert 1 <= window.seconds <= LONGEST
    assert window.seconds == parse_duration(text)
