"""Whatever a store does instead of answering, the error says what happened and what to do, within the deadline."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from backends.dialects import Dialect
from backends.prometheus import PrometheusBackend, PrometheusSettings
from metrics_api import (
    BackendError,
    BackendProtocolError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
)
from tests.backends.prometheus.queryapi import (
    DIALECT,
    Asked,
    QueryApi,
    document,
    failed,
    query_api,
    question,
    series,
    settings,
    text,
    vector,
)
from tests.doubles.exporter import raw_exporter


async def error_of(made: PrometheusSettings) -> BackendError:
    """What asking ends with."""
    async with PrometheusBackend(made) as source:
        with pytest.raises(BackendError) as caught:
            await source.answer(question())
    return caught.value


@pytest.fixture
async def api() -> AsyncIterator[QueryApi]:
    async with query_api(lambda _: vector()) as double:
        yield double


PLAIN = "the store answers "
WRONG: dict[str, tuple[Callable[[], web.Response], type[BackendError], str]] = {
    "401": (lambda: failed(401, "unauthorized"), BackendRefused, "refused our credentials (HTTP 401)"),
    "403": (lambda: text("<h1>no</h1>", 403), BackendRefused, "refused our credentials (HTTP 403)"),
    "404-page": (lambda: text("404 page not found", 404, "text/plain"), BackendRefused, "has no query API"),
    "404-json": (lambda: failed(404, "not_found"), BackendRefused, "rejected a query (not_found)"),
    "404-other-json": (lambda: text('{"detail": "Not Found"}', 404, "application/json"), BackendRefused, "does url lack a prefix?"),
    "400": (lambda: failed(400, "bad_data", "1:3: parse error"), BackendRefused, "rejected a query (bad_data)"),
    "422": (lambda: failed(422, "execution", "found duplicate series"), BackendRefused, "rejected a query (execution)"),
    "422-samples": (
        lambda: failed(422, "execution", "query processing would load too many samples"),
        BackendRefused,
        "too many samples",
    ),
    "429": (
        lambda: text("slow down", 429, "text/plain", **{"Retry-After": "17"}),
        BackendUnavailable,
        "we ask too much (HTTP 429)",
    ),
    "500": (lambda: failed(500, "internal"), BackendUnavailable, "failed (internal)"),
    "500-page": (lambda: text("<html>oops", 500), BackendUnavailable, "failed (HTTP 500)"),
    "502-page": (lambda: text("<html>Bad Gateway", 502), BackendUnavailable, "failed (HTTP 502)"),
    "503-timeout": (lambda: failed(503, "timeout", "query timed out"), BackendTimeout, "took too long"),
    "503-canceled": (lambda: failed(499, "canceled"), BackendTimeout, "took too long"),
    "503-page": (lambda: text("starting", 503, "text/plain"), BackendUnavailable, "failed (HTTP 503)"),
    "200-error": (
        lambda: document(status="error", errorType="bad_data", error="no"),
        BackendRefused,
        "rejected a query (bad_data)",
    ),
    "redirect": (lambda: text("", 302, Location="https://login.example.com"), BackendRefused, "redirects"),
    "html": (lambda: text("<!doctype html><title>Sign in</title>"), BackendProtocolError, "answered text/html that is not"),
    "nothing": (lambda: text("", content_type="application/json"), BackendProtocolError, "that is not the query API's JSON"),
    "bytes": (
        lambda: text(bytes(range(256)), content_type="application/octet-stream"),
        BackendProtocolError,
        "application/octet-stream",
    ),
    "not-utf-8": (lambda: text(b'{"status": "\xff\xfe"}'), BackendProtocolError, "that is not the query API's JSON"),
    "half-a-document": (
        lambda: text('{"status": "success", "data": {"resu', content_type="application/json"),
        BackendProtocolError,
        "half a document",
    ),
    "a-list": (lambda: text("[1, 2]", content_type="application/json"), BackendProtocolError, "that is not the query API's JSON"),
    "a-number": (lambda: text("42", content_type="application/json"), BackendProtocolError, "that is not the query API's JSON"),
    "depth": (
        lambda: text('{"status": ' + '{"a":' * 100_000, content_type="application/json"),
        BackendProtocolError,
        "query API's JSON",
    ),
    "depth-beside": (
        lambda: text('{"x": ' + "[" * 100_000, content_type="application/json"),
        BackendProtocolError,
        "query API's JSON",
    ),
    "other-json": (lambda: document(hello="world"), BackendProtocolError, "that is not the query API's JSON"),
    "no-data": (lambda: document(status="success"), BackendProtocolError, "answered nothing where a vector"),
    "scalar": (
        lambda: document(status="success", data={"resultType": "scalar", "result": [1, "1"]}),
        BackendProtocolError,
        "scalar",
    ),
    "matrix": (lambda: document(status="success", data={"resultType": "matrix", "result": []}), BackendProtocolError, "a matrix"),
    "string": (
        lambda: document(status="success", data={"resultType": "string", "result": [1, "x"]}),
        BackendProtocolError,
        "a string",
    ),
    "no-metric": (lambda: vector({"value": [1, "1"]}), BackendProtocolError, "cannot be read"),
    "labels-of-numbers": (lambda: vector({"metric": {"app": 1}, "value": [1, "1"]}), BackendProtocolError, "cannot be read"),
    "values-of-words": (lambda: vector(series("many", le="5")), BackendProtocolError, "not a number"),
    "values-of-numbers": (lambda: vector(series(1, le="5")), BackendProtocolError, "cannot be read"),
    "depth-in-data": (
        lambda: text('{"status": "success", "data": {"resultType": "vector", "result": ' + "[" * 100_000 + "]" * 100_000 + "}}"),
        BackendProtocolError,
        "",
    ),
    "not-gzip": (
        lambda: text(b"not compressed", 200, "application/json", **{"Content-Encoding": "gzip"}),
        BackendProtocolError,
        "",
    ),
    "half-of-gzip": (
        lambda: text(gzip.compress(b'{"status": "success"}' * 99)[:40], 200, "application/json", **{"Content-Encoding": "gzip"}),
        BackendProtocolError,
        "",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_answer_is_named_for_what_it_is(api: QueryApi, wrong: str):
    answer, kind, phrase = WRONG[wrong]
    api.answer = lambda _: answer()
    error = await error_of(settings(api))
    assert type(error) is kind
    assert phrase in error.message
    assert error.message.startswith('source "mesh": ')
    assert "latency_ms" not in error.message, "the query is for the log"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("3", 3), ("17", 5), ("0", 1), ("86400", 5), ("Wed, 21 Oct 2026 07:28:00 GMT", 1), ("-3", 1), ("²", 1)],
)
async def test_what_a_store_asks_to_wait_is_passed_on_up_to_what_a_person_waits(api: QueryApi, given: str, seconds: int):
    api.answer = lambda _: web.Response(status=429, headers={"Retry-After": given})
    assert (await error_of(settings(api))).retry_after == seconds


async def test_a_store_that_is_down_is_unavailable_and_named():
    async with query_api(lambda _: vector()) as api:
        made = settings(api)
    error = await error_of(made)
    assert type(error) is BackendUnavailable
    assert f"cannot be reached at {made.url}" in error.message


async def test_a_name_that_does_not_resolve_is_unavailable():
    error = await error_of(PrometheusSettings("mesh", "http://prometheus.invalid:9090", DIALECT))
    assert type(error) is BackendUnavailable
    assert error.message.endswith("cannot be reached at http://prometheus.invalid:9090: its name cannot be resolved")


@pytest.mark.parametrize("host", ["prometheus..monitoring", "p" * 64 + ".monitoring"], ids=["empty-part", "long-part"])
@pytest.mark.parametrize("dialect", [DIALECT, None], ids=["dialect", "auto"])
async def test_a_name_that_can_be_no_name_is_unavailable_and_keeps_nobody_from_starting(host: str, dialect: Dialect | None):
    error = await error_of(PrometheusSettings("mesh", f"http://{host}:9090", dialect))
    assert type(error) is BackendUnavailable
    assert error.message == f'source "mesh": cannot be reached at http://{host}:9090: its name cannot be resolved'


async def _never(_: Asked) -> web.StreamResponse:
    await asyncio.sleep(30)
    return vector()


async def test_a_slow_store_is_given_up_at_the_deadline(api: QueryApi):
    api.answer = _never
    begun = time.monotonic()
    error = await error_of(settings(api, timeout=1))
    assert type(error) is BackendTimeout
    assert "within 1s" in error.message
    assert time.monotonic() - begun < 1.8


async def test_a_store_that_hangs_when_it_is_asked_for_facts_is_not_waited_for_twice(api: QueryApi):
    async def hesitate(asked: Asked) -> web.StreamResponse:
        return await _never(asked) if asked.promql.startswith("count(") else vector()

    api.answer = hesitate
    begun = time.monotonic()
    error = await error_of(settings(api, timeout=1))
    assert type(error) is BackendTimeout
    assert time.monotonic() - begun < 1.8
    assert not any("_bucket" in asked.promql for asked in api.everything)


async def test_an_answer_that_stops_in_the_middle_is_given_up_at_the_deadline():
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n{"status": "succ')
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        begun = time.monotonic()
        error = await error_of(PrometheusSettings("mesh", url, DIALECT, timeout=1, scrape_interval=15))
    assert type(error) is BackendTimeout
    assert time.monotonic() - begun < 1.8


@pytest.mark.parametrize(
    ("answer", "kind", "phrase"),
    [
        pytest.param(
            b'HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n{"status": "success"',
            BackendProtocolError,
            "broke off in the middle",
            id="half-a-body",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{", BackendProtocolError, "broke off", id="half-a-chunk"
        ),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", BackendProtocolError, "is not HTTP", id="ssh"),
        pytest.param(b"\x15\x03\x01\x00\x02\x02\x16", BackendProtocolError, "is not HTTP", id="tls"),
        pytest.param(b"", BackendUnavailable, "the connection to", id="nothing"),
    ],
)
async def test_what_is_not_a_whole_http_answer_is_named(answer: bytes, kind: type[BackendError], phrase: str):
    async with raw_exporter(answer) as address:
        error = await error_of(PrometheusSettings("mesh", f"http://{address}", DIALECT, timeout=5, scrape_interval=15))
    assert type(error) is kind
    assert phrase in error.message


async def test_one_failing_query_fails_the_answer_and_ends_the_others(api: QueryApi):
    ended = asyncio.Event()

    async def answer(asked: Asked) -> web.StreamResponse:
        if "requests_total" in asked.promql:
            return failed(500, "internal")
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return vector()

    api.answer = answer
    begun = time.monotonic()
    assert type(await error_of(settings(api))) is BackendUnavailable
    await asyncio.wait_for(ended.wait(), 1)
    assert time.monotonic() - begun < 2


async def test_a_source_that_is_not_open_says_so(api: QueryApi):
    with pytest.raises(BackendUnavailable, match="is closed"):
        await PrometheusBackend(settings(api)).answer(question())


async def test_a_store_that_recovers_is_asked_again(api: QueryApi):
    async with PrometheusBackend(settings(api)) as source:
        api.answer = lambda _: failed(503, "unavailable")
        with pytest.raises(BackendUnavailable):
            await source.answer(question())
        api.answer = lambda _: vector(series("3", namespace="shop", app="web", code="200"))
        (sample,) = (await source.answer(question())).samples
        assert sample.success == 3.0
