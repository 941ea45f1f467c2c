"""Selectors: whatever is printed is read back, and what matches is what the rules say."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metrics_api.errors import BadQuery
from metrics_api.fields import FieldSelector, FieldTerm
from metrics_api.selector import LabelSelector, Operator, Requirement

KNOWN = ("metadata.name", "metadata.namespace", "edge.direction")

names = st.sampled_from(["a", "b", "in", "notin"]) | st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,20}[A-Za-z0-9])?", fullmatch=True)
prefixes = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?(\.[a-z]{1,9})?", fullmatch=True)
keys = names | st.builds("{}/{}".format, prefixes, names)
values = st.sampled_from(["", "a", "b", "in", "5", "007"]) | names
integers = st.integers(0, 12).map(str) | st.integers(0, 2**63 - 1).map(str)
value_sets = st.sets(values, min_size=1, max_size=4).map(lambda found: tuple(sorted(found)))

requirements = st.one_of(
    st.builds(Requirement, keys, st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST])),
    st.builds(Requirement, keys, st.sampled_from([Operator.IN, Operator.NOT_IN]), value_sets),
    st.builds(Requirement, keys, st.sampled_from([Operator.GREATER_THAN, Operator.LESS_THAN]), st.tuples(integers)),
)
selectors = st.lists(requirements, max_size=4).map(lambda found: LabelSelector(tuple(found)))
labels = st.dictionaries(
    st.sampled_from(["a", "b", "in", "notin"]), values | integers | st.sampled_from(["-5", "+5", "5.0"]), max_size=4
)

spaces = st.text(" \t\r\n", max_size=3)
field_terms = st.builds(FieldTerm, st.sampled_from(KNOWN), st.text() | st.text("\\,=ab", max_size=6), st.booleans())


def holds(requirement: Requirement, found: dict[str, str]) -> bool:
    """The meaning of a requirement, in sets and words instead of a match statement."""
    present = {value for key, value in found.items() if key == requirement.key}
    wanted = set(requirement.values)
    numbers = {int(value) for value in present if re.fullmatch(r"[+-]?[0-9]+", value) and abs(int(value)) < 2**63}
    bounds = {int(value) for value in wanted} if requirement.operator.value in ("Gt", "Lt") else set()
    return {
        "Exists": bool(present),
        "DoesNotExist": not present,
        "In": bool(present & wanted),
        "NotIn": not present & wanted,
        "Gt": any(number > bound for number in numbers for bound in bounds),
        "Lt": any(number < bound for number in numbers for bound in bounds),
    }[requirement.operator.value]


def spelling(draw: Any, requirement: Requirement) -> str:
    """One of the ways to write a requirement."""
    key, operator, found = requirement.key, requirement.operator.value, list(requirement.values)
    gap = lambda: draw(spaces)
    if operator == "Exists":
        return f"{gap()}{key}{gap()}"
    if operator == "DoesNotExist":
        return f"{gap()}!{gap()}{key}{gap()}"
    if operator in ("Gt", "Lt"):
        return f"{gap()}{key}{gap()}{'>' if operator == 'Gt' else '<'}{gap()}{found[0]}{gap()}"
    if len(found) == 1 and draw(st.booleans()):
        sign = draw(st.sampled_from(["=", "=="])) if operator == "In" else "!="
        return f"{gap()}{key}{gap()}{sign}{gap()}{found[0]}{gap()}"
    spelt = [
        f"{gap()}{value}{gap()}" for value in draw(st.permutations(found + draw(st.lists(st.sampled_from(found), max_size=2))))
    ]
    return f"{gap()}{key} {gap()}{'in' if operator == 'In' else 'notin'}{gap()}({','.join(spelt)}){gap()}"


@given(selectors)
def test_a_printed_label_selector_is_read_back(selector: LabelSelector):
    assert LabelSelector.parse(str(selector)) == selector


@given(selectors, st.data())
def test_every_spelling_of_a_label_selector_means_the_same(selector: LabelSelector, data: st.DataObject):
    text = ",".join(spelling(data.draw, requirement) for requirement in selector.requirements)
    assert LabelSelector.parse(text) == selector


@given(selectors, labels)
def test_labels_match_as_the_rules_say(selector: LabelSelector, found: dict[str, str]):
    assert selector.matches(found) is all(holds(requirement, found) for requirement in selector.requirements)


@given(requirements.filter(lambda requirement: requirement.operator is Operator.IN), labels)
def test_negative_requirements_match_exactly_what_positive_ones_do_not(requirement: Requirement, found: dict[str, str]):
    assert Requirement(requirement.key, Operator.NOT_IN, requirement.values).matches(found) is not requirement.matches(found)


@given(
    st.text()
    | st.text("ab/.=!<>(), \tin5", max_size=15)
    | st.lists(st.sampled_from(["a", "in", "(", ")", ",", "=", "!", " ", "5", ">"]), max_size=9).map("".join)
)
def test_no_text_does_anything_but_parse_or_be_refused_as_a_label_selector(text: str):
    try:
        selector = LabelSelector.parse(text)
    except BadQuery:
        return
    assert LabelSelector.parse(str(selector)) == selector


@given(st.lists(field_terms, max_size=4))
def test_a_printed_field_selector_is_read_back(terms: list[FieldTerm]):
    selector = FieldSelector(tuple(terms))
    assert FieldSelector.parse(str(selector), KNOWN) == selector


@given(st.lists(field_terms, max_size=4), st.dictionaries(st.sampled_from(KNOWN), st.sampled_from(["", "a", "b", "\\", ","])))
def test_fields_match_as_the_rules_say(terms: list[FieldTerm], found: dict[str, str]):
    wanted = {(term.field, term.value) for term in terms if term.equal}
    unwanted = {(term.field, term.value) for term in terms if not term.equal}
    has = {(field, found.get(field, "")) for field in KNOWN}
    assert FieldSelector(tuple(terms)).matches(found) is (wanted <= has and not unwanted & has)


@given(
    st.text()
    | st.text("a\\,=!", max_size=12)
    | st.lists(st.sampled_from(["metadata.name", "=", "!=", "\\", ",", "a"]), max_size=9).map("".join)
)
def test_no_text_does_anything_but_parse_or_be_refused_as_a_field_selector(text: str):
    try:
        selector = FieldSelector.parse(text, KNOWN)
    except BadQuery:
        return
    assert {term.field for term in selector.terms} <= set(KNOWN)
    assert FieldSelector.parse(str(selector), KNOWN) == selector
