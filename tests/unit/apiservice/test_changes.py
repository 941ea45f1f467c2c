"""What a watcher is told: everything that matters, and nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiservice.watching import Event, difference
from apiservice.watching.changes import by_key, has_moved
from metrics_api import Direction, Edge, Extra, ResourceRef, Side, SplitBackend, TrafficMetrics, Window, format_duration

WEB = TrafficMetrics(
    "web",
    "shop",
    ResourceRef("Deployment", "shop", "web"),
    Edge(),
    100,
    Window(30),
    40_000,
    20_000,
    10_000,
    1_000_000,
    2_000,
    extras=(Extra("p95_response_latency", 30_000),),
)
_COUNTS = st.one_of(st.none(), st.integers(0, 3), st.integers(0, 10**9))


@st.composite
def answers(draw: st.DrawFn) -> list[TrafficMetrics]:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    return [
        replace(WEB, name=name, namespace=draw(st.sampled_from(("shop", "data"))), success=draw(_COUNTS), p99=draw(_COUNTS))
        for name in names
    ]


def apply(told: dict[tuple[str, str], TrafficMetrics], events: list[Event]) -> None:
    for kind, row in events:
        key = row.namespace, row.name
        assert (key in told) is (kind != "ADDED")
        if kind == "DELETED":
            del told[key]
        else:
            told[key] = row


@given(st.lists(answers(), min_size=2, max_size=5))
def test_a_watcher_knows_the_rows_there_are_within_rounding(polls: list[list[TrafficMetrics]]) -> None:
    told: dict[tuple[str, str], TrafficMetrics] = {}
    for instant, rows in enumerate(polls):
        apply(told, difference(told, rows, instant))
        now = by_key(rows)
        assert told.keys() == now.keys()
        assert not any(has_moved(told[key], now[key]) for key in now)
        assert difference(told, rows, instant) == []


@given(answers(), answers())
def test_an_incomplete_answer_takes_nothing_away(before: list[TrafficMetrics], now: list[TrafficMetrics]) -> None:
    events = difference(by_key(before), now, 100, incomplete=True)
    assert "DELETED" not in {event.kind for event in events}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        pytest.param({"success": 1_004_000}, False, id="less than half a per cent more"),
        pytest.param({"success": 1_006_000}, True, id="more than half a per cent more"),
        pytest.param({"success": 994_000}, True, id="more than half a per cent less"),
        pytest.param({"failure": 3_000}, True, id="one failure more"),
        pytest.param({"failure": 0}, True, id="no failures any more"),
        pytest.param({"p50": 10_040}, False, id="a latency within rounding"),
        pytest.param({"p50": 10_060}, True, id="the median"),
        pytest.param({"p90": 20_200}, True, id="the 90th percentile"),
        pytest.param({"p99": None}, True, id="a value not known any more"),
        pytest.param({"labels": {"app": "web"}}, True, id="a label"),
        pytest.param({"annotations": {"metrics.smi-spec.io/incomplete": "true"}}, True, id="an annotation"),
        pytest.param({"window": Window(25)}, True, id="the window"),
        pytest.param({"edge": Edge(Direction.FROM, Side.CLIENT)}, True, id="who observed"),
        pytest.param({"source": "other"}, True, id="the source"),
        pytest.param({"extras": (Extra("p95_response_latency", 30_100),)}, False, id="a percentile asked for, within rounding"),
        pytest.param({"extras": (Extra("p95_response_latency", 30_200),)}, True, id="a percentile asked for"),
        pytest.param({"extras": (Extra("p95_response_latency"),)}, True, id="a percentile not known any more"),
        pytest.param({"extras": (*WEB.extras, Extra("p99.9_response_latency", 1))}, True, id="a percentile nobody asked for came"),
        pytest.param({"extras": ()}, True, id="a percentile nobody asked for went"),
        pytest.param({"extras": (Extra("p75_response_latency", 30_000),)}, True, id="another percentile"),
        pytest.param({"backend": SplitBackend("web", "web-v2", 10)}, True, id="what part of a split it is"),
        pytest.param({"instant": 105}, False, id="the time alone"),
    ],
)
def test_a_row_is_told_again_when_it_says_something_new(change: dict[str, object], told: bool) -> None:  # noqa: FBT001
    now = replace(WEB, **change)  # type: ignore[arg-type]
    assert has_moved(WEB, now) is told


def told_at(staleness: int, **more: str) -> dict[str, str]:
    return {"metrics.smi-spec.io/source": "aws", "metrics.smi-spec.io/staleness": format_duration(staleness), **more}


def test_a_source_that_has_whole_minutes_is_not_told_again_in_every_refresh() -> None:
    """Its numbers grow older by a refresh each time, until there are newer ones."""
    told = by_key([replace(WEB, annotations=told_at(120))])
    for instant, staleness in enumerate((125, 130, 175, 120, 125), 105):
        assert difference(told, [replace(WEB, instant=instant, annotations=told_at(staleness))], instant) == []


def test_another_annotation_is_told_however_old_the_numbers_are() -> None:
    told = by_key([replace(WEB, annotations=told_at(120))])
    late = {"metrics.smi-spec.io/stale": "true"}
    assert [event.kind for event in difference(told, [replace(WEB, annotations=told_at(240, **late))], 105)] == ["MODIFIED"]
    assert [event.kind for event in difference(told, [WEB], 105)] == ["MODIFIED"]


def test_a_slow_drift_is_told_as_soon_as_it_adds_up() -> None:
    told = by_key([WEB])
    moves = 0
    for step in range(1, 101):
        events = difference(told, [replace(WEB, success=1_000_000 + step * 1_000)], step)
        apply(told, events)
        moves += len(events)
    # Ten per cent in steps of a tenth.
    assert 15 <= moves <= 20


def test_what_went_is_told_as_it_was_with_the_time_it_was_gone() -> None:
    (event,) = difference(by_key([WEB]), [], 130)
    assert event == ("DELETED", replace(WEB, instant=130))
