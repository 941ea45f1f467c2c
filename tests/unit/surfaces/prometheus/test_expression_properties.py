"""Whatever is asked, it is understood or refused; and what was understood is written so that it means the same again."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st

from apiservice.surfaces.prometheus.expression import BadSyntax, NotEvaluated, parse_expression, parse_selector
from apiservice.surfaces.prometheus.selector import NAME, Comparison, Matcher, Selector, quoted

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LABELS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True) | TEXTS.filter(bool)
NAMES = st.from_regex(r"[A-Za-z_:][A-Za-z0-9_:]*", fullmatch=True) | TEXTS.filter(bool)
PLAIN = st.sampled_from([Comparison.EQUAL, Comparison.NOT_EQUAL])
EXPRESSIONS = st.sampled_from(["", ".*", "a|b", "(x|y)-[0-9]+", "web-.+", "a\\.b", "\\d{2}", "(?i)a"])
MATCHERS = st.builds(Matcher, LABELS, PLAIN, TEXTS) | st.builds(
    Matcher, LABELS, st.sampled_from([Comparison.MATCHES, Comparison.MATCHES_NOT]), EXPRESSIONS
)
SELECTORS = st.builds(
    lambda name, rest: Selector((Matcher(NAME, Comparison.EQUAL, name), *rest)),
    NAMES,
    st.lists(MATCHERS.filter(lambda matcher: matcher.label != NAME), max_size=4),
)
PIECES = st.sampled_from(
    [
        *(
            "a",
            "vector",
            "(",
            ")",
            "{",
            "}",
            "[",
            "]",
            ",",
            "=",
            "=~",
            "!=",
            "!~",
            "==",
            "+",
            "-",
            "^",
            "1",
            "5m",
            "@",
            "offset",
            "by",
        ),
        *("inf", '"', "'", "`", "\\", '"x"', "'y'", "`z`", "#", "\n", " ", ":", "0x", "1e", "__name__", "\ud800", "é"),
    ]
)


@given(SELECTORS)
def test_a_selector_is_written_so_that_it_is_read_as_it_was(selector: Selector):
    assert parse_selector(str(selector)) == selector


@given(TEXTS)
@example("\\x41 \\101 \\u0041")
def test_a_text_means_itself_in_double_quotes(text: str):
    assert parse_selector(f"{{a={quoted(text + '.')}}}").matchers[0].value == text + "."


@given(TEXTS.filter(lambda text: "`" not in text))
def test_a_text_means_itself_in_backticks(text: str):
    assert parse_selector(f"{{a=`{text}.`}}").matchers[0].value == text + "."


@given(TEXTS)
def test_a_text_means_itself_in_single_quotes(text: str):
    inside = quoted(text + ".")[1:-1].replace('\\"', '"').replace("'", "\\'")
    assert parse_selector(f"{{a='{inside}'}}").matchers[0].value == text + "."


@given(TEXTS)
def test_every_character_may_be_written_as_its_bytes(text: str):
    hexadecimal = "".join(f"\\x{byte:02x}" for byte in text.encode())
    octal = "".join(f"\\{byte:03o}" for byte in text.encode())
    rune = "".join(f"\\U{ord(character):08X}" for character in text)
    assert parse_selector(f'{{a="{hexadecimal}.{octal}.{rune}"}}').matchers[0].value == f"{text}.{text}.{text}"


@given(st.text() | st.lists(PIECES, max_size=30).map("".join))
@example("a{b=~'" + "(" * 3000 + "'}")
@example("1^" * 2000 + "1")
def test_nothing_but_its_own_errors_comes_of_anything(query: str):
    with suppress(BadSyntax, NotEvaluated):
        parse_expression(query)
