"""The cells kubectl shows."""

from dataclasses import replace

import pytest

from metrics_api.objects import Edge, TrafficMetrics
from metrics_api.query import Direction, Side
from metrics_api.resources import EVERYTHING, UNKNOWN, ResourceRef
from metrics_api.table import EDGE_COLUMNS, RESOURCE_COLUMNS, SPLIT_COLUMNS, SPLIT_EDGE_COLUMNS, cells
from metrics_api.window import Window

WEB = ResourceRef("Deployment", "shop", "web")
BUSY = TrafficMetrics("web", "shop", WEB, Edge(), 0, Window(30), 1_200_000, 30_000, 3_000, 54_000, 0, source="mesh")
IDLE = TrafficMetrics("web", "shop", WEB, Edge(), 0, Window(30))


def cell(row: TrafficMetrics, column: str) -> str:
    names = [each.name for each in RESOURCE_COLUMNS]
    return cells(row, RESOURCE_COLUMNS)[names.index(column)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (BUSY, ["web", "100.00%", "1.8rps", "3ms", "30ms", "1.2s", "0", "30s", "server", "mesh"]),
        (IDLE, ["web", "-", "-", "-", "-", "-", "-", "30s", "-", "-"]),
        (replace(BUSY, success=0), ["web", "-", "0.0rps", "3ms", "30ms", "1.2s", "0", "30s", "server", "mesh"]),
        (replace(BUSY, failure=None), ["web", "-", "-", "3ms", "30ms", "1.2s", "-", "30s", "server", "mesh"]),
    ],
    ids=["busy", "idle", "no requests", "failures unknown"],
)
def test_the_cells_of_a_resource(row: TrafficMetrics, expected: list[str]):
    assert cells(row, RESOURCE_COLUMNS) == expected


@pytest.mark.parametrize(
    ("success", "failure", "expected"),
    [
        (1000, 0, "100.00%"),
        (0, 1000, "0.00%"),
        (97_000, 3_000, "97.00%"),
        (2_000, 1_000, "66.67%"),
        (999_999_999, 1, "99.99%"),
        (10**15, 1, "99.99%"),
        (1, 999_999_999, "0.01%"),
        (0, 0, "-"),
        (None, 0, "-"),
        (0, None, "-"),
    ],
)
def test_success_is_never_shown_whole_with_a_failure_nor_none_with_a_success(
    success: int | None, failure: int | None, expected: str
):
    assert cell(replace(BUSY, success=success, failure=failure), "Success") == expected


@pytest.mark.parametrize(
    ("micro", "expected"),
    [
        (None, "-"),
        (0, "0.0ms"),
        (100, "0.1ms"),
        (640, "0.6ms"),
        (1_000, "1ms"),
        (3_400, "3ms"),
        (999_499, "999ms"),
        (999_500, "1.0s"),
        (1_200_000, "1.2s"),
        (75_000_000, "75.0s"),
    ],
)
def test_latency_is_shown_in_the_unit_that_suits_it(micro: int | None, expected: str):
    assert cell(replace(BUSY, p50=micro), "P50") == expected


@pytest.mark.parametrize(
    ("success", "seconds", "expected"),
    [(54_000, 30, "1.8rps"), (54_000, 60, "0.9rps"), (0, 30, "0.0rps"), (30_000_000, 30, "1000.0rps")],
)
def test_the_rate_is_per_second_over_the_window(success: int, seconds: int, expected: str):
    assert cell(replace(BUSY, success=success, window=Window(seconds)), "RPS") == expected


def test_failures_count_in_the_rate():
    assert cell(replace(BUSY, success=30_000, failure=24_000), "RPS") == "1.8rps"


@pytest.mark.parametrize(
    ("failure", "expected"), [(0, "0"), (3_000, "3"), (1_500, "1.5"), (1, "0.001"), (10_000, "10"), (1_000_000, "1000")]
)
def test_failures_are_shown_to_the_thousandth(failure: int, expected: str):
    assert cell(replace(BUSY, failure=failure), "Failures") == expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        (EVERYTHING, "-"),
        (UNKNOWN, "unknown"),
        (ResourceRef("Deployment", "shop", "api"), "deployment/api"),
        (ResourceRef("StatefulSet", "prod", "db"), "statefulset/db.prod"),
        (ResourceRef("Namespace", "", "prod"), "namespace/prod"),
        (ResourceRef("", "", "example.com"), "example.com"),
    ],
)
def test_the_cells_of_an_edge(peer: ResourceRef, expected: str):
    row = replace(BUSY, edge=Edge(Direction.TO, Side.CLIENT, peer))
    assert cells(row, EDGE_COLUMNS) == [
        *("web", "to", expected),
        *("100.00%", "1.8rps", "3ms", "30ms", "1.2s"),
        *("0", "30s", "client", "mesh"),
    ]


SHEETS = {"resources": RESOURCE_COLUMNS, "edges": EDGE_COLUMNS, "splits": SPLIT_COLUMNS, "edges of splits": SPLIT_EDGE_COLUMNS}


@pytest.mark.parametrize("columns", SHEETS.values(), ids=SHEETS)
def test_there_is_a_cell_for_every_column(columns: tuple[object, ...]):
    for row in (BUSY, IDLE):
        assert len(cells(row, columns)) == len(columns)


def test_the_columns():
    assert [(column.name, column.priority) for column in RESOURCE_COLUMNS] == [
        *(("Name", 0), ("Success", 0), ("RPS", 0), ("P50", 0), ("P90", 0), ("P99", 0)),
        *(("Failures", 1), ("Window", 1), ("Side", 1), ("Source", 1)),
    ]
    assert [column.name for column in EDGE_COLUMNS if not column.priority] == [
        *("Name", "Direction", "Peer", "Success", "RPS", "P50", "P90", "P99")
    ]


def test_a_column_definition_has_all_five_fields():
    for column in (column for columns in SHEETS.values() for column in columns):
        wire = column.wire()
        assert list(wire) == ["name", "type", "format", "description", "priority"]
        assert wire["description"]
        assert wire["format"] == ("name" if column.name == "Name" else "")
