"""Field selectors: the grammar, the escapes, what matches."""

import pytest

from metrics_api.errors import BadQuery
from metrics_api.fields import FieldSelector, FieldTerm

KNOWN = ("metadata.name", "metadata.namespace", "edge.direction", "edge.resource.name")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        (",,", []),
        ("=", []),
        ("!=,==", []),
        ("metadata.name=web", [("metadata.name", "web", True)]),
        ("metadata.name==web", [("metadata.name", "web", True)]),
        ("metadata.name!=web", [("metadata.name", "web", False)]),
        ("metadata.name=", [("metadata.name", "", True)]),
        ("metadata.name!=", [("metadata.name", "", False)]),
        (r"metadata.name=a\,b", [("metadata.name", "a,b", True)]),
        (r"metadata.name=a\=b", [("metadata.name", "a=b", True)]),
        (r"metadata.name=a\\b", [("metadata.name", r"a\b", True)]),
        (r"metadata.name=\\,edge.direction=to", [("metadata.name", "\\", True), ("edge.direction", "to", True)]),
        ("metadata.name=a b", [("metadata.name", "a b", True)]),
        (",metadata.name=a,,edge.direction!=to,", [("metadata.name", "a", True), ("edge.direction", "to", False)]),
    ],
)
def test_the_grammar(text: str, terms: list[tuple[str, str, bool]]):
    assert FieldSelector.parse(text, KNOWN).terms == tuple(FieldTerm(*term) for term in terms)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("metadata.name", '"metadata.name" has no =, == or !='),
        ("metadata.name=a=b", '"=" in a value must be escaped'),
        ("metadata.name===b", '"=" in a value must be escaped'),
        (r"metadata.name=a\nb", r'"\n" is not an escape'),
        ("metadata.name=a\\", "ends in the middle of an escape"),
    ],
)
def test_a_mistake_is_named_with_the_selector_it_is_in(text: str, why: str):
    with pytest.raises(BadQuery) as caught:
        FieldSelector.parse(text, KNOWN)
    assert text in caught.value.message
    assert why in caught.value.message


@pytest.mark.parametrize("text", ["status.phase=Running", "=web", "Metadata.name=web", " metadata.name=web", "metadata.name =web"])
def test_an_unknown_field_is_refused_with_the_known_ones(text: str):
    with pytest.raises(BadQuery, match=r'is not a known field selector: only "metadata\.name", "metadata\.namespace"'):
        FieldSelector.parse(text, KNOWN)


@pytest.mark.parametrize(
    ("text", "fields", "expected"),
    [
        ("", {}, True),
        ("metadata.name=web", {"metadata.name": "web"}, True),
        ("metadata.name=web", {"metadata.name": "api"}, False),
        ("metadata.name=web", {}, False),
        ("metadata.name=", {}, True),
        ("metadata.name!=web", {}, True),
        ("metadata.name!=web", {"metadata.name": "web"}, False),
        ("metadata.name=web,edge.direction=to", {"metadata.name": "web", "edge.direction": "from"}, False),
        ("metadata.name=web,metadata.name=api", {"metadata.name": "web"}, False),
    ],
)
def test_matching(text: str, fields: dict[str, str], *, expected: bool):
    assert FieldSelector.parse(text, KNOWN).matches(fields) is expected


def test_a_required_value_is_one_the_selector_fixes():
    selector = FieldSelector.parse("metadata.name=web,edge.direction!=to", KNOWN)
    assert selector.required("metadata.name") == "web"
    assert selector.required("edge.direction") is None
    assert selector.required("metadata.namespace") is None
    assert FieldSelector.parse("metadata.name=", KNOWN).required("metadata.name") == ""


def test_a_selector_mentions_a_group_of_fields():
    selector = FieldSelector.parse("edge.direction!=to", KNOWN)
    assert selector.mentions("edge.")
    assert not selector.mentions("metadata.")


def test_the_empty_selector_is_false():
    assert not FieldSelector.parse(",", KNOWN)
    assert FieldSelector.parse("metadata.name=a", KNOWN)


def test_special_characters_are_escaped_when_printed():
    term = FieldTerm("metadata.name", r"a\b,c=d", equal=False)
    assert str(term) == r"metadata.name!=a\\b\,c\=d"
    assert FieldSelector.parse(str(term), KNOWN).terms == (term,)
