"""Regular expressions of readers: the lists among them are known, and all others are what RE2 says."""

from __future__ import annotations

import re
import time

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from apiservice.surfaces.pattern import Pattern
from metrics_api import BadQuery

TEXT = st.text(st.sampled_from("ab.-_|()$^\\*+ \nö"), max_size=6)
EXPRESSION = st.text(st.sampled_from("ab.|()$^\\*+?[]{}1,-:d"), max_size=10)


@given(st.lists(TEXT, min_size=1, max_size=4), st.sampled_from(["{}", "({})", "(?:{})", "^({})$", "^{}$"]), TEXT)
def test_a_list_of_values_matches_these_alone(values: list[str], form: str, other: str):
    if form == "^{}$" and len(values) > 1:
        values = values[:1]
    pattern = Pattern(form.format("|".join(re2.escape(value) for value in values)))
    assert pattern.values == set(values)
    assert all(pattern.matches(value) for value in values)
    assert pattern.matches(other) is (other in values)


@given(EXPRESSION, TEXT)
def test_every_expression_means_what_re2_says_or_is_refused(text: str, value: str):
    options = re2.Options()
    options.log_errors, options.dot_nl = False, True
    try:
        expected = re2.compile(text, options).fullmatch(value) is not None
    except re2.error:
        with pytest.raises(BadQuery, match="is not a regular expression of RE2"):
            Pattern(text)
        return
    assert Pattern(text).matches(value) is expected


def test_no_expression_keeps_the_server_busy():
    start = time.process_time()
    assert not Pattern("(a+)+(a+)+b").matches("a" * 5_000)
    # Python's own would take longer than there is time.
    assert time.process_time() - start < 2
    assert re.fullmatch("(a+)+b", "a" * 10) is None


@pytest.mark.parametrize(
    "text", ["a" * 10_001, "((a{1000}){1000}){1000}", "(?=a)", r"(a)\1", "("], ids=["long", "large", "ahead", "back", "open"]
)
def test_what_is_none_is_refused(text: str):
    with pytest.raises(BadQuery):
        Pattern(text)
