"""Overrides, for every form in which labels tell codes, against a plain reading of what was asked for; and labels by other names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backends.dialects import (
    CodeForm,
    CodeLabel,
    Codes,
    Consultation,
    Dialect,
    Observer,
    Outcome,
    OutcomeRule,
    Read,
    Reading,
    Rows,
    View,
    builtin_dialects,
    load_dialect,
)
from backends.dialects.codes import GRPC_STATUSES, CodeSet
from backends.dialects.expression import expression
from backends.dialects.overrides import Overrides, override
from backends.dialects.renaming import labels_of
from metrics_api import Histogram, Sample, Side, TrafficQuery, Window

T = TypeVar("T")

CODES = ("0", "100", "101", "200", "204", "301", "400", "404", "429", "499", "500", "503", "504", "599")
CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")

http_codes = st.lists(st.sampled_from((*CODES, *CLASSES)), unique=True)
http_classes = st.lists(st.sampled_from(CLASSES), unique=True)
statuses = st.lists(st.integers(0, 16), unique=True)


@st.composite
def code_sets(draw: st.DrawFn, http: st.SearchStrategy[list[str]]) -> tuple[CodeSet, CodeSet]:
    """What fails and what is ignored; nothing is both."""
    failing, ignored = draw(st.none() | http), draw(st.none() | http)
    grpc_failing, grpc_ignored = draw(st.none() | statuses), draw(st.none() | statuses)
    if failing is None and ignored is None and grpc_failing is None and grpc_ignored is None:
        failing = ["5xx"]
    return (
        CodeSet(None if failing is None else tuple(failing), None if grpc_failing is None else tuple(grpc_failing)),
        CodeSet(_without(ignored, failing), _without(grpc_ignored, grpc_failing)),
    )


def _without(codes: list[T] | None, others: list[T] | None) -> tuple[T, ...] | None:
    return None if codes is None else tuple(code for code in codes if code not in (others or ()))


def expected(code: str, status: int | None, failure: CodeSet, ignore: CodeSet) -> Outcome:
    """What should become of a request that was answered ``code``, and ended with ``status`` if it was a gRPC call."""
    failing_http, failing_grpc = failure.http, failure.grpc
    ignored_http, ignored_grpc = ignore.http or (), ignore.grpc or ()
    if status is not None:
        if status in ignored_grpc:
            return Outcome.IGNORE
        if status in (failing_grpc if failing_grpc is not None else (2, 4, 7, 13, 14, 15)):
            return Outcome.FAILURE
    family = f"{code[0]}xx"
    if code in ignored_http:
        return Outcome.IGNORE
    if code == "0" or (failing_http is not None and code in failing_http):
        return Outcome.FAILURE
    if family in ignored_http:
        return Outcome.IGNORE
    if family in (failing_http if failing_http is not None else ("5xx",)):
        return Outcome.FAILURE
    return Outcome.SUCCESS


def told(codes: Codes, outcomes: Iterable[OutcomeRule], failure: CodeSet, ignore: CodeSet) -> View:
    """A view that tells these codes, overridden."""
    view = View("v", Observer((("", Side.SERVER),)), (), ("calls_total",), tuple(outcomes), (), (), (), codes=codes)
    return override(Dialect("d", "", (view,)), Overrides(failure=failure, ignore=ignore)).views[0]


def classified(view: View, **labels: str) -> Outcome:
    by = tuple(dict.fromkeys((*view.outcome_labels, *labels)))
    return view.classifier(by)([labels.get(label, "") for label in by])


OWN = (OutcomeRule(Outcome.SUCCESS, (("own", expression("good")),)), OutcomeRule(Outcome.FAILURE, (("own", expression("bad")),)))
IN_NUMBERS = Codes(CodeLabel("code", CodeForm.CODE), CodeLabel("status", CodeForm.NUMBER))


@given(code_sets(http_codes), st.sampled_from(CODES), st.none() | st.integers(0, 16), st.sampled_from(["", "good", "bad"]))
def test_codes_decide_as_they_were_listed(sets: tuple[CodeSet, CodeSet], code: str, status: int | None, own: str):
    view = told(IN_NUMBERS, OWN, *sets)
    labels = {"code": code, "status": "" if status is None else str(status), "own": own}
    assert classified(view, **labels) is expected(code, status, *sets)


@given(code_sets(http_codes), st.sampled_from(CODES), st.none() | st.integers(0, 16))
def test_words_decide_as_numbers_do(sets: tuple[CodeSet, CodeSet], code: str, status: int | None):
    view = told(Codes(CodeLabel("code", CodeForm.CODE), CodeLabel("status", CodeForm.WORD)), OWN, *sets)
    assert classified(view, code=code, status="" if status is None else GRPC_STATUSES[status]) is expected(code, status, *sets)


@pytest.mark.parametrize(("form", "written"), [(CodeForm.CLASS, "{}"), (CodeForm.XX, "{}xx")])
@given(sets=code_sets(http_classes), family=st.sampled_from("12345"), status=st.none() | st.integers(0, 16))
def test_classes_decide_as_their_codes_do(
    form: CodeForm, written: str, sets: tuple[CodeSet, CodeSet], family: str, status: int | None
):
    view = told(Codes(CodeLabel("code", form), CodeLabel("status", CodeForm.NUMBER)), OWN, *sets)
    labels = {"code": written.format(family), "status": "" if status is None else str(status)}
    assert classified(view, **labels) is expected(f"{family}99", status, *sets)


@given(code_sets(http_codes.filter(lambda codes: "0" not in codes)), st.sampled_from(CODES[1:]), st.integers(0, 16))
def test_one_label_may_hold_codes_of_both(sets: tuple[CodeSet, CodeSet], code: str, status: int):
    view = told(Codes(CodeLabel("code", CodeForm.CODE), CodeLabel("code", CodeForm.NUMBER)), OWN, *sets)
    assert classified(view, code=code) is expected(code, None, *sets)
    assert classified(view, code=str(status)) is expected("200", status, CodeSet((), sets[0].grpc), CodeSet((), sets[1].grpc))


@given(code_sets(http_codes), st.sampled_from(["", "good", "bad"]))
def test_without_a_code_the_dialects_own_rules_decide(sets: tuple[CodeSet, CodeSet], own: str):
    outcomes = {"": Outcome.IGNORE, "good": Outcome.SUCCESS, "bad": Outcome.FAILURE}
    assert classified(told(IN_NUMBERS, OWN, *sets), own=own) is outcomes[own]


SERIES = 8

VALUES = ("", "web", "shop", "api.shop", "5", "200", "inbound", "outbound", "source", "destination", "success", "Deployment")

QUERIES = [
    TrafficQuery((kind,), Window(60), 0, edges=edges)
    for kind in ("Deployment", "Pod", "Namespace", "Service")
    for edges in (False, True)
]


def answers(dialect: Dialect, query: TrafficQuery, series: dict[str, list[str]]) -> set[Sample]:
    """The samples of a dialect out of a few series, given by the values of each of their labels."""
    asked = Consultation(dialect, query, "s")
    while asked.reads:
        asked.take({read: rows(read, series) for read in asked.reads})
    return set(asked.samples)


def rows(read: Read, series: dict[str, list[str]]) -> Rows:
    tuples = list(zip(*(series.get(label, [""] * SERIES) for label in read.by), strict=True))
    if read.reading is Reading.HISTOGRAM:
        return dict.fromkeys(tuples, Histogram.from_cumulative((1.0, float("inf")), (1.0, 2.0)))
    return dict.fromkeys(tuples, 2.0)


@pytest.mark.parametrize("name", builtin_dialects())
@settings(max_examples=25, phases=[Phase.generate])
@given(data=st.data())
def test_labels_by_other_names_give_the_same_answers(name: str, data: st.DataObject):
    dialect = load_dialect(name)
    labels = labels_of(dialect)
    value = st.sampled_from(VALUES)
    others = data.draw(st.permutations([*labels, *(f"exported_{label}" for label in labels)]))
    names = dict(zip(labels, others, strict=False))
    series = {label: data.draw(st.lists(value, min_size=SERIES, max_size=SERIES)) for label in labels}
    theirs = {names[label]: values for label, values in series.items()}
    query = data.draw(st.sampled_from(QUERIES))
    assert answers(override(dialect, Overrides(names)), query, theirs) == answers(dialect, query, series)
