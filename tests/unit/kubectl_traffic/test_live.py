"""Sparklines, and what they remember of answers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kubectl_traffic.live import LONGEST_TREND, Trends
from kubectl_traffic.sparkline import sparkline
from kubectl_traffic.view import measure
from tests.unit.kubectl_traffic.rows import INSTANT, row


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([0, 0], "▁▁"),
        ([None, 1], " █"),
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([0.001, 1000], "▂█"),
        ([0, None, 8], "▁ █"),
    ],
)
def test_bars_are_as_high_as_values_and_gaps_are_unknown(values: Sequence[float | None], line: str):
    assert sparkline(values) == line


def test_a_trend_has_a_bar_for_every_instant():
    trends = Trends(measure("rps"))
    for passed, success in enumerate([0, 300, 600]):
        trends.add([row(success=success, instant=INSTANT + passed)])
    assert trends.line(row()) == "▁▅█"


def test_an_answer_of_the_same_instant_adds_nothing():
    trends = Trends(measure("rps"))
    for _ in range(3):
        trends.add([row()])
    assert trends.line(row()) == "█"


def test_a_row_that_was_not_there_has_a_gap():
    trends = Trends(measure("rps"))
    trends.add([row("web"), row("api")])
    trends.add([row("web", instant=INSTANT + 1)])
    trends.add([row("web", instant=INSTANT + 2), row("api", instant=INSTANT + 2)])
    assert (trends.line(row("api")), trends.line(row("new"))) == ("█ █", "   ")


def test_old_values_and_old_rows_are_forgotten():
    trends = Trends(measure("rps"))
    trends.add([row("gone")])
    for passed in range(LONGEST_TREND):
        trends.add([row("web", instant=INSTANT + 1 + passed)])
    assert trends.line(row("web")) == "█" * LONGEST_TREND
    assert [key for key in trends._values if "gone" in key] == []
