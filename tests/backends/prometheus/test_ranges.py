"""Ranges from a store of ours: what it is asked for a history, and what becomes of whatever it answers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
from aiohttp import web

from backends.dialects import parse_dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from backends.prometheus.client import PrometheusClient
from backends.prometheus.ranges import Ranges
from metrics_api import (
    Answer,
    BackendError,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    Histogram,
    Span,
)
from tests.backends.prometheus.queryapi import DIALECT, Asked, QueryApi, failed, query_api, question, settings, text, vector
from tests.doubles.exporter import raw_exporter

START = 1_700_000_000
SPAN = Span(START, START + 45, 15)
WEB = {"namespace": "shop", "app": "web"}

Given = Callable[[Asked], web.StreamResponse]


@pytest.fixture
async def api() -> AsyncIterator[QueryApi]:
    async with query_api(lambda _: vector()) as double:
        yield double


def matrix(*series: Mapping[str, object], **more: object) -> web.Response:
    """A successful answer to a range query."""
    return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": list(series)}, **more})


def over(*values: object, native: tuple[object, ...] = (), **labels: str) -> dict[str, object]:
    """One series of a matrix: a value, or a native histogram, per instant of the span; None where it has none."""
    made: dict[str, object] = {"metric": labels}
    for name, points in (("values", values), ("histograms", native)):
        if points:
            made[name] = [[START + 15 * index, point] for index, point in enumerate(points) if point is not None]
    return made


def of(
    counts: list[dict[str, object]], buckets: list[dict[str, object]] | None = None, sums: list[dict[str, object]] | None = None
) -> Given:
    """A store that has these."""

    def answer(asked: Asked) -> web.StreamResponse:
        if asked.path.endswith("/query"):
            return vector()
        if "count(" in asked.promql:
            return matrix(*[series for series in buckets or [] if "histograms" in series])
        if "latency_ms_sum" in asked.promql:
            return matrix(*(sums or []))
        return matrix(*((buckets or []) if "latency_ms" in asked.promql else counts))

    return answer


async def history(api: QueryApi, span: Span = SPAN, *, sums: bool = False, **changes: object) -> tuple[Answer, ...]:
    async with PrometheusBackend(settings(api, **changes)) as source:
        return await source.history(question(sums=sums), span)


def counts(answers: tuple[Answer, ...]) -> list[tuple[float | None, float | None] | None]:
    """Successes and failures of the one row of each answer; None without a row."""
    return [(answer.samples[0].success, answer.samples[0].failure) if answer.samples else None for answer in answers]


def latencies(answers: tuple[Answer, ...]) -> list[object]:
    """Latencies of the one row of each answer."""
    return [answer.samples[0].latency for answer in answers]


async def test_every_read_is_asked_once_for_all_instants(api: QueryApi):
    api.answer = of([over("1", "2", "3", "4", code="200", **WEB)])
    answers = await history(api)
    assert [answer.instant for answer in answers] == list(SPAN.instants)
    assert counts(answers) == [(1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.0, 0.0)]
    assert len({asked.promql for asked in api.asked}) == len(api.asked) == 2
    for asked in api.asked:
        assert (asked.method, asked.path) == ("POST", "/api/v1/query_range")
        moments = {"start": str(START), "end": str(START + 45), "step": "15"}
        assert {**asked.form, **moments, "nocache": "1", "timeout": "5s"} == asked.form


async def test_the_end_of_a_span_that_is_no_instant_is_not_asked_for(api: QueryApi):
    api.answer = of([over("1", code="200", **WEB)])
    assert len(await history(api, Span(START, START + 14, 15))) == 1
    assert {asked.form["end"] for asked in api.asked} == {str(START)}


async def test_a_store_without_anything_has_an_empty_answer_for_each_instant(api: QueryApi):
    api.answer = of([])
    answers = await history(api)
    assert [(answer.samples, answer.instant) for answer in answers] == [((), instant) for instant in SPAN.instants]
    assert not any(answer.incomplete for answer in answers)


async def test_each_series_has_its_own_gaps(api: QueryApi):
    api.answer = of([over("1", None, None, "4", code="200", **WEB), over("2", "2", None, None, code="503", **WEB)])
    assert counts(await history(api)) == [(1.0, 2.0), (0.0, 2.0), None, (4.0, 0.0)]


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf", "-1"])
async def test_a_value_that_is_no_count_is_a_gap(api: QueryApi, value: str):
    api.answer = of([over("1", value, "3", "4", code="200", **WEB)])
    assert counts(await history(api)) == [(1.0, 0.0), None, (3.0, 0.0), (4.0, 0.0)]


async def test_a_histogram_has_the_buckets_that_are_known_at_its_instant(api: QueryApi):
    buckets = [
        over("4", "5", "NaN", "7", le="5", **WEB),
        over("1", "1", None, "1", le="5.0", **WEB),
        over("8", "8", "8", "8", le="10", **WEB),
        over("3", "3", "3", "3", le="many", **WEB),
        over("9", None, "9", "9", le="+Inf", **WEB),
    ]
    api.answer = of([over("9", "9", "9", "9", code="200", **WEB)], buckets)
    assert latencies(await history(api)) == [
        Histogram((0.005, 0.01, math.inf), (5.0, 3.0, 1.0)),
        None,
        Histogram((0.01, math.inf), (8.0, 1.0)),
        Histogram((0.005, 0.01, math.inf), (8.0, 0.0, 1.0)),
    ]


async def test_native_histograms_are_read_at_their_instants_and_added_to_classic_ones(api: QueryApi):
    native = {"count": "3", "sum": "8", "buckets": [[0, "2", "4", "3"]]}
    buckets = [
        over(native=(native, None, native, None), **WEB),
        *(over(None, None, "5", "5", le=le, **WEB) for le in ("4", "+Inf")),
    ]
    api.answer = of([over("9", "9", "9", "9", code="200", **WEB)], buckets)
    first, second, third, fourth = latencies(await history(api))
    assert first == Histogram((0.004,), (3.0,), 0.002, exponential=True, sum=0.008)
    assert second is None
    assert isinstance(third, Histogram)
    assert third.total == 8.0
    assert fourth == Histogram((0.004, math.inf), (5.0, 0.0))
    assert sum(" or " in asked.promql for asked in api.asked) == 1


async def test_sums_are_in_seconds(api: QueryApi):
    buckets = [over("2", "4", "0", "1", le="+Inf", **WEB)]
    api.answer = of([over("2", "4", "0", "1", code="200", **WEB)], buckets, [over("500", "6000", "0", None, **WEB)])
    means = [latency.mean() for latency in latencies(await history(api, sums=True)) if isinstance(latency, Histogram)]
    assert means == [pytest.approx(0.25), pytest.approx(1.5), None, None]


STAGED = parse_dialect(
    """
    name: staged
    views:
    - name: served
      side: server
      match: role="server"
      requests: requests_total
      outcome: [{success: {}}]
      destination:
      - Deployment: {namespace: namespace, name: app}
    - name: sent
      side: client
      match: role="client"
      requests: requests_total
      outcome: [{success: {}}]
      source:
      - Deployment: {namespace: namespace, name: app}
      destination:
      - Workload: {namespace: to_namespace, name: to}
    """,
    "staged.yaml",
)
"""What callers say of a workload is less than what it says itself, and asked for where it says nothing."""


async def test_what_was_found_at_an_instant_is_not_looked_for_again(api: QueryApi):
    def answer(asked: Asked) -> web.StreamResponse:
        if 'role="client"' in asked.promql:
            return matrix(over(None, "7", "7", None, to_namespace="shop", to="web"))
        return matrix(over("1", None, None, "4", **WEB)) if asked.path.endswith("_range") else vector()

    api.answer = answer
    assert counts(await history(api, dialect=STAGED)) == [(1.0, 0.0), (7.0, 0.0), (7.0, 0.0), (4.0, 0.0)]
    first, second = api.asked
    assert (first.form["start"], first.form["end"]) == (str(START), str(START + 45))
    assert (second.form["start"], second.form["end"]) == (str(START + 15), str(START + 30))


async def test_a_warning_of_the_store_is_in_every_answer_it_may_concern(api: QueryApi):
    def answer(asked: Asked) -> web.StreamResponse:
        if 'role="client"' in asked.promql:
            return matrix(warnings=["a store is missing", "PromQL info: unimportant"])
        return matrix(over("1", None, None, "4", **WEB)) if asked.path.endswith("_range") else vector()

    api.answer = answer
    answers = await history(api, dialect=STAGED)
    assert [answer.incomplete for answer in answers] == [False, True, True, False]
    assert [answer.warnings for answer in answers] == [(), *[('source "mesh" warns: a store is missing',)] * 2, ()]


async def test_a_window_too_short_for_the_store_is_told_with_every_answer(api: QueryApi):
    api.answer = of([over("1", "1", "1", "1", code="200", **WEB)])
    answers = await history(api, scrape_interval=60)
    assert all("the shortest useful one is 2m0s" in " ".join(answer.warnings) for answer in answers)
    assert not any(answer.incomplete for answer in answers)


OTHER = parse_dialect(
    """
    name: other
    views:
    - name: served
      side: server
      requests: other_total
      outcome: [{success: {}}]
      destination:
      - Deployment: {namespace: namespace, name: app}
    """,
    "other.yaml",
)


async def test_of_two_dialects_that_know_the_same_traffic_the_first_is_believed_at_each_instant(api: QueryApi):
    def answer(asked: Asked) -> web.StreamResponse:
        if "other_total" in asked.promql:
            return matrix(over("7", "7", "7", "7", **WEB), over("8", None, None, None, namespace="shop", app="api"))
        return of([over("1", None, None, "4", code="200", **WEB)])(asked)

    api.answer = answer
    made = settings(api)
    async with PrometheusClient(made) as client:
        answers = await Ranges("mesh", client, question()).history([DIALECT, OTHER], SPAN)
    told = [{sample.resource.name: sample.success for sample in answer.samples} for answer in answers]
    assert told == [{"web": 1.0, "api": 8.0}, {"web": 7.0}, {"web": 7.0}, {"web": 4.0}]


async def test_a_victoria_metrics_is_asked_for_each_instant(api: QueryApi):
    def answer(asked: Asked) -> web.StreamResponse:
        series = {"metric": {**WEB, "code": "200"}, "value": [0, str(int(asked.form["time"]) - START)]}
        response = vector(series) if "requests_total" in asked.promql else vector()
        response.headers["X-Server-Hostname"] = "vm"
        return response

    api.answer = answer
    assert counts(await history(api)) == [(0.0, 0.0), (15.0, 0.0), (30.0, 0.0), (45.0, 0.0)]
    assert {asked.path for asked in api.everything} == {"/api/v1/query"}


WRONG: dict[str, tuple[Callable[[], web.Response], type[BackendError], str]] = {
    "422": (lambda: failed(422, "execution", "found duplicate series"), BackendRefused, "rejected a query (execution)"),
    "422-samples": (
        lambda: failed(422, "execution", "query processing would load too many samples"),
        BackendRefused,
        "a shorter time or a longer step",
    ),
    "400-resolution": (
        lambda: failed(400, "bad_data", "exceeded maximum resolution of 1,000 points per timeseries"),
        BackendRefused,
        "rejected a query (bad_data)",
    ),
    "429": (lambda: text("slow down", 429), BackendUnavailable, "we ask too much (HTTP 429)"),
    "503-timeout": (lambda: failed(503, "timeout"), BackendTimeout, "ask for fewer namespaces, a shorter time or a longer step"),
    "404-page": (lambda: text("404 page not found", 404), BackendRefused, "/api/v1/query_range (HTTP 404)"),
    "html": (lambda: text("<!doctype html>"), BackendProtocolError, "answered text/html that is not"),
    "half-a-document": (lambda: text('{"status": "success", "da'), BackendProtocolError, "half a document"),
    "vector": (vector, BackendProtocolError, "answered a vector where a matrix was asked for"),
    "word": (lambda: matrix(over("1", "many", code="200", **WEB)), BackendProtocolError, "a value that is not a number"),
    "number": (lambda: matrix(over(1, code="200", **WEB)), BackendProtocolError, "a result that cannot be read"),
    "label": (lambda: matrix({"metric": {"app": 1}}), BackendProtocolError, "a result that cannot be read"),
    "points": (lambda: matrix({"metric": WEB, "values": "none"}), BackendProtocolError, "a result that cannot be read"),
    "aligned": (
        lambda: matrix({"metric": {**WEB, "code": "200"}, "values": [[START - 5, "1"], [START + 10, "1"]]}),
        BackendProtocolError,
        "let the history start at a multiple of the step",
    ),
    "before": (lambda: matrix({"metric": WEB, "values": [[START - 15, "1"]]}), BackendProtocolError, "for other instants"),
    "beyond": (lambda: matrix({"metric": WEB, "values": [[START + 60, "1"]]}), BackendProtocolError, "for other instants"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_whatever_is_wrong_with_an_answer_the_error_says_what(api: QueryApi, case: str):
    respond, kind, message = WRONG[case]
    api.answer = lambda asked: respond() if "increase(" in asked.promql else of([])(asked)
    with pytest.raises(BackendError) as caught:
        await history(api)
    assert type(caught.value) is kind
    assert message in caught.value.message
    assert "increase" not in caught.value.message


async def test_a_store_that_does_not_answer_in_time_is_given_up(api: QueryApi):
    async def answer(asked: Asked) -> web.StreamResponse:
        if "increase(" in asked.promql:
            await asyncio.sleep(30)
        return of([])(asked)

    api.answer = answer
    with pytest.raises(BackendTimeout, match="did not answer within 1s"):
        await history(api, timeout=1)


async def test_an_answer_that_breaks_off_is_no_answer():
    begun = b'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n{"status": "success", "data": {"resultType": "matrix", "result": ['
    async with raw_exporter(begun) as address:
        made = PrometheusSettings("mesh", f"http://{address}", STAGED, timeout=5)
        async with PrometheusClient(made) as client:
            with pytest.raises(BackendProtocolError, match="broke off in the middle of its answer"):
                await client.elements_over("up", SPAN)
