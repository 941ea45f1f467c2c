"""Spans: the instants of a history."""

from __future__ import annotations

import pytest

from metrics_api.errors import BadQuery
from metrics_api.span import MOST_INSTANTS, Span


@pytest.mark.parametrize(
    ("span", "instants"),
    [
        pytest.param(Span(100, 130, 15), [100, 115, 130], id="both ends when the step divides the span"),
        pytest.param(Span(100, 129, 15), [100, 115], id="an end between two instants is not one"),
        pytest.param(Span(100, 100, 60), [100], id="one instant"),
        pytest.param(Span(100, 110, 60), [100], id="a step longer than the span"),
        pytest.param(Span(0, 2, 1), [0, 1, 2], id="from the beginning of time"),
    ],
)
def test_instants_are_those_of_query_range(span: Span, instants: list[int]):
    assert list(span.instants) == instants


@pytest.mark.parametrize(
    ("start", "end", "step", "reason"),
    [
        pytest.param(100, 99, 15, "before it starts", id="ends before it starts"),
        pytest.param(-1, 99, 15, "not negative", id="before time began"),
        pytest.param(100, 130, 0, "shortest is 1s", id="no step"),
        pytest.param(100, 130, -15, "shortest is 1s", id="backwards"),
        pytest.param(0, MOST_INSTANTS, 1, "11001 instants", id="one instant too many"),
    ],
)
def test_what_is_no_span_is_refused_with_the_reason(start: int, end: int, step: int, reason: str):
    with pytest.raises(BadQuery, match=reason):
        Span(start, end, step)


def test_as_many_instants_as_a_prometheus_gives_are_allowed():
    assert len(Span(0, MOST_INSTANTS - 1, 1).instants) == MOST_INSTANTS


@pytest.mark.parametrize(
    ("instant", "length", "step", "instants"),
    [
        pytest.param(120, 60, 30, [60, 90, 120], id="both ends are multiples"),
        pytest.param(119, 60, 30, [60, 90], id="the end is not"),
        pytest.param(125, 60, 30, [90, 120], id="neither is"),
        pytest.param(20, 60, 10, [0, 10, 20], id="longer than time"),
        pytest.param(120, 0, 60, [120], id="one instant"),
    ],
)
def test_the_time_until_an_instant_is_cut_at_multiples_of_the_step(instant: int, length: int, step: int, instants: list[int]):
    assert list(Span.until(instant, length, step).instants) == instants


@pytest.mark.parametrize(
    ("length", "step", "reason"),
    [
        pytest.param(10, 60, "no multiple of 60s", id="too short for one instant"),
        pytest.param(10, 0, "shortest is 1s", id="no step"),
    ],
)
def test_a_time_without_instants_is_refused(length: int, step: int, reason: str):
    with pytest.raises(BadQuery, match=reason):
        Span.until(100, length, step)
