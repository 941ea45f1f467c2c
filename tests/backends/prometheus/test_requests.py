"""What a store is asked, and how: POST, one instant, each histogram once, everything at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from backends.dialects import load_dialect
from backends.prometheus import PrometheusBackend
from backends.transport import Credentials
from metrics_api import BackendRefused, TrafficQuery, Window
from tests.backends.prometheus.queryapi import (
    INSTANT,
    Asked,
    QueryApi,
    counted,
    failed,
    query_api,
    question,
    series,
    settings,
    vector,
)


@pytest.fixture
async def api() -> AsyncIterator[QueryApi]:
    async with query_api(counted) as double:
        yield double


async def test_queries_are_posted_as_a_form(api: QueryApi):
    async with PrometheusBackend(settings(api)) as source:
        await source.answer(question())
    assert {(asked.method, asked.path) for asked in api.everything} == {("POST", "/api/v1/query")}
    assert {asked.headers["Content-Type"] for asked in api.everything} == {"application/x-www-form-urlencoded"}


@pytest.mark.parametrize("edges", [False, True], ids=["totals", "edges"])
@pytest.mark.parametrize("dialect", ["linkerd", "istio", "envoy"])
async def test_all_queries_of_an_answer_are_about_one_instant(api: QueryApi, dialect: str, *, edges: bool):
    api.answer = lambda _: vector()
    query = TrafficQuery(("Deployment",), Window(30), INSTANT, edges=edges)
    async with PrometheusBackend(settings(api, dialect=load_dialect(dialect))) as source:
        answer = await source.answer(query)
    assert {asked.form["time"] for asked in api.everything} == {str(INSTANT)}
    assert len(api.asked) >= 2
    assert answer.instant == INSTANT
    assert answer.window == Window(30)


@pytest.mark.parametrize("edges", [False, True], ids=["totals", "edges"])
@pytest.mark.parametrize("dialect", ["linkerd", "istio", "envoy", "consul"])
async def test_no_query_is_asked_twice_and_no_histogram_once_per_percentile(api: QueryApi, dialect: str, *, edges: bool):
    api.answer = lambda _: vector()
    query = TrafficQuery(("Deployment",), Window(30), INSTANT, edges=edges)
    async with PrometheusBackend(settings(api, dialect=load_dialect(dialect))) as source:
        await source.answer(query)
    assert Counter(asked.promql for asked in api.asked).most_common(1)[0][1] == 1
    assert not any("quantile" in asked.promql for asked in api.everything)


async def test_a_total_takes_two_queries(api: QueryApi):
    async with PrometheusBackend(settings(api)) as source:
        (sample,) = (await source.answer(question())).samples
    assert [asked.promql for asked in api.asked] == [
        'sum by (namespace, app, code) (increase(requests_total{role="server",app!=""}[30s]))',
        'sum by (le, namespace, app) (increase(latency_ms_bucket{role="server",app!=""}[30s]))',
    ]
    assert (sample.success, sample.failure) == (9.0, 1.0)
    assert sample.latency is not None
    assert sample.latency.quantile(0.9) == pytest.approx(0.009)


async def test_what_is_learnt_about_a_store_is_remembered(api: QueryApi):
    async with PrometheusBackend(settings(api, scrape_interval=0)) as source:
        await source.answer(question())
        first = len(api.everything)
        await source.answer(question())
    assert len(api.everything) - first == 2


async def test_what_a_store_kept_long_ago_says_nothing_about_now(api: QueryApi):
    """It has begun to keep native histograms since: whoever asks about the past must not take them away from the present."""
    present = str(INSTANT)
    api.answer = lambda asked: vector(series("1")) if "count(" in asked.promql and asked.form["time"] == present else counted(asked)
    async with PrometheusBackend(settings(api)) as source:
        await source.answer(question(instant=INSTANT - 86_400))
        await source.answer(question())
    native = [asked.form["time"] for asked in api.asked if "increase(latency_ms{" in asked.promql]
    assert native == [present]


async def test_facts_about_hours_of_the_past_are_forgotten(api: QueryApi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.prometheus.backend._SILENCE_KEPT", 0.0)
    async with PrometheusBackend(settings(api)) as source:
        for hours in range(20):
            await source.answer(question(instant=INSTANT - 3600 * hours))
    assert len(source._facts) == 1


async def test_the_queries_of_an_answer_are_under_way_at_the_same_time(api: QueryApi):
    both = asyncio.Barrier(2)

    async def answer(asked: Asked) -> web.StreamResponse:
        if "increase(" in asked.promql:
            await asyncio.wait_for(both.wait(), 5)
        return counted(asked)

    api.answer = answer
    async with PrometheusBackend(settings(api)) as source:
        assert (await source.answer(question())).samples


async def test_no_more_queries_are_under_way_than_configured(api: QueryApi):
    under_way, busiest = 0, 0

    async def answer(asked: Asked) -> web.StreamResponse:
        nonlocal under_way, busiest
        under_way += 1
        busiest = max(busiest, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return counted(asked)

    api.answer = answer
    async with PrometheusBackend(settings(api, concurrency=2)) as source:
        await asyncio.gather(*(source.answer(question(window)) for window in (30, 60, 90)))
    assert busiest == 2


async def test_a_later_stage_is_asked_only_when_the_first_finds_nothing(api: QueryApi):
    """Callers of an Envoy know the name of a workload, and not its kind."""

    def asks_callers() -> bool:
        return any("envoy_cluster_name!~" in asked.promql for asked in api.asked)

    async with PrometheusBackend(settings(api, dialect=load_dialect("envoy"))) as source:
        api.answer = lambda _: vector(series(namespace="shop", deployment="web", envoy_response_code_class="2"))
        await source.answer(question())
        assert not asks_callers()
        api.answer = lambda _: vector()
        await source.answer(question())
    assert asks_callers()


async def test_victoria_metrics_is_told_not_to_move_the_instant(api: QueryApi):
    async with PrometheusBackend(settings(api)) as source:
        await source.answer(question())
    assert {asked.form["nocache"] for asked in api.everything} == {"1"}


async def test_parameters_for_thanos_go_with_every_query(api: QueryApi):
    params = {"partial_response": "false", "dedup": "true", "replicaLabels[]": "replica", "max_source_resolution": "0"}
    async with PrometheusBackend(settings(api, params=params)) as source:
        await source.answer(question())
    assert all(asked.form.items() >= params.items() for asked in api.everything)


async def test_parameters_cannot_replace_the_question(api: QueryApi):
    async with PrometheusBackend(settings(api, params={"query": "up", "time": "1"})) as source:
        await source.answer(question())
    assert {asked.form["time"] for asked in api.everything} == {str(INSTANT)}
    assert not any(asked.promql == "up" for asked in api.everything)


async def test_the_store_is_told_our_deadline(api: QueryApi):
    async with PrometheusBackend(settings(api, timeout=7)) as source:
        await source.answer(question())
    assert {asked.form["timeout"] for asked in api.everything} == {"7s"}


async def test_a_prefix_as_mimirs_is_part_of_the_url(api: QueryApi):
    async with PrometheusBackend(settings(api, url=f"{api.url}/prometheus")) as source:
        await source.answer(question())
    assert {asked.path for asked in api.everything} == {"/prometheus/api/v1/query"}


async def test_a_redirect_is_not_followed_with_our_credentials(api: QueryApi):
    api.answer = lambda _: web.Response(status=307, headers={"Location": f"{api.url}/elsewhere"})
    async with PrometheusBackend(settings(api)) as source:
        with pytest.raises(BackendRefused, match="redirects"):
            await source.answer(question())
    assert {asked.path for asked in api.everything} == {"/api/v1/query"}


async def test_warnings_are_passed_on_and_infos_are_not(api: QueryApi):
    def answer(asked: Asked) -> web.Response:
        said = ["PromQL info: metric might not be a counter, name does not end in _total", "store gone: 10.0.0.7"]
        return vector(warnings=said, infos=["metric might not be a counter"]) if "increase(" in asked.promql else vector()

    api.answer = answer
    async with PrometheusBackend(settings(api)) as source:
        answered = await source.answer(question())
    assert answered.warnings == ('source "mesh" warns: store gone: 10.0.0.7',)
    assert answered.incomplete


async def test_infos_alone_leave_an_answer_complete(api: QueryApi):
    api.answer = lambda _: vector(warnings=["PromQL info: ingested histogram buckets were not monotonic"], infos=["so were these"])
    async with PrometheusBackend(settings(api)) as source:
        answered = await source.answer(question())
    assert not answered.warnings
    assert not answered.incomplete


async def test_warnings_of_null_are_no_warnings(api: QueryApi):
    api.answer = lambda _: vector(warnings=None, infos=None)
    async with PrometheusBackend(settings(api)) as source:
        assert not (await source.answer(question())).warnings


@pytest.mark.parametrize(
    ("window", "interval", "warned"),
    [(30, 15, False), (29, 15, True), (30, 16, True), (15, 15, True), (1, 1, True), (2, 1, False)],
)
async def test_a_window_with_fewer_than_two_samples_is_warned_of(api: QueryApi, window: int, interval: int, *, warned: bool):
    async with PrometheusBackend(settings(api, scrape_interval=interval)) as source:
        answered = await source.answer(question(window))
    shortest = {15: "30s", 16: "32s", 1: "2s"}[interval]
    assert bool(answered.warnings) == warned
    assert all(f"the shortest useful one is {shortest}" in text for text in answered.warnings)
    assert not answered.incomplete, "nothing is missing: the window is what it is"


async def test_the_interval_is_measured_where_it_is_not_configured(api: QueryApi):
    def answer(asked: Asked) -> web.Response:
        if asked.promql.startswith("topk(1"):
            return vector({"metric": {"__name__": "requests_total", "app": 'we"b'}, "value": [1, "1"]})
        if asked.promql == 'requests_total{app="we\\"b"}[10m]':
            times = [[INSTANT - 60 + at, "1"] for at in (0, 20, 40, 60)]
            return web.json_response(
                {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": times}]}}
            )
        return counted(asked)

    api.answer = answer
    async with PrometheusBackend(settings(api, scrape_interval=0)) as source:
        (warning,) = (await source.answer(question(30))).warnings
    assert "has a sample every 20s" in warning
    assert "the shortest useful one is 40s" in warning


async def test_a_store_that_does_not_tell_its_interval_answers_all_the_same(api: QueryApi):
    api.answer = lambda asked: counted(asked) if "increase(" in asked.promql else failed(422, "execution")
    async with PrometheusBackend(settings(api, scrape_interval=0)) as source:
        answered = await source.answer(question(1))
    assert answered.samples
    assert not answered.warnings


async def test_credential_files_are_read_again_for_each_request(api: QueryApi, tmp_path: Path):
    token, tenant = tmp_path / "token", tmp_path / "tenant"
    token.write_text("first\n")
    tenant.write_text("team-a")
    credentials = Credentials("mesh", {"X-Fixed": "yes"}, {"X-Scope-OrgID": str(tenant)}, bearer_token_file=str(token))
    async with PrometheusBackend(settings(api, credentials=credentials)) as source:
        await source.answer(question())
        assert {asked.headers["Authorization"] for asked in api.everything} == {"Bearer first"}
        assert {asked.headers["X-Scope-OrgID"] for asked in api.everything} == {"team-a"}
        assert {asked.headers["X-Fixed"] for asked in api.everything} == {"yes"}
        api.everything.clear()
        token.write_text("second")
        tenant.write_text("team-a|team-b")
        await source.answer(question())
    assert {asked.headers["Authorization"] for asked in api.everything} == {"Bearer second"}
    assert {asked.headers["X-Scope-OrgID"] for asked in api.everything} == {"team-a|team-b"}
