"""The PromQL of every dialect, as it is sent: kept in ``promql/`` to be read and reviewed, one file per dialect.

When it changes on purpose, write it anew and read the difference:
``TRAFFICMETRICS_UPDATE_GOLDENS=1 python -m pytest tests/golden``. Names of kinds, objects and directions stand above the queries they ask
for; above each query stand the views of the dialect that it serves. Line breaks are for readers; the query has blanks there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from backends.dialects import (
    Dialect,
    Part,
    Read,
    builtin_dialects,
    by_caller,
    hosted_dialects,
    load_dialect,
    plan,
    questions,
    refusal,
    seen_by_callers,
)
from backends.dialects.plan import unnamed_peers
from backends.prometheus.promql import HistogramForm, query_of
from metrics_api import ANY_WORKLOAD, Direction, Side, TrafficQuery, Window
from tests.doubles.stores import parse_errors

_DIRECTORY = Path(__file__).parent / "promql"
_UPDATE = os.environ.get("TRAFFICMETRICS_UPDATE_GOLDENS") == "1"
_MINUTE = Window(60)
_MEMBERS = ("Pod", ANY_WORKLOAD)

_QUESTIONS: dict[str, TrafficQuery] = {
    "Received by each Deployment": TrafficQuery(("Deployment",), _MINUTE, 0),
    "Received by Deployment web in shop": TrafficQuery(("Deployment",), _MINUTE, 0, "shop", "web"),
    "Received by each Pod, as callers saw it": TrafficQuery(("Pod",), _MINUTE, 0, side=Side.CLIENT),
    "Received by each Service in shop": TrafficQuery(("Service",), _MINUTE, 0, "shop"),
    "Edges of Deployment web in shop": TrafficQuery(("Deployment",), _MINUTE, 0, "shop", "web", edges=True),
    "Edges from Pods to their callees": TrafficQuery(("Pod",), _MINUTE, 0, edges=True, direction=Direction.TO),
    "Edges between Namespaces": TrafficQuery(("Namespace",), _MINUTE, 0, edges=True),
    "Sent to each Service by HTTPRoute web in shop": TrafficQuery(
        ("HTTPRoute",), _MINUTE, 0, "shop", "web", edges=True, direction=Direction.TO, side=Side.CLIENT, peer_kind="Service"
    ),
    "Received by each Deployment, where members are added up": TrafficQuery(("Deployment",), _MINUTE, 0, members=_MEMBERS),
    "Received by CronJob report in shop, out of its members": TrafficQuery(
        ("CronJob",), _MINUTE, 0, "shop", "report", members=_MEMBERS, narrowing=("report-1-",)
    ),
    "Callees of Deployment web in shop, where members are added up": TrafficQuery(
        ("Deployment",), _MINUTE, 0, "shop", "web", edges=True, direction=Direction.TO, members=_MEMBERS, peer_members=("Pod",)
    ),
}
_BOTH_FORMS = "Received by StatefulSet cart in shop, with means, where histograms may be native"
_NATIVE = TrafficQuery(("StatefulSet",), _MINUTE, 0, "shop", "cart", sums=True)


@cache
def _rendered(name: str) -> dict[str, dict[str, list[str]]]:
    """The queries by question, each with what it is for; a refusal is told as a comment without a query."""
    dialect = load_dialect(name)
    found: dict[str, dict[str, list[str]]] = {}
    for title, query in {**_QUESTIONS, _BOTH_FORMS: _NATIVE}.items():
        form = HistogramForm.BOTH if title == _BOTH_FORMS else HistogramForm.CLASSIC
        purposes: dict[str, list[str]] = {}
        for promql, purpose in _queries(name, query, form):
            told = purposes.setdefault(promql, [])
            if purpose not in told:
                told.append(purpose)
        found[title] = purposes or {"": [f"refused: {refusal(dialect, query)}"]}
    return found


def _queries(name: str, query: TrafficQuery, form: HistogramForm) -> Iterator[tuple[str, str]]:
    """PromQL and its purpose, in the order of asking; what comes with a condition is asked only if that turns out to hold."""
    dialect = load_dialect(name)
    for asked in questions(dialect, query):
        beside = ", of series that name no workload" if asked.apart_from else ""
        for promql, purpose in _queries_of_one(dialect, asked, form):
            yield promql, purpose + beside


def _queries_of_one(dialect: Dialect, query: TrafficQuery, form: HistogramForm) -> Iterator[tuple[str, str]]:
    for number, stage in enumerate(plan(dialect, query)):
        yield from _of_stage(stage, query, form, ", if nothing was found so far" if number else "")
        if any(part.bare for part in stage):
            yield from _of_stage(seen_by_callers(dialect, query), query, form, ", if only callers saw some of it")
        if any(part.partial and not part.peer for part in stage):
            yield from _of_stage(by_caller(dialect, query), query, form, ", if an observer that callers may pass by saw some of it")
        if query.peer_members:
            yield from _of_stage(unnamed_peers(dialect, query, stage)[1], query, form, ", if a peer has no name of its own")


def _of_stage(stage: Sequence[Part], query: TrafficQuery, form: HistogramForm, condition: str) -> Iterator[tuple[str, str]]:
    for part in stage:
        kinds: dict[Read, str] = {part.requests: "connections" if part.view.connections else "requests"}
        kinds |= dict.fromkeys(part.latencies, "latency") | dict.fromkeys(part.sums, "sum of latencies")
        kinds |= dict.fromkeys(part.corrections, "corrections")
        for read, kind in kinds.items():
            yield query_of(read, query.window, form), f"{part.view.name} ({part.direction}): {kind}{condition}"


def _readable(promql: str) -> str:
    """The query over several lines, broken where there are blanks."""
    broken = promql
    for operator in ("or", "unless"):
        broken = broken.replace(f" {operator} ", f"\n  {operator} ")
    for function in ("increase", "label_replace", "histogram_count", "sum_over_time"):
        broken = broken.replace(f" ({function}(", f" (\n  {function}(")
    return broken


def _text(name: str) -> str:
    lines = [f"PromQL of the dialect {name}, over a minute. Written by tests/golden/test_promql.py."]
    for title, queries in _rendered(name).items():
        lines += ["", f"## {title}"]
        for promql, purposes in queries.items():
            lines += ["", *(f"# {purpose}" for purpose in purposes), *([_readable(promql)] if promql else [])]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("name", [*builtin_dialects(), *hosted_dialects()])
def test_the_promql_of_a_dialect_is_what_was_reviewed(name: str):
    path = _DIRECTORY / f"{name}.txt"
    if _UPDATE:
        path.write_text(_text(name), encoding="utf-8")
    assert path.exists(), f"no golden for {name}: write it with TRAFFICMETRICS_UPDATE_GOLDENS=1"
    assert path.read_text(encoding="utf-8") == _text(name), "if this is meant, set TRAFFICMETRICS_UPDATE_GOLDENS=1 once"


def test_every_golden_is_of_a_dialect_there_is():
    assert {path.stem for path in _DIRECTORY.iterdir()} == {*builtin_dialects(), *hosted_dialects()}


@pytest.mark.real
def test_every_query_of_the_goldens_parses(tmp_path: Path):
    rendered = (_rendered(name) for name in builtin_dialects())
    queries = {promql for questions in rendered for queries in questions.values() for promql in queries if promql}
    assert len(queries) > 10 * len(builtin_dialects())
    assert parse_errors([*queries, *map(_readable, queries)], tmp_path) == ""


@pytest.mark.real
def test_what_does_not_parse_is_found(tmp_path: Path):
    assert "query:1" in parse_errors(["sum(up)", "sum by (a (up)"], tmp_path)
