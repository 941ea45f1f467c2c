"""Label matchers, as PromQL has them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.dialects import Comparison, Matcher, equal, one_of, parse_matchers

E, N, M, X = Comparison.EQUAL, Comparison.NOT_EQUAL, Comparison.MATCHES, Comparison.MATCHES_NOT


@pytest.mark.parametrize(
    ("comparison", "value", "labels", "selected"),
    [
        (E, "web", {"app": "web"}, True),
        (E, "web", {"app": "webb"}, False),
        (E, "", {}, True),
        (E, "", {"app": ""}, True),
        (E, "", {"app": "web"}, False),
        (E, ".*", {"app": "web"}, False),
        (N, "web", {"app": "api"}, True),
        (N, "web", {}, True),
        (N, "", {}, False),
        (N, "", {"app": "web"}, True),
        (M, "web|api", {"app": "api"}, True),
        (M, "web|api", {"app": "apis"}, False),
        (M, "we", {"app": "web"}, False),
        (M, "eb", {"app": "web"}, False),
        (M, ".*", {}, True),
        (M, ".+", {}, False),
        (M, "a|", {}, True),
        (M, ".+", {"app": "two\nlines"}, True),
        (X, "web|api", {"app": "api"}, False),
        (X, "we", {"app": "web"}, True),
        (X, ".+", {}, True),
        (X, ".*", {}, False),
    ],
)
def test_a_matcher_selects_as_prometheus_does(comparison: Comparison, value: str, labels: dict[str, str], *, selected: bool):
    assert Matcher("app", comparison, value).accepts(labels) is selected


@given(st.lists(st.text(), min_size=1, max_size=4), st.text())
def test_one_of_several_values_is_each_of_them_and_no_other(values: list[str], other: str):
    matcher = one_of("app", values)
    assert all(matcher.accepts({"app": value}) for value in values)
    assert matcher.accepts({"app": other}) == (other in values)


@given(st.text(), st.text())
def test_equal_is_equal(value: str, other: str):
    assert equal("app", value).accepts({"app": other}) == (value == other)


@pytest.mark.parametrize(
    ("text", "matchers"),
    [
        ("", ()),
        ("{}", ()),
        ('a="b"', (Matcher("a", E, "b"),)),
        (
            ' { a = "b" , c!="d",e=~"f.*",g!~"h" } ',
            (Matcher("a", E, "b"), Matcher("c", N, "d"), Matcher("e", M, "f.*"), Matcher("g", X, "h")),
        ),
        ('a="b",', (Matcher("a", E, "b"),)),
        ('a=""', (Matcher("a", E, ""),)),
        (r'a="say \"hi\" \\ \n"', (Matcher("a", E, 'say "hi" \\ \n'),)),
        (r'a=~"inbound\|.*"', (Matcher("a", M, r"inbound\|.*"),)),
        (r'a=~"inbound\\|.*"', (Matcher("a", M, r"inbound\|.*"),)),
        ('a="x,y}"', (Matcher("a", E, "x,y}"),)),
    ],
)
def test_matchers_are_written_as_in_promql(text: str, matchers: tuple[Matcher, ...]):
    assert parse_matchers(text) == matchers


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a=b", "is not a list of matchers"),
        ('="b"', "is not a list of matchers"),
        ('a=="b"', "is not a list of matchers"),
        ('a="b" c="d"', "expected a comma"),
        (',a="b"', "is not a list of matchers"),
        ('a="b"}{c="d"', "expected a comma"),
        ('a="b', "is not a list of matchers"),
        ('a-b="c"', "is not a list of matchers"),
        ('1a="c"', "is not a list of matchers"),
        ('a=~"("', "is not a regular expression"),
        ('a=~"(?=b)"', "RE2"),
        ('a!~"b++"', "RE2"),
    ],
)
def test_what_is_no_list_of_matchers_is_refused(text: str, problem: str):
    with pytest.raises(ValueError, match=r"^") as caught:
        parse_matchers(text)
    assert problem in str(caught.value)
