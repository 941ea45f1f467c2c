"""Regular expressions of dialects: the same in RE2 and in Python, or refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.dialects.expression import expression, quote


@pytest.mark.parametrize(
    ("text", "matches", "refuses"),
    [
        ("a|b", ["a", "b"], ["ab", "a|b", "xa", "bx", ""]),
        ("5..|0", ["503", "0"], ["5031", "00", "50"]),
        (r"inbound\|.*", ["inbound|8080||"], ["inbound8080", "xinbound|"]),
        ("", [""], ["a"]),
        (".+", ["a", "a\nb"], [""]),
        (".*", ["", "a\nb"], []),
        ("(?i)web", ["WEB", "web"], ["wéb"]),
        (r"\d+", ["12"], ["١٢", "1a"]),
        (r"\w+", ["wx_9"], ["é", "a-b"]),
        (r"[^|]*", ["", "abc"], ["a|b"]),
        (r"[]a]+", ["]a"], ["b"]),
        (r"a{2,3}", ["aa", "aaa"], ["a", "aaaa"]),
        (r"(?P<name>[a-z]+)\.(?P<namespace>[a-z]+)", ["api.shop"], ["api", "api.shop.svc"]),
        (r"\\1", ["\\1"], ["1"]),
        (r"a\{,3\}", ["a{,3}"], ["aaa"]),
        (r"(?:a+?|b)", ["a", "aaa", "b"], ["ab"]),
    ],
)
def test_the_whole_value_is_matched(text: str, matches: list[str], refuses: list[str]):
    pattern = expression(text)
    assert [value for value in matches if not pattern.fullmatch(value)] == []
    assert [value for value in refuses if pattern.fullmatch(value)] == []


@pytest.mark.parametrize(
    "text",
    [
        "(?=a)b",
        "(?!a)b",
        "(?<=a)b",
        "(?<!a)b",
        r"(a)\1",
        "(?P<x>a)(?P=x)",
        "(a)?(?(1)b|c)",
        "(?>a)",
        "(?#comment)a",
        "(?x)a b",
        r"(?a)\w",
        "(?u)a",
        r"a\Z",
        r"\N{BULLET}",
        r"\u0041",
        r"[\u0041]",
        r"\07",
        "a++",
        "a*+",
        "a{2}+",
        "[[:alpha:]]+",
        "a{,3}",
        "a{1001}",
        "a{1,5000}",
        "(?i)WÉB",
    ],
)
def test_what_re2_reads_differently_is_refused(text: str):
    with pytest.raises(ValueError, match="RE2"):
        expression(text)


@pytest.mark.parametrize("text", ["(", "[a", "*a", "a**", r"\pL", r"\Qa\E", r"a\z", "(?<name>a)"])
def test_what_python_cannot_read_is_refused(text: str):
    with pytest.raises(ValueError, match="is not a regular expression"):
        expression(text)


@given(st.text(), st.text())
def test_a_quoted_value_matches_just_itself(value: str, other: str):
    pattern = expression(quote(value))
    assert pattern.fullmatch(value)
    assert (pattern.fullmatch(other) is not None) == (value == other)


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_a_quoted_value_escapes_what_go_escapes(value: str):
    """Go's regexp.QuoteMeta puts a backslash before these and nothing else."""
    assert quote(value) == re.sub(r"[\\.+*?()|\[\]{}^$]", lambda match: "\\" + match[0], value)
