"""What Kubernetes itself answers, recorded from k8s.io/apimachinery v0.36.3 by ``kubernetes/main.go``, is what we answer."""

import json
from collections.abc import Collection, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from metrics_api.errors import BadQuery
from metrics_api.fields import FieldSelector
from metrics_api.quantity import Quantity
from metrics_api.selector import LabelSelector
from metrics_api.window import format_duration, parse_duration

ANSWERS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "kubernetes" / "answers.json").read_text("utf-8"))


class Anything(Collection[str]):
    """Field names that are all known."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def answers(kind: str) -> list[Any]:
    return [pytest.param(answer, id=repr(answer["text"])[:60]) for answer in ANSWERS if answer["kind"] == kind]


@pytest.mark.parametrize("answer", answers("quantity"))
def test_quantities_are_read_and_printed_as_kubernetes_does(answer: dict[str, Any]):
    if not answer["accepted"]:
        with pytest.raises(BadQuery):
            Quantity.parse(answer["text"])
    else:
        assert str(Quantity.parse(answer["text"])) == answer["result"]


@pytest.mark.parametrize("answer", answers("labels"))
def test_label_selectors_are_read_as_kubernetes_does(answer: dict[str, Any]):
    if not answer["accepted"]:
        with pytest.raises(BadQuery):
            LabelSelector.parse(answer["text"])
    else:
        requirements = LabelSelector.parse(answer["text"]).requirements
        terms = sorted([term.key, term.operator.value, *sorted(term.values)] for term in requirements)
        assert terms == sorted(answer.get("terms", []))


@pytest.mark.parametrize("answer", answers("fields"))
def test_field_selectors_are_read_as_kubernetes_does(answer: dict[str, Any]):
    if not answer["accepted"]:
        with pytest.raises(BadQuery):
            FieldSelector.parse(answer["text"], Anything())
    else:
        terms = FieldSelector.parse(answer["text"], Anything()).terms
        read = sorted([term.field, "In" if term.equal else "NotIn", term.value] for term in terms)
        assert read == sorted(answer.get("terms", []))


@pytest.mark.parametrize("answer", answers("duration"))
def test_durations_are_read_and_printed_as_go_does(answer: dict[str, Any]):
    if not answer["accepted"]:
        with pytest.raises(BadQuery):
            parse_duration(answer["text"])
    else:
        seconds = parse_duration(answer["text"])
        assert seconds == parse_duration(answer["result"])
        if seconds.denominator == 1 and seconds >= 0:
            assert format_duration(int(seconds)) == answer["result"]


def test_every_kind_of_question_was_asked_and_some_of_each_were_refused():
    for kind in ("quantity", "labels", "fields", "duration"):
        accepted = [answer["accepted"] for answer in ANSWERS if answer["kind"] == kind]
        assert accepted.count(True) >= 20
        assert accepted.count(False) >= 10


@pytest.mark.parametrize("text", ["k", "-", "+", ".", "Ki", "-.", "m"])
def test_a_quantity_without_a_digit_is_refused_though_kubernetes_reads_zero(text: str):
    with pytest.raises(BadQuery, match="is not a quantity"):
        Quantity.parse(text)


@pytest.mark.parametrize(("text", "nano"), [("1000E", 10**30), ("5000000E", 5 * 10**33), ("1000000P", 10**30)])
def test_a_quantity_past_the_last_suffix_keeps_its_value_though_kubernetes_drops_it(text: str, nano: int):
    quantity = Quantity.parse(text)
    assert quantity.nano == nano
    assert Quantity.parse(str(quantity)).nano == nano


@pytest.mark.parametrize("text", ["a\0", "a=b \0,c", "\0"])
def test_a_nul_in_a_label_selector_is_refused_though_kubernetes_stops_reading_there(text: str):
    with pytest.raises(BadQuery):
        LabelSelector.parse(text)


def test_a_fraction_below_a_nanosecond_is_kept_though_go_drops_it():
    assert parse_duration("1.0000000001s") == 1 + Fraction(1, 10**10)
