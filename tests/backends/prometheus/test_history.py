"""History out of real stores: at every instant what an answer of that instant says, and what is known by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import Sample, Span, TrafficQuery, Window
from tests.backends.prometheus.timeline import END, START, TICK, timelines
from tests.doubles.small import SMALL
from tests.doubles.timelines import Timelines, kept_by_prometheus, kept_by_victoria_metrics

pytestmark = pytest.mark.real

WINDOW = 30
STORES: dict[str, Callable[[Path, Timelines], AbstractContextManager[str]]] = {
    "prometheus": kept_by_prometheus,
    "victoria-metrics": kept_by_victoria_metrics,
}
QUERY = TrafficQuery(("Deployment",), Window(WINDOW), 0, sums=True)


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with STORES[request.param](tmp_path_factory.mktemp("history"), timelines()) as url:
        yield url


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest) -> str:
    """The name of a store."""
    return str(request.param)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PrometheusBackend]:
    async with PrometheusBackend(PrometheusSettings("mesh", url, SMALL, scrape_interval=TICK)) as source:
        yield source


async def rows(url: str, span: Span) -> dict[int, dict[str, Sample]]:
    """By seconds after the beginning and the name of the workload."""
    async with opened(url) as source:
        answers = await source.history(QUERY, span)
    assert [answer.instant for answer in answers] == list(span.instants)
    assert all(answer.window == QUERY.window and not answer.warnings and not answer.incomplete for answer in answers)
    return {answer.instant - START: {sample.resource.name: sample for sample in answer.samples} for answer in answers}


@pytest.fixture(scope="module")
async def history(store: str) -> dict[int, dict[str, Sample]]:
    """The whole of it."""
    return await rows(store, Span(START, END, TICK))


@pytest.mark.parametrize(
    ("at", "success", "failure"),
    [
        pytest.param(120, 60, 0, id="2 a second"),
        pytest.param(180, 60, 0, id="until the rate changes"),
        pytest.param(195, 75, 15, id="half before and half after it"),
        pytest.param(210, 90, 30, id="3 and 1 a second"),
        pytest.param(300, 90, 30, id="until they cease"),
        pytest.param(315, 45, 15, id="half before and half after that"),
        pytest.param(330, 0, 0, id="idle is measured"),
        pytest.param(360, 0, 0, id="idle until the proxy is gone"),
        pytest.param(450, 60, 0, id="counted from 0 again"),
        pytest.param(600, 60, 0, id="the last instant"),
    ],
)
async def test_counts_are_those_of_the_window_before_each_instant(
    history: dict[int, dict[str, Sample]], at: int, success: float, failure: float
):
    sample = history[at]["web"]
    assert (sample.success, sample.failure) == pytest.approx((success, failure), rel=1e-9)


@pytest.mark.parametrize("at", [400, 405, 410])
async def test_where_nothing_was_observed_there_is_no_row_and_no_zero(store: str, at: int):
    found = await rows(store, Span(START + at, START + at, TICK))
    assert set(found[at]) == {"api"}


async def test_a_gap_in_one_series_is_no_gap_in_another(history: dict[int, dict[str, Sample]]):
    assert [at for at, found in history.items() if "web" not in found and at > WINDOW] != []
    assert [at for at, found in history.items() if "api" not in found and at > WINDOW] == []


@pytest.mark.parametrize("at", [300, 315, 330, 345])
async def test_a_counter_that_starts_over_goes_on_counting(history: dict[int, dict[str, Sample]], at: int):
    assert history[at]["api"].success == pytest.approx(60)


@pytest.mark.parametrize(
    ("at", "median", "mean"),
    [
        pytest.param(120, 0.005, 0.004, id="fast"),
        pytest.param(240, 0.055, 0.05, id="slow"),
        pytest.param(345, None, None, id="idle"),
        pytest.param(600, 0.005, 0.004, id="fast again"),
    ],
)
async def test_latencies_are_those_of_the_window_before_each_instant(
    history: dict[int, dict[str, Sample]], at: int, median: float | None, mean: float | None
):
    latency = history[at]["web"].latency
    assert latency is not None
    assert latency.quantile(0.5) == (None if median is None else pytest.approx(median))
    assert latency.mean() == (None if mean is None else pytest.approx(mean))


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(Span(START, END, TICK), id="at the samples"),
        pytest.param(Span(START + 7, END, 11), id="between the samples"),
        pytest.param(Span(START - 120, START + 60, 60), id="from before the beginning"),
        pytest.param(Span(END, END + 120, 20), id="beyond the end"),
    ],
)
async def test_history_at_each_instant_is_the_answer_of_that_instant(store: str, span: Span):
    async with opened(store) as source:
        history = await source.history(QUERY, span)
        for answer in history:
            assert answer == await source.answer(replace(QUERY, instant=answer.instant))
    assert any(answer.samples for answer in history)


async def test_history_until_now_is_not_behind(tmp_path: Path, kept: str):
    """A VictoriaMetrics repeats in ranges for the last 30 s what was known before them."""
    now = int(time.time())
    grown = [(now - 120 + at, float(at * at)) for at in range(0, 121, 2)]
    with STORES[kept](tmp_path, {'requests_total{namespace="shop",app="web",code="200"}': grown}) as url:
        async with opened(url) as source:
            answers = await source.history(QUERY, Span(now - 60, now, 10))
    assert [answer.samples[0].success for answer in answers] == pytest.approx(
        [(at * at) - (at - WINDOW) ** 2 for at in range(60, 121, 10)]
    )


async def test_what_was_counted_in_a_long_gap_is_in_no_window(tmp_path: Path, kept: str):
    """A scraper that was down for half an hour finds a counter grown by thousands, of which nobody knows when they were counted."""
    counted = [(START + at, 1000.0 + 2 * at) for at in range(0, 2401, TICK) if not 300 < at < 2100]
    with STORES[kept](tmp_path, {'requests_total{namespace="shop",app="web",code="200"}': counted}) as url:
        found = await rows(url, Span(START + 60, START + 2400, TICK))
    known = [held["web"].success for held in found.values() if "web" in held]
    assert max(value for value in known if value is not None) == pytest.approx(60)
