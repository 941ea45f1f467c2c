"""The part of PromQL that is read: what is understood, what is PromQL and more than that, and what is none."""

from __future__ import annotations

import pytest

from apiservice.surfaces.prometheus.expression import BadSyntax, NotEvaluated, Scalar, Vector, parse_expression, parse_selector
from apiservice.surfaces.prometheus.selector import Comparison, Matcher, Selector


def selector(*terms: tuple[str, str, str]) -> Selector:
    return Selector(tuple(Matcher(label, Comparison(sign), value) for label, sign, value in terms))


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("1+1", 2),
        ("1 + 1", 2),
        ("2 ^ 3 ^ 2", 512),
        ("-2 ^ 2", -4),
        ("2 * -3 + .5", -5.5),
        ("(1 + 2) * 3 % 4", 1),
        ("10 - 2 - 3", 5),
        ("-7 % 3", -1),
        ("0x10 / 1e1", 1.6),
        ("# nothing\n 3.", 3),
    ],
)
def test_numbers_are_calculated(query: str, value: float):
    assert parse_expression(query) == Scalar(value)


def test_a_vector_of_a_number_is_what_clients_see_that_we_are_there_by():
    assert parse_expression(" vector( 1 ) ") == Vector(1)


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        pytest.param("a:b_c1", [("__name__", "=", "a:b_c1")], id="a name"),
        pytest.param("a{}", [("__name__", "=", "a")], id="no matchers"),
        pytest.param("and", [("__name__", "=", "and")], id="a word of PromQL"),
        pytest.param('{__name__="Inf"}', [("__name__", "=", "Inf")], id="the name of a number"),
        pytest.param('a{b="c",}', [("__name__", "=", "a"), ("b", "=", "c")], id="a comma at the end"),
        pytest.param('(({b!~"c|d", e="f"}))', [("b", "!~", "c|d"), ("e", "=", "f")], id="parentheses"),
        pytest.param('{__name__=~"a.+",by="x"}', [("__name__", "=~", "a.+"), ("by", "=", "x")], id="a word of PromQL as label"),
        pytest.param('{"a.b", "c d"="e"}', [("__name__", "=", "a.b"), ("c d", "=", "e")], id="names in quotes"),
        pytest.param("a{b='it\\'s \"c\"'}", [("__name__", "=", "a"), ("b", "=", 'it\'s "c"')], id="single quotes"),
        pytest.param("a{b=`\\d{2}\n`}", [("__name__", "=", "a"), ("b", "=", "\\d{2}\n")], id="backticks"),
        pytest.param(
            'a{b="\\x41\\101\\u00e9\\U0001F600\\n\\\\\\""}', [("__name__", "=", "a"), ("b", "=", 'AAé😀\n\\"')], id="escapes"
        ),
        pytest.param('a{b="\\xc3\\xa9"}', [("__name__", "=", "a"), ("b", "=", "é")], id="bytes of UTF-8"),
        pytest.param('a # b\n{ c = "d" # }\n}', [("__name__", "=", "a"), ("c", "=", "d")], id="comments and lines"),
    ],
)
def test_selectors_are_read(query: str, terms: list[tuple[str, str, str]]):
    found = parse_expression(query)
    assert found == selector(*terms)
    assert parse_selector(str(found)) == found


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("rate(a[5m])", "rate()"),
        ("sum by (b) (a)", "sum()"),
        ("sum(a) by (b)", "sum()"),
        ("a[5m]", "a range of samples"),
        ("a offset 5m", "offset"),
        ("a @ 123", "@"),
        ("a * 100", '"*"'),
        ("100 * a", '"*"'),
        ("-a", '"-"'),
        ("a > 0.5", '">"'),
        ("a and b", '"and"'),
        ("1 == bool 1", '"=="'),
        ('"text"', "a string"),
        ("Inf", "Inf"),
        ("1 / 0", "no finite number"),
        ("2 ^ 10000", "no finite number"),
        ("(-8) ^ 0.5", "no finite number"),
        ("1e400", "no finite number"),
        ("0x" + "f" * 300, "no finite number"),
    ],
)
def test_what_is_more_than_is_evaluated_is_named(query: str, what: str):
    with pytest.raises(NotEvaluated) as caught:
        parse_expression(query)
    assert what in str(caught.value)


def test_what_is_not_evaluated_is_told_with_what_to_do():
    with pytest.raises(NotEvaluated, match=r"plain selectors, such as .*let a Prometheus scrape …/prometheus/metrics"):
        parse_expression("rate(a[5m])")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "1:1: parse error: unexpected end of input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("a b", "1:3: parse error: unexpected <b>"),
        ("(a", "1:3: parse error: unclosed left parenthesis"),
        (")", "1:1: parse error: unexpected <)>"),
        ("a{", "1:3: parse error: unexpected end of input in label matching, expected a label"),
        ("a{b}", "1:4: parse error: unexpected <}> in label matching, expected one of"),
        ("a{b=c}", "1:5: parse error: unexpected <c> in label matching, expected string"),
        ('a{b="c" d="e"}', '1:9: parse error: unexpected <d> in label matching, expected ","'),
        ('a\n{b="c}', "2:4: parse error: unterminated quoted string"),
        ('a{b=~"("}', "1:6: parse error: error parsing regexp"),
        ('a{b=~"(?=x)"}', "1:6: parse error: error parsing regexp"),
        ('a{b="\\d"}', "1:5: parse error: unknown escape sequence \\d"),
        ("a{b='\\\"'}", "1:5: parse error: unknown escape sequence"),
        ('a{b="\\777"}', "1:5: parse error: unknown escape sequence"),
        ('a{b="\\ud800"}', "1:5: parse error: unknown escape sequence"),
        ('a{b="\\xff"}', "1:5: parse error: a quoted string is not UTF-8"),
        ('a{b="\ud800"}', "the query is not UTF-8"),
        ("{}", "vector selector must contain at least one non-empty matcher"),
        ('{a=~".*", b!="c"}', "vector selector must contain at least one non-empty matcher"),
        ('a{__name__="b"}', "metric name must not be set twice"),
        ("5m", "unexpected duration"),
        ("a$", "unexpected character: '$'"),
        ("vector(a)", "expected type scalar"),
        ("(" * 200 + "1", "nested more than 100 deep"),
        ("-" * 5000 + "1", "nested more than 100 deep"),
    ],
)
def test_what_is_no_promql_is_told_with_its_place(query: str, told: str):
    with pytest.raises(BadSyntax) as caught:
        parse_expression(query)
    assert told in str(caught.value)


@pytest.mark.parametrize("text", ["1", "vector(1)"])
def test_only_selectors_select_series(text: str):
    with pytest.raises(BadSyntax, match="expected a selector"):
        parse_selector(text)


@pytest.mark.parametrize(
    ("sign", "value", "accepted", "refused"),
    [
        ("=", "a", ["a"], ["", "ab"]),
        ("!=", "a", ["", "ab"], ["a"]),
        ("=~", "a|b.*", ["a", "b", "bcd"], ["", "ab", "xb"]),
        ("!~", "a|b.*", ["", "ab", "xb"], ["a", "b", "bcd"]),
        ("=~", "", [""], ["a"]),
        ("=~", ".*", ["", "a\nb"], []),
        ("=~", "(?i)WEB", ["web", "Web"], ["wb"]),
        ("=", "a|b", ["a|b"], ["a", "b"]),
    ],
)
def test_matchers_compare_the_whole_value(sign: str, value: str, accepted: list[str], refused: list[str]):
    matcher = Matcher("label", Comparison(sign), value)
    assert [text for text in (*accepted, *refused) if matcher.accepts(text)] == accepted


def test_the_values_a_label_may_have_are_those_that_all_matchers_allow():
    found = selector(("a", "=~", "x|y|z"), ("a", "!=", "y"), ("a", "=~", "x|y"), ("b", "=~", "x.*"))
    assert (found.only("a"), found.only("b"), found.only("c")) == ({"x"}, None, None)


def test_an_expression_nobody_should_write_is_answered_at_once():
    matcher = Matcher("label", Comparison.MATCHES, "(a+)+b")
    assert not matcher.accepts("a" * 5000)
