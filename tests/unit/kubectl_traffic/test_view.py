"""What ``kubectl traffic top`` makes of rows: cells, health and order."""

from __future__ import annotations

import pytest

from kubectl_traffic.health import Health, health_of
from kubectl_traffic.view import SORTABLE, View, key_of, measure, sort_rows
from metrics_api import TrafficMetrics
from metrics_api.golden import golden
from metrics_api.table import EDGE_COLUMNS, RESOURCE_COLUMNS, cells
from tests.unit.kubectl_traffic.rows import row


@pytest.mark.parametrize(
    ("success", "failure", "health"),
    [
        (90, 10, Health.FAILING),
        (0, 1, Health.FAILING),
        (901, 99, Health.DEGRADED),
        (999, 1, Health.DEGRADED),
        (1000, 1, Health.HEALTHY),
        (5, 0, Health.HEALTHY),
        (0, 0, Health.IDLE),
        (None, 3, Health.UNKNOWN),
        (3, None, Health.UNKNOWN),
    ],
)
def test_health_is_told_by_the_share_of_failures(success: int | None, failure: int | None, health: Health):
    assert health_of(row(success=success, failure=failure)) is health


@pytest.mark.parametrize("wide", [False, True], ids=["table", "wide"])
@pytest.mark.parametrize("edges", [False, True], ids=["totals", "edges"])
def test_cells_are_those_of_kubectl_and_the_health(edges: bool, wide: bool):  # noqa: FBT001
    shown = row(success=270, failure=30, peer="api" if edges else "")
    columns = EDGE_COLUMNS if edges else RESOURCE_COLUMNS
    view = View(edges=edges, wide=wide)
    told = [cell.text for cell in view.cells(shown)]
    kubectl = [text for column, text in zip(columns, cells(shown, columns), strict=True) if wide or not column.priority]
    assert told == [*kubectl, "failing"]
    assert [heading.text for heading in view.headings()][: len(kubectl)] == [
        column.name.upper() for column in columns if wide or not column.priority
    ]


def test_namespaces_come_first_and_trends_last():
    view = View(everywhere=True, trend=True)
    texts = [heading.text for heading in view.headings()]
    assert (texts[0], texts[-2:]) == ("NAMESPACE", ["HEALTH", "TREND"])
    told = view.cells(row(), "▁▂")
    assert (told[0].text, told[-1].text, len(told)) == ("shop", "▁▂", len(texts))


def test_colours_follow_the_health():
    colours = {health.value: View().cells(shown)[1].colour for shown in ROWS for health in [health_of(shown)]}
    assert colours == {"failing": "red", "degraded": "yellow", "healthy": "green", "no traffic": "dim", "unknown": "dim"}


ROWS = [
    row("idle", 0, 0, None),
    row("fast", 600, 1, 1_000),
    row("unknown", None, None, None),
    row("bad", 30, 30, 90_000, namespace="data"),
    row("slow", 60, 0, 900_000),
]


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("name", "bad fast idle slow unknown"),
        ("namespace", "bad idle fast unknown slow"),
        ("peer", "idle fast unknown bad slow"),
        ("success", "bad fast slow idle unknown"),
        ("rps", "fast bad slow idle unknown"),
        ("p50", "slow bad fast idle unknown"),
        ("p90", "slow bad fast idle unknown"),
        ("p99", "slow bad fast idle unknown"),
        ("failures", "bad fast idle slow unknown"),
        ("health", "bad fast slow idle unknown"),
    ],
)
def test_the_most_remarkable_come_first(column: str, names: str):
    assert [each.name for each in sort_rows(ROWS, column)] == names.split()


@pytest.mark.parametrize(("column", "names"), [("rps", "idle bad slow fast unknown"), ("success", "slow fast bad idle unknown")])
def test_turned_round_the_unknown_stay_last(column: str, names: str):
    assert [each.name for each in sort_rows(ROWS, column, reverse=True)] == names.split()


def test_every_column_that_can_be_sorted_is():
    assert [column for column in SORTABLE if len(sort_rows(ROWS, column)) != len(ROWS)] == []
    assert measure("rps")(golden(row())) == 10.0


@pytest.mark.parametrize(
    "other", [row("api"), row(namespace="data"), row(peer="api")], ids=["another name", "another namespace", "an edge"]
)
def test_rows_about_something_else_have_another_key(other: TrafficMetrics):
    assert key_of(row(instant=1)) == key_of(row(instant=2))
    assert key_of(row()) != key_of(other)
