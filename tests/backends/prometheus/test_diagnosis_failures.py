"""What the doctor says when it gets no further than the store: every failure becomes a finding that says what to do, and none an error."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest
from aiohttp import web

from backends.prometheus import PrometheusSettings
from backends.prometheus.diagnosis import diagnose
from backends.transport import Credentials, TlsSettings
from metrics_api import Window
from metrics_api.diagnosis import Finding, Level
from tests.backends.prometheus.queryapi import Asked, document, failed, query_api, series, settings, text, vector
from tests.doubles.authority import Authority

MINUTE = Window(60)


async def only(made: PrometheusSettings) -> Finding:
    """The one thing that is wrong."""
    (finding,) = (await diagnose(made, MINUTE)).findings
    assert finding.source == "mesh"
    return finding


def empty(asked: Asked) -> web.StreamResponse:
    """A store without series."""
    if asked.path.endswith("/buildinfo"):
        return document(status="success", data={"version": "3.1.0"})
    return vector(series("1")) if asked.promql == "vector(1)" else vector()


ANSWERS: dict[str, tuple[Callable[[], web.Response], str, str]] = {
    "credentials": (lambda: failed(401, "unauthorized"), "it refused our credentials (HTTP 401)", "bearerTokenFile"),
    "sign-in page": (lambda: text("<!doctype html>"), "it answered text/html that is not", "does url point to a Prometheus?"),
    "prefix": (lambda: text("404 page not found", 404, "text/plain"), "it has no query API at", "does url lack a prefix?"),
    "redirect": (lambda: text("", 302, Location="https://login"), "elsewhere (HTTP 302)", "set url to where the API really is"),
    "starting": (lambda: text("starting", 503, "text/plain"), "it failed (HTTP 503)", "is it running"),
    "no numbers": (
        lambda: vector(series("1", trafficmetrics_dialect="x", trafficmetrics_asked="y")),
        "it answers something else than what was asked",
        "does url point to the query API?",
    ),
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_store_that_answers_something_else_is_told_with_what_to_do(answer: str):
    respond, what, advice = ANSWERS[answer]
    async with query_api(lambda _: respond()) as api:
        finding = await only(settings(api))
    assert (finding.level, finding.check) == (Level.PROBLEM, "reach")
    assert what in finding.what
    assert advice in finding.advice


async def test_nobody_there_is_told_with_the_address():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        finding = await only(PrometheusSettings("mesh", url, None))
    assert finding.what == f"it cannot be reached at {url}: Connection refused"
    assert finding.advice == "is it running, are host and port right, and may we connect to it?"


async def test_a_name_that_is_no_host_is_told():
    finding = await only(PrometheusSettings("mesh", "http://prometheus.invalid:9090", None))
    assert finding.what.startswith("it cannot be reached at http://prometheus.invalid:9090: ")


async def test_a_certificate_of_an_unknown_authority_is_told(tmp_path: Path):
    authority = Authority("store-ca")
    async with query_api(empty, authority.server_context("localhost", directory=tmp_path)) as api:
        finding = await only(settings(api))
    assert "is not trusted" in finding.what
    assert finding.advice == "set tls.caFile to the CA that signed it"


async def test_a_file_that_is_gone_is_told():
    finding = await only(PrometheusSettings("mesh", "https://127.0.0.1:1", None, tls=TlsSettings(ca_file="/no/such/file")))
    assert finding.what == 'the file "/no/such/file" of "tls" cannot be read'
    assert finding.advice == "check the files that tls names"


async def test_a_store_that_does_not_answer_is_told_in_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.prometheus.diagnosis._FIRST_ANSWER", 0.3)

    async def never(_: Asked) -> web.StreamResponse:
        await asyncio.sleep(60)
        return vector()

    async with query_api(never) as api:
        finding = await only(settings(api))
    assert finding.what == f"it does not answer within 0.3s at {api.url}"


async def test_what_was_found_by_the_deadline_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("backends.prometheus.diagnosis._DEADLINE", 0.5)

    async def slow_at_series(asked: Asked) -> web.StreamResponse:
        if "count" in asked.promql:
            await asyncio.sleep(60)
        return empty(asked)

    async with query_api(slow_at_series) as api:
        diagnosis = await diagnose(settings(api), MINUTE)
    assert diagnosis.summary.startswith(f"Prometheus 3.1.0 at {api.url}, answered in ")
    (finding,) = diagnosis.findings
    assert (finding.level, finding.check) == (Level.WARNING, "time")


@pytest.mark.parametrize(
    ("offset", "level", "what"),
    [(-20, Level.WARNING, "behind ours"), (20, Level.WARNING, "ahead of ours"), (-40, Level.PROBLEM, "behind ours"), (0, None, "")],
    ids=["behind", "ahead", "far", "equal"],
)
async def test_a_clock_that_differs_is_told(offset: int, level: Level | None, what: str):
    def dated(asked: Asked) -> web.StreamResponse:
        response = empty(asked)
        response.headers["Date"] = formatdate(time.time() + offset, usegmt=True)
        return response

    async with query_api(dated) as api:
        diagnosis = await diagnose(settings(api), MINUTE)
    clocks = [finding for finding in diagnosis.findings if finding.check == "clock"]
    assert [finding.level for finding in clocks] == ([] if level is None else [level])
    assert all(what in finding.what for finding in clocks)


@pytest.mark.parametrize(
    ("build", "headers", "product"),
    [
        ({"version": "2.53.0", "revision": "x"}, {}, "Prometheus 2.53.0"),
        ({"version": "0.35.1"}, {}, "Thanos 0.35.1"),
        ({"application": "Grafana Mimir", "version": "2.15.0"}, {}, "Grafana Mimir 2.15.0"),
        ({"version": "2.24.0"}, {"X-Server-Hostname": "vm-0"}, "VictoriaMetrics"),
        (None, {}, "a store"),
    ],
    ids=["prometheus", "thanos", "mimir", "victoria-metrics", "no endpoint"],
)
async def test_the_product_is_named_as_far_as_it_shows(build: object, headers: dict[str, str], product: str):
    def answer(asked: Asked) -> web.StreamResponse:
        if not asked.path.endswith("/buildinfo"):
            return empty(asked)
        response = text("404 page not found", 404, "text/plain") if build is None else document(status="success", data=build)
        response.headers.update(headers)
        return response

    async with query_api(answer) as api:
        diagnosis = await diagnose(settings(api), MINUTE)
    assert diagnosis.summary.startswith(f"{product} at {api.url}, answered in ")


async def test_what_the_store_warns_of_is_told_once():
    def warning(asked: Asked) -> web.StreamResponse:
        return empty(asked) if asked.path.endswith("/buildinfo") else vector(warnings=["store-1 is down"])

    async with query_api(warning) as api:
        findings = (await diagnose(settings(api), MINUTE)).findings
    assert [finding.what for finding in findings if finding.check == "store"] == ["it warns: store-1 is down"]


async def test_no_secret_is_told_and_every_request_carries_it(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "token").write_text("hunter2")
    made = Credentials("mesh", {"X-Scope-OrgID": "tenant-of-ours"}, bearer_token_file=str(tmp_path / "token"))
    async with query_api(empty) as api:
        diagnosis = await diagnose(settings(api, credentials=made, params={"key": "opensesame"}), MINUTE)
        assert {asked.headers["Authorization"] for asked in api.everything} == {"Bearer hunter2"}
        assert {asked.headers["X-Scope-OrgID"] for asked in api.everything} == {"tenant-of-ours"}
    shown = f"{diagnosis}{caplog.text}"
    assert not [secret for secret in ("hunter2", "tenant-of-ours", "opensesame") if secret in shown]
