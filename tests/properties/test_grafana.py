"""Ranges of dashboards and the choices made in them: whatever is chosen, the instants and the rows are those that were meant."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from hypothesis import assume, given
from hypothesis import strategies as st

from apiservice.surfaces.grafana.choice import parse_choice
from apiservice.surfaces.grafana.filters import Filter, names_required, parse_filters, words_of
from apiservice.surfaces.grafana.nodegraph import MOST_NODES, draw
from apiservice.surfaces.grafana.times import MOST_INSTANTS, TimeRange, parse_range, parse_time, span_of
from metrics_api import Direction, Edge, ResourceRef, Side, TrafficMetrics, Window, timestamp
from metrics_api.graph import graph

NOW = 1_795_300_000
NAME = st.text(st.sampled_from("abz09.-"), min_size=1, max_size=12)


def passes(filters: Iterable[Filter], row: TrafficMetrics) -> bool:
    return all(each.passes(words_of(row), row) for each in filters)


@given(
    start=st.floats(0, NOW + 1_000),
    length=st.floats(0, 10**9),
    interval=st.floats(0, 10**6),
    points=st.integers(1, 1_000),
    most=st.integers(1, MOST_INSTANTS),
)
def test_a_span_lies_in_its_range_and_has_no_more_instants_than_fit(
    start: float, length: float, interval: float, points: int, most: int
):
    asked = TimeRange(start, start + length)
    span = span_of(asked, NOW, interval, points, most)
    if span is None:
        assert start > NOW
        return
    instants = span.instants
    assert 1 <= len(instants) <= min(points, most)
    assert instants[-1] <= min(asked.end, NOW)
    if len(instants) > 1:
        assert instants[0] >= start
        assert all(instant % span.step == 0 for instant in (instants[0], instants[-1]))
        assert span.step >= interval
        # Nothing that would fit is left out at either end.
        assert instants[0] - span.step < start or instants[0] < span.step
        assert instants[-1] + span.step > min(asked.end, NOW) - 1


@given(interval=st.integers(1, 3_600), length=st.integers(1, 10**7), points=st.integers(2, 1_000))
def test_a_step_is_no_longer_than_it_must_be(interval: int, length: int, points: int):
    span = span_of(TimeRange(NOW - length, NOW), NOW, interval, points)
    assert span is not None
    assume(len(span.instants) > 1)
    assert span.step == max(interval, math.ceil(length / (points - 1)))


@given(start=st.integers(10**9, NOW), length=st.integers(0, 10**8), form=st.sampled_from(["RFC 3339", "milliseconds", "number"]))
def test_a_range_means_the_same_in_every_form(start: int, length: int, form: str):
    end = start + length
    write = {"RFC 3339": timestamp, "milliseconds": lambda at: str(at * 1_000), "number": lambda at: at * 1_000}[form]
    assert parse_range({"from": write(start), "to": write(end)}, None, NOW) == TimeRange(start, end)


@given(amount=st.integers(0, 10_000), unit=st.sampled_from(["s", "m", "h"]))
def test_a_relative_time_is_as_long_ago(amount: int, unit: str):
    assert parse_time(f"now-{amount}{unit}", NOW, "from") == NOW - amount * {"s": 1, "m": 60, "h": 3_600}[unit]


def escaped(name: str) -> str:
    """A name as Grafana writes it into a text (packages/grafana-data, ``formatVariableValue.ts``)."""
    return re.sub(r"[\\^$*+?.()|\[\]{}/]", r"\\\g<0>", name)


@given(st.sets(NAME, min_size=1, max_size=6), NAME, st.sampled_from(["regex", "json", "glob", "csv"]))
def test_a_variable_chooses_its_values_in_every_form(names: set[str], other: str, form: str):
    ordered = sorted(names)
    written = {
        "regex": f"({'|'.join(map(escaped, ordered))})" if len(ordered) > 1 else escaped(ordered[0]),
        "json": ordered,
        "glob": f"{{{','.join(ordered)}}}" if len(ordered) > 1 else ordered[0],
        "csv": ",".join(ordered),
    }[form]
    choice = parse_choice(written, "name")
    assert choice.names == names
    assert all(choice.has(name) for name in names)
    assert choice.has(other) is (other in names)


def row(name: str, namespace: str, peer: str = "", rps: int = 1) -> TrafficMetrics:
    edge = Edge(Direction.TO, Side.CLIENT, ResourceRef("Deployment", namespace, peer)) if peer else Edge()
    resource = ResourceRef("Deployment", namespace, name)
    return TrafficMetrics(name, namespace, resource, edge, NOW, Window(1), success=rps * 1_000, failure=0)


@given(value=NAME, word=NAME, key=st.sampled_from(["name", "namespace"]))
def test_a_filter_and_its_opposite_part_all_rows(value: str, word: str, key: str):
    about = row(word, "shop") if key == "name" else row("web", word)
    for operator, opposite, given_ in (("=", "!=", value), ("=~", "!~", escaped(value)), ("=|", "!=|", value)):
        left, out = (parse_filters([{"key": key, "operator": each, "value": given_}]) for each in (operator, opposite))
        assert passes(left, about) is (word == value)
        assert passes(out, about) is (word != value)


@given(value=st.floats(-10, 100), rps=st.integers(0, 50))
def test_numbers_are_compared_as_numbers(value: float, rps: int):
    results = {
        each: passes(parse_filters([{"key": "requests_per_second", "operator": each, "value": value}]), row("a", "b", rps=rps))
        for each in "<=>"
    }
    assert results == {"<": rps < value, "=": rps == value, ">": rps > value}


@given(st.lists(st.tuples(st.sampled_from(["=", "!=", "=~", "!~"]), NAME), max_size=4), st.sampled_from([None, "a", "(a|b)"]), NAME)
def test_what_is_read_holds_all_rows_that_pass(filters: list[tuple[str, str]], chosen: str | None, word: str):
    made = tuple(Filter("namespace", operator, (re.escape(value) if "~" in operator else value,)) for operator, value in filters)
    choice = parse_choice(chosen, "namespace")
    required = names_required(made, "namespace", choice)
    if required is not None and choice.has(word) and passes(made, row("web", word)):
        assert word in required


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9)), max_size=60), st.integers(0, 3))
def test_a_drawing_never_has_an_edge_without_both_its_ends(calls: list[tuple[int, int, int]], crowds: int):
    edges = [row(f"w{client}", "shop", f"w{server}", rps) for client, server, rps in calls]
    totals = [row(f"t{number}", "shop") for number in range(crowds * 700)]
    drawn = graph(edges, totals)
    drawing = draw(drawn, {})
    names = [node["id"] for node in drawing.nodes]
    assert len(set(names)) == len(names) == min(len(drawn.nodes), MOST_NODES)
    assert {end for edge in drawing.edges for end in (edge["source"], edge["target"])} <= set(names)
    assert bool(drawing.remarks) is (len(drawn.nodes) > MOST_NODES)
    assert drawing.remarks or len(drawing.edges) == len(drawn.links)
