"""Reads evaluated over snapshots: matchers, sums, histograms; and against an oracle that goes through every sample of every series."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.dialects import Comparison, Matcher, Read, Reading, Rows, equal
from backends.scrape.evaluate import Evaluation
from backends.scrape.increase import increase
from backends.scrape.selection import Selections
from backends.scrape.snapshots import History
from metrics_api import Histogram
from tests.doubles.exporter import buckets, sample
from tests.unit.scrape.histories import history, scrape

Counts = Mapping[tuple[str, ...], float]


def evaluate(read: Read, histories: Sequence[History], start: float, end: float, selections: Selections | None = None) -> Rows:
    evaluation = Evaluation([read], selections or Selections())
    for held in histories:
        evaluation.add(held.cut(start, end))
    return evaluation.results[read]


def counter(*by: str, metrics: tuple[str, ...] = ("requests_total",), matchers: tuple[Matcher, ...] = ()) -> Read:
    return Read(Reading.COUNTER, metrics, matchers, by)


def histogram(*by: str, matchers: tuple[Matcher, ...] = ()) -> Read:
    return Read(Reading.HISTOGRAM, ("latency_ms",), matchers, by, 0.001)


def moving(text: Mapping[str, float], labels: Mapping[str, str] | None = None) -> History:
    """Two scrapes at the edges of a window from -10 to 0, in which every line of ``text`` grew from a million by its number."""
    held = history(labels)
    scrape(held, -9.999999999, "".join(f"{line} 1000000\n" for line in text))
    scrape(held, 0, "".join(f"{line} {1_000_000 + growth}\n" for line, growth in text.items()))
    return held


def counts(read: Read, *histories: History) -> dict[tuple[str, ...], float]:
    rows = cast("Counts", evaluate(read, histories, -10, 0))
    return {key: round(value, 6) for key, value in rows.items()}


LINES = {
    'requests_total{app="web",code="200"}': 10.0,
    'requests_total{app="web",code="503",path="/a"}': 2.0,
    'requests_total{app="web",code="503",path="/b"}': 3.0,
    'requests_total{app="api",code="200"}': 7.0,
    'requests_total{code="200"}': 5.0,
}


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(counter(), {(): 27.0}, id="by nothing"),
        pytest.param(counter("app"), {("web",): 15.0, ("api",): 7.0, ("",): 5.0}, id="by one, which may be missing"),
        pytest.param(
            counter("code", "app"),
            {("200", "web"): 10.0, ("503", "web"): 5.0, ("200", "api"): 7.0, ("200", ""): 5.0},
            id="by two, in their order",
        ),
        pytest.param(counter("app", matchers=(equal("code", "503"),)), {("web",): 5.0}, id="equal"),
        pytest.param(counter("app", matchers=(equal("app", ""),)), {("",): 5.0}, id="equal to nothing matches what is missing"),
        pytest.param(
            counter("app", matchers=(Matcher("app", Comparison.NOT_EQUAL, "web"),)), {("api",): 7.0, ("",): 5.0}, id="not equal"
        ),
        pytest.param(counter("app", matchers=(Matcher("code", Comparison.MATCHES, "5.."),)), {("web",): 5.0}, id="expression"),
        pytest.param(counter("app", matchers=(Matcher("code", Comparison.MATCHES, "5"),)), {}, id="an expression is anchored"),
        pytest.param(
            counter("app", matchers=(Matcher("app", Comparison.MATCHES_NOT, "w.*|"),)), {("api",): 7.0}, id="negated expression"
        ),
        pytest.param(
            counter("app", matchers=(equal("app", "web"), equal("code", "200"))), {("web",): 10.0}, id="every matcher must hold"
        ),
        pytest.param(counter("app", metrics=("sent_total",)), {}, id="another metric"),
    ],
)
def test_a_counter_is_summed_by_the_labels_asked_for(read: Read, expected: dict[tuple[str, ...], float]):
    assert counts(read, moving(LINES)) == expected


def test_several_counters_are_added():
    held = moving({'oops_total{app="web"}': 1.0, 'alas_total{app="web"}': 2.0, 'alas_total{app="api"}': 4.0})
    assert counts(counter("app", metrics=("oops_total", "alas_total")), held) == {("web",): 3.0, ("api",): 4.0}


def test_series_that_differ_in_labels_nobody_reads_are_increased_one_by_one():
    """Their sum falls from 1005 to 10, though no request was lost: a sum of counters is no counter."""
    held = history()
    scrape(held, -9, sample("requests_total", 1000, app="web", node="a") + sample("requests_total", 5, app="web", node="b"))
    scrape(held, -4, sample("requests_total", 1000, app="web", node="a") + sample("requests_total", 5, app="web", node="b"))
    scrape(held, 0, sample("requests_total", 0, app="web", node="a") + sample("requests_total", 10, app="web", node="b"))
    rows = cast("Counts", evaluate(counter("app"), [held], -10, 0))
    assert rows["web",] == pytest.approx(5 * 10 / 9)


def test_targets_are_added():
    web, other = moving(LINES), moving({'requests_total{app="web",code="200"}': 100.0})
    assert counts(counter("app"), web, other) == {("web",): 115.0, ("api",): 7.0, ("",): 5.0}


def test_labels_of_the_target_are_those_of_its_series():
    held = moving({'requests_total{code="200"}': 5.0}, {"app": "web", "namespace": "shop"})
    assert counts(counter("namespace", "app"), held) == {("shop", "web"): 5.0}
    assert counts(counter("app", matchers=(equal("app", "web"),)), held) == {("web",): 5.0}
    assert counts(counter("app", matchers=(equal("app", "api"),)), held) == {}


def test_a_label_of_the_target_wins_over_one_that_was_scraped():
    held = moving({'requests_total{app="impostor"}': 5.0}, {"app": "web"})
    assert counts(counter("app"), held) == {("web",): 5.0}


def test_a_series_with_one_sample_in_the_window_is_no_row_and_one_that_stood_still_is_zero():
    held = history()
    scrape(held, -5, sample("requests_total", 5, app="still"))
    scrape(held, -1, sample("requests_total", 5, app="still") + sample("requests_total", 9, app="late"))
    assert counts(counter("app"), held) == {("still",): 0.0}


def test_one_snapshot_is_no_row():
    held = history()
    scrape(held, -1, sample("requests_total", 5, app="web"))
    assert counts(counter("app"), held) == {}


def test_snapshots_after_the_instant_do_not_count():
    held = moving(LINES)
    scrape(held, 5, "".join(f"{line} 9000000\n" for line in LINES))
    assert counts(counter(), held) == {(): 27.0}


CUMULATIVE = {"5": 1.0, "10": 3.0, "+Inf": 4.0}


def bucket_lines(cumulative: Mapping[str, float], **labels: str) -> dict[str, float]:
    inside = "".join(f'{name}="{value}",' for name, value in labels.items())
    return {f'latency_ms_bucket{{{inside}le="{bound}"}}': value for bound, value in cumulative.items()}


def histograms(read: Read, *histories: History) -> dict[tuple[str, ...], Histogram]:
    rows = cast("Mapping[tuple[str, ...], Histogram]", evaluate(read, histories, -10, 0))
    return {key: Histogram(row.bounds, tuple(round(count, 6) for count in row.counts)) for key, row in rows.items()}


def test_buckets_become_a_histogram_in_seconds():
    held = moving(bucket_lines(CUMULATIVE, app="web") | bucket_lines({"5": 0.0, "10": 0.0, "+Inf": 0.0}, app="idle"))
    assert histograms(histogram("app"), held) == {
        ("web",): Histogram((0.005, 0.01, math.inf), (1.0, 2.0, 1.0)),
        ("idle",): Histogram((0.005, 0.01, math.inf), (0.0, 0.0, 0.0)),
    }


def test_bounds_are_numbers_however_they_are_written_and_ordered():
    held = moving(bucket_lines({"+Inf": 4.0, "1e1": 3.0, "5.0": 1.0}, app="web") | bucket_lines(CUMULATIVE, app="api"))
    rows = histograms(histogram("app"), held)
    assert rows["web",] == rows["api",] == Histogram((0.005, 0.01, math.inf), (1.0, 2.0, 1.0))


def test_histograms_of_one_row_are_added():
    held = moving(bucket_lines(CUMULATIVE, app="web", code="200") | bucket_lines(CUMULATIVE, app="web", code="500"))
    assert histograms(histogram("app"), held, held) == {("web",): Histogram((0.005, 0.01, math.inf), (4.0, 8.0, 4.0))}


def test_histograms_with_other_bounds_are_merged_where_both_are_known():
    coarse = moving(bucket_lines({"10": 5.0, "+Inf": 6.0}, app="web"))
    rows = histograms(histogram("app"), moving(bucket_lines(CUMULATIVE, app="web")), coarse)
    assert rows["web",].bounds == (0.01, math.inf)
    assert rows["web",].counts == (8.0, 2.0)


@pytest.mark.parametrize(
    "cumulative",
    [pytest.param({"5": 1.0, "10": 3.0}, id="without +Inf"), pytest.param({"five": 1.0, "": 3.0}, id="bounds that are no numbers")],
)
def test_buckets_that_tell_no_total_are_no_histogram(cumulative: dict[str, float]):
    assert histograms(histogram("app"), moving(bucket_lines(cumulative, app="web"))) == {}


def test_a_bucket_that_is_gone_leaves_the_others():
    held = history()
    scrape(held, -9, buckets("latency_ms", {"5": 0, "10": 0, "+Inf": 0}, app="web"))
    scrape(held, 0, buckets("latency_ms", {"10": 0, "+Inf": 0}, app="web"))
    rows = histograms(histogram("app"), held)
    assert rows["web",].bounds == (0.01, math.inf)


def test_a_selection_follows_the_series_of_its_target():
    selections = Selections()
    held = history()
    scrape(held, -9, sample("requests_total", 0, app="web"))
    scrape(held, -5, sample("requests_total", 1, app="web"))
    assert set(evaluate(counter("app"), [held], -10, 0, selections)) == {("web",)}
    scrape(held, -4, sample("requests_total", 1, app="web") + sample("requests_total", 1, app="new"))
    scrape(held, 0, sample("requests_total", 1, app="web") + sample("requests_total", 2, app="new"))
    assert set(evaluate(counter("app"), [held], -10, 0, selections)) == {("web",), ("new",)}
    held.clear()
    scrape(held, -3, sample("requests_total", 1, app="other"))
    scrape(held, -1, sample("requests_total", 1, app="other"))
    assert set(evaluate(counter("app"), [held], -10, 0, selections)) == {("other",)}


def test_what_is_remembered_of_reads_is_bounded():
    selections = Selections(most_slots=40, most_reads=8)
    held = moving(LINES)
    for number in range(100):
        evaluate(counter("app", matchers=(Matcher("app", Comparison.NOT_EQUAL, f"name-{number}"),)), [held], -10, 0, selections)
        # The read under way is let go at the next one.
        assert selections.slots <= 40 + 6
    selections.shrink()
    assert selections.slots <= 40
    selections.forget(held)
    assert selections.slots == 0


Scrapes = list[list[float | None]]
APPS = ("web", "api")
SERIES = [(app, node) for app in APPS for node in ("1", "2", "3")]
moves = st.lists(
    st.lists(st.none() | st.integers(0, 30).map(float), min_size=len(SERIES), max_size=len(SERIES)), min_size=1, max_size=10
)


@settings(deadline=None)
@given(moves, st.lists(st.integers(1, 8), min_size=10, max_size=10), st.integers(0, 40), st.integers(1, 40))
def test_every_sample_of_every_series_gone_through_gives_the_same(scrapes: Scrapes, gaps: list[int], first: int, length: int):
    """The quick way, by first and last snapshot, against the slow one; a long history and windows anywhere in it."""
    held = history(span=25)
    samples: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    selections, read, moment = Selections(), counter("app"), 100.0
    for values, gap in zip(scrapes, gaps, strict=False):
        moment += gap
        text = ""
        for (app, node), value in zip(SERIES, values, strict=True):
            if value is not None:
                text += sample("requests_total", value, app=app, node=node)
                samples[app, node].append((moment, value))
        scrape(held, moment, text)
        start, end = moment - first / 2, moment - first / 2 + length / 2
        expected: dict[tuple[str, ...], float] = {}
        for (app, _), points in samples.items():
            inside = [point for point in points if max(start, moment - 25) < point[0] <= end]
            grown = increase(inside, start, end)
            if grown is not None:
                expected[app,] = expected.get((app,), 0.0) + grown
        rows = cast("Counts", evaluate(read, [held], start, end, selections))
        assert dict(rows) == pytest.approx(expected, rel=1e-9, abs=1e-9)
