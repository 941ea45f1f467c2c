"""The frame of a history: the same columns and types whatever is in it, unknown kept apart from zero."""

from __future__ import annotations

import builtins
import math
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import pandas as pd
import pytest

from backends.history import PERCENTILES, frame, history
from metrics_api import (
    EVERYTHING,
    UNKNOWN,
    Answer,
    BadQuery,
    Direction,
    Histogram,
    Percentiles,
    ResourceRef,
    Sample,
    Side,
    Span,
    TrafficQuery,
    Unsupported,
    Window,
)

NOON = 1_700_049_600
WEB, API = ResourceRef("Deployment", "shop", "web"), ResourceRef("Deployment", "shop", "api")
FAST = Histogram((0.01, 0.1, math.inf), (8.0, 2.0, 0.0), sum=0.1)
COLUMNS = [
    *("kind", "namespace", "name", "direction", "side", "peer_kind", "peer_namespace", "peer_name"),
    *("success", "failure", "requests_per_second", "success_rate"),
    *("p50", "p90", "p99", "mean", "stddev"),
    *("window", "source"),
]


def row(resource: ResourceRef = WEB, **changes: Any) -> Sample:
    made = {"success": 9.0, "failure": 1.0, "latency": FAST, "peer": EVERYTHING, "direction": Direction.FROM} | changes
    return Sample(resource, side=Side.SERVER, source="mesh", **made)


def answer(*samples: Sample, after: int = 0, **more: Any) -> Answer:
    return Answer(samples, NOON + after, Window(20), **more)


def only(*samples: Sample) -> dict[str, Any]:
    """The one row of a frame."""
    (record,) = frame([answer(*samples)]).to_dict("records")
    return {str(name): value for name, value in record.items()}


def test_a_row_says_who_with_whom_how_much_and_how_fast():
    record = only(row(peer=API, direction=Direction.TO))
    assert list(record) == COLUMNS
    assert [record[name] for name in COLUMNS[:8]] == ["Deployment", "shop", "web", "to", "server", "Deployment", "shop", "api"]
    assert [record[name] for name in COLUMNS[8:12]] == pytest.approx([9, 1, 0.5, 0.9])
    assert [record[name] for name in COLUMNS[12:16]] == pytest.approx([0.00625, 0.055, 0.0955, 0.01])
    assert record["stddev"] == pytest.approx(FAST.stddev())
    assert (record["window"], record["source"]) == (20, "mesh")


def test_the_index_is_the_end_of_each_window_in_utc():
    made = frame([answer(row()), answer(row(), row(API), after=15)])
    assert made.index.name == "time"
    assert [moment.isoformat() for moment in made.index] == [
        "2023-11-15T12:00:00+00:00",
        "2023-11-15T12:00:15+00:00",
        "2023-11-15T12:00:15+00:00",
    ]


def test_rows_of_an_instant_are_in_the_order_of_lists_and_instants_in_theirs():
    edges = [row(peer=API, direction=Direction.TO), row(peer=UNKNOWN), row(API), row()]
    made = frame([answer(*edges), answer(*reversed(edges), after=15)])
    told = list(zip(made["name"], made["direction"], made["peer_name"], strict=True))
    assert told == 2 * [("api", "from", ""), ("web", "from", ""), ("web", "from", "unknown"), ("web", "to", "api")]


@pytest.mark.parametrize(
    ("changes", "unknown"),
    [
        pytest.param({"success": None}, {"success", "requests_per_second", "success_rate"}, id="successes"),
        pytest.param({"failure": None}, {"failure", "requests_per_second", "success_rate"}, id="failures"),
        pytest.param({"success": 0.0, "failure": 0.0}, {"success_rate"}, id="no requests"),
        pytest.param({"latency": None}, {"p50", "p90", "p99", "mean", "stddev"}, id="latencies"),
        pytest.param({"latency": Histogram(FAST.bounds, FAST.counts)}, {"mean"}, id="sum"),
        pytest.param({"latency": Percentiles({0.9: 0.05})}, {"p50", "p99", "mean", "stddev"}, id="some percentiles"),
        pytest.param({"latency": Histogram((0.01, math.inf), (0.0, 0.0), sum=0.0)}, set(COLUMNS[12:17]), id="no observations"),
    ],
)
def test_what_is_not_known_is_nan_and_nothing_else_is(changes: dict[str, Any], unknown: set[str]):
    record = only(row(**changes))
    assert {name for name, value in record.items() if isinstance(value, float) and math.isnan(value)} == unknown


def test_no_requests_are_measured():
    record = only(row(success=0.0, failure=0.0))
    assert (record["success"], record["failure"], record["requests_per_second"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("asked", "columns"),
    [
        pytest.param([99.9, 50, 95], ["p50", "p95", "p99.9"], id="ascending"),
        pytest.param([90, 90.0], ["p90"], id="each once"),
        pytest.param([0.001, 99.999], ["p0.001", "p99.999"], id="fractions"),
        pytest.param([], [], id="none"),
    ],
)
def test_percentiles_are_those_asked_for(asked: list[float], columns: list[str]):
    made = frame([answer(row())], asked)
    assert [name for name in made.columns if name[1:2].isdigit()] == columns
    assert made["mean"].notna().all()


def test_a_percentile_a_source_computed_is_found_under_its_number():
    assert frame([answer(row(latency=Percentiles({0.999: 1.5})))], [99.9])["p99.9"].tolist() == [1.5]


@pytest.mark.parametrize("percentile", [0, 100, -1, 100.1, math.nan, math.inf])
def test_what_is_no_percentile_is_refused(percentile: float):
    with pytest.raises(BadQuery, match="is no percentile"):
        frame([], [50, percentile])


def test_warnings_and_missing_data_are_told_beside_the_rows():
    told = [answer(warnings=("a",), incomplete=True), answer(row(), warnings=("b", "a"), after=15)]
    assert frame(told).attrs == {"warnings": ["a", "b"], "incomplete": [pd.Timestamp(NOON, unit="s", tz="UTC")]}


class Source:
    """A source that remembers what it was asked."""

    name = "mesh"

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.asked: list[tuple[TrafficQuery, Span]] = []

    def refusal(self, _: TrafficQuery) -> str | None:
        return self.reason

    async def history(self, query: TrafficQuery, span: Span) -> tuple[Answer, ...]:
        self.asked.append((query, span))
        return tuple(Answer((row(),), instant, query.window) for instant in span.instants)


QUERY = TrafficQuery(("Deployment",), Window(20), 0)
SPAN = Span(NOON, NOON + 30, 15)


async def test_history_is_the_frame_of_what_the_source_answers_with_sums():
    source = Source()
    made = await history(source, QUERY, SPAN, [75])  # type: ignore[arg-type] # as much of a source as it takes
    assert made["p75"].tolist() == [pytest.approx(0.009375)] * 3
    ((query, span),) = source.asked
    assert query.sums
    assert span == SPAN


async def test_a_question_no_source_can_answer_is_refused_with_the_reason():
    source = Source("dialect small has no series that tell this")
    with pytest.raises(Unsupported, match="no series that tell this"):
        await history(source, QUERY, SPAN)  # type: ignore[arg-type] # as above
    assert source.asked == []


async def test_what_is_no_percentile_is_refused_before_the_source_is_asked():
    source = Source()
    with pytest.raises(BadQuery):
        await history(source, QUERY, SPAN, [101])  # type: ignore[arg-type] # as above
    assert source.asked == []


async def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *more: Any) -> Any:
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return real(name, *more)

    monkeypatch.setattr(builtins, "__import__", without)
    source = Source()
    with pytest.raises(ImportError, match=r"pip install \"trafficmetrics\[history\]\""):
        frame([])
    with pytest.raises(ImportError, match="history"):
        await history(source, QUERY, SPAN)  # type: ignore[arg-type] # as above
    assert source.asked == []


def test_pandas_is_loaded_by_a_frame_alone():
    code = "import sys, backends.history, backends.registry; assert 'pandas' not in sys.modules, 'pandas'"
    subprocess.run([sys.executable, "-c", code], check=True)


def types(made: pd.DataFrame) -> list[tuple[str, str]]:
    return [("time", str(made.index.dtype)), *((str(name), str(dtype)) for name, dtype in made.dtypes.items())]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([], id="no answers"),
        pytest.param([answer(), answer(after=15)], id="answers without rows"),
        pytest.param([answer(row(success=None, failure=None, latency=None))], id="a row of which nothing is known"),
        pytest.param([answer(row())], id="a row"),
    ],
)
def test_columns_and_types_do_not_depend_on_what_there_is(answers: Iterable[Answer]):
    expected = ["string"] * 8 + ["float64"] * 9 + ["int64", "string"]
    assert types(frame(answers)) == [("time", "datetime64[ns, UTC]"), *zip(COLUMNS, expected, strict=True)]
    assert PERCENTILES == (50, 90, 99)
