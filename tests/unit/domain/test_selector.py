"""Label selectors: the grammar, the mistakes, what matches."""

from typing import Any

import pytest

from metrics_api.errors import BadQuery
from metrics_api.selector import LabelSelector, Operator, Requirement

IN, NOT_IN, EXISTS, ABSENT = Operator.IN, Operator.NOT_IN, Operator.EXISTS, Operator.DOES_NOT_EXIST
ABOVE, BELOW = Operator.GREATER_THAN, Operator.LESS_THAN

GRAMMAR = {
    "": [],
    "  \t": [],
    "k": [("k", EXISTS)],
    "!k": [("k", ABSENT)],
    "! k": [("k", ABSENT)],
    "k=v": [("k", IN, "v")],
    "k==v": [("k", IN, "v")],
    "k!=v": [("k", NOT_IN, "v")],
    " k = v ": [("k", IN, "v")],
    "k\t==\tv": [("k", IN, "v")],
    "k=": [("k", IN, "")],
    "k!=": [("k", NOT_IN, "")],
    "k=,l": [("k", IN, ""), ("l", EXISTS)],
    "k in (a,b)": [("k", IN, "a", "b")],
    "k in(b,a)": [("k", IN, "a", "b")],
    "k in ( a , b )": [("k", IN, "a", "b")],
    "k in (a,a)": [("k", IN, "a")],
    "k notin (a,b)": [("k", NOT_IN, "a", "b")],
    "k in ()": [("k", IN, "")],
    "k in (a,)": [("k", IN, "", "a")],
    "k in (,a)": [("k", IN, "", "a")],
    "k in (a,,b)": [("k", IN, "", "a", "b")],
    "k>5": [("k", ABOVE, "5")],
    "k < 5": [("k", BELOW, "5")],
    "k>007": [("k", ABOVE, "007")],
    "a,!b,c=d": [("a", EXISTS), ("b", ABSENT), ("c", IN, "d")],
    "in": [("in", EXISTS)],
    "in in (in)": [("in", IN, "in")],
    "notin notin (notin)": [("notin", NOT_IN, "notin")],
    "k=in": [("k", IN, "in")],
    "app.kubernetes.io/name=web": [("app.kubernetes.io/name", IN, "web")],
    "K_1.2-3=V_1.2-3": [("K_1.2-3", IN, "V_1.2-3")],
}


@pytest.mark.parametrize(("text", "terms"), GRAMMAR.items())
def test_the_grammar(text: str, terms: list[tuple[Any, ...]]):
    expected = tuple(Requirement(key, operator, values) for key, operator, *rest in terms for values in [tuple(rest)])
    assert LabelSelector.parse(text).requirements == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (",", "found ',', expected: a label key"),
        ("a,", "found '', expected: a label key after ','"),
        ("a,,b", "found ',', expected: a label key after ','"),
        ("!", "found '', expected: a label key"),
        ("!!a", "found '!', expected: a label key"),
        ("=a", "found '=', expected: a label key"),
        ("a b", "found 'b', expected: '=', '!=', '==', 'in', 'notin', '>' or '<'"),
        ("a=b c", "found 'c', expected: ',' or the end"),
        ("!a=b", "found '=', expected: ',' or the end"),
        ("a===b", "found '=', expected: a label value"),
        ("a=(b)", "found '(', expected: a label value"),
        ("a in b", "expected: '(' after 'in' or 'notin'"),
        ("a in", "expected: '(' after 'in' or 'notin'"),
        ("a in (b", "found '', expected: ',' or ')'"),
        ("a in (b c)", "found 'c', expected: ',' or ')'"),
        ("a in ((b))", "found '(', expected: a label value"),
        ("a>b", "'b' after '>' must be an integer"),
        ("a<", "'' after '<' must be an integer"),
        ("a>5.5", "'5.5' after '>' must be an integer"),
        ("a>9223372036854775808", "must be an integer"),
        ("-a", "'-a' is not a label key: the name must be"),
        ("A/b", "the part before '/' must be a DNS subdomain"),
        ("/b", "the part before '/' must be a DNS subdomain"),
        ("a/b/c", "the part before '/' must be a DNS subdomain"),
        ("a/", "'a/' is not a label key: the name must be"),
        ("a=-b", "'-b' is not a label value"),
        ("a=é", "'é' is not a label value"),
        ("a=" + "x" * 64, "is not a label value"),
        ("x" * 64, "is not a label key"),
    ],
)
def test_a_mistake_is_named_with_the_selector_it_is_in(text: str, why: str):
    with pytest.raises(BadQuery) as caught:
        LabelSelector.parse(text)
    assert caught.value.message.startswith(f'unable to parse label selector "{text}": ')
    assert why in caught.value.message


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\x0b", "\x0c", "\x85"], ids=ascii)
@pytest.mark.parametrize("text", ["a{}", "{}a", "a={}b", "a=b{}", "{}"])
def test_only_the_four_white_spaces_of_kubernetes_separate(text: str, space: str):
    with pytest.raises(BadQuery):
        LabelSelector.parse(text.format(space))


def test_a_part_of_a_key_prefix_may_be_longer_than_a_dns_label():
    key = "d" * 70 + ".example/name"
    assert LabelSelector.parse(key).requirements == (Requirement(key, EXISTS),)


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("!a", {"a": ""}, False),
        ("a=", {"a": ""}, True),
        ("a=", {}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a in (b,c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a>5", {"a": "x"}, False),
        ("a>5", {"a": "5.5"}, False),
        ("a>5", {"a": ""}, False),
        ("a>5", {}, False),
        ("a<5", {"a": "004"}, True),
        ("a<5", {"a": "-9"}, True),
        ("a>5", {"a": "9223372036854775807"}, True),
        ("a>5", {"a": "9223372036854775808"}, False),
        ("a>5", {"a": "9" * 5000}, False),
        ("a>5", {"a": "٦"}, False),
        ("a,b=c", {"a": "", "b": "c"}, True),
        ("a,b=c", {"a": "", "b": "d"}, False),
        ("a>1,a<3", {"a": "2"}, True),
        ("a>1,a<3", {"a": "3"}, False),
    ],
)
def test_matching(text: str, labels: dict[str, str], *, expected: bool):
    assert LabelSelector.parse(text).matches(labels) is expected


def test_the_empty_selector_is_false_and_prints_as_nothing():
    assert not LabelSelector.parse("")
    assert LabelSelector.parse("a")
    assert str(LabelSelector()) == ""


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a==b", "a=b"),
        ("a in (b)", "a=b"),
        ("a notin (b)", "a!=b"),
        ("a in ( c,b )", "a in (b,c)"),
        ("! a , b>5", "!a,b>5"),
        ("a in ()", "a="),
    ],
)
def test_a_selector_prints_in_one_form(text: str, printed: str):
    assert str(LabelSelector.parse(text)) == printed
