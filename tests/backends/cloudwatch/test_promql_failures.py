"""What goes wrong between a source and CloudWatch's PromQL endpoint, and what the reader of the error is told to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from backends.cloudwatch.settings import CloudWatchSettings
from backends.cloudwatch.signing import CloudWatchSigner, endpoint
from metrics_api import (
    BackendError,
    BackendRefused,
    BackendTimeout,
    BackendUnavailable,
    BadConfiguration,
    TrafficQuery,
    Window,
)
from tests.backends.cloudwatch.promql import settle, source_of
from tests.doubles.cloudwatch import Aws, Identity
from tests.doubles.cloudwatch_promql import Asked, PromqlEndpoint, aws_error, prometheus_error, run_promql

QUERY = TrafficQuery(("Deployment",), Window(60), 1_700_000_000)
INTERVAL = "scrapeInterval: 1m"


def nothing(_: Asked) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": "vector", "result": []}})


@pytest.fixture
async def door(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PromqlEndpoint]:
    """An endpoint that knows of no series."""
    async with run_promql() as double:
        double.answer = nothing
        settle(monkeypatch, double)
        yield double


async def answer(door: PromqlEndpoint, more: str = INTERVAL) -> None:
    async with source_of(door.url, more) as source:
        await source.answer(QUERY)


async def test_every_query_is_signed_and_asks_with_the_parameters_there_are(door: PromqlEndpoint):
    await answer(door)
    assert len(door.asked) == 3
    assert door.refused == []
    assert {(asked.method, asked.path) for asked in door.asked} == {("POST", "/api/v1/query")}
    assert all(asked.form.keys() == {"query", "time"} for asked in door.asked)


async def test_a_session_token_is_sent_and_signed(door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch):
    door.identity = Identity("ASIATEMPORARY", "temporary/secret", "token+of/a=session")
    settle(monkeypatch, door)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token+of/a=session")
    await answer(door)
    assert {asked.token for asked in door.asked} == {"token+of/a=session"}


async def test_what_is_no_letter_is_signed_as_it_is_sent(door: PromqlEndpoint):
    """In the form of a query, and in the URL of what is asked beside queries."""
    more = f"{INTERVAL}\nparams: {{note: 'a b+c/ü&=?'}}\noverrides: {{match: 'http.route!=\"/ü {{x}}\"'}}".replace(
        "http.route", '"http.route"'
    )
    await answer(door, more)
    await source_of(door.url, more).diagnose(Window(60))
    assert door.refused == []
    assert {asked.method for asked in door.asked} == {"GET", "POST"}
    assert {asked.form["note"] for asked in door.asked} == {"a b+c/ü&=?"}
    assert any('"http.route"!="/ü {x}"' in asked.form.get("query", "") for asked in door.asked)


async def refused(door: PromqlEndpoint, kind: type[BackendError] = BackendRefused) -> BackendError:
    with pytest.raises(kind) as caught:
        await answer(door)
    return caught.value


async def test_a_wrong_secret_is_told_as_one_and_not_shown(door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another/secret")
    message = (await refused(door)).message
    assert "does not accept the signature" in message
    assert "clock" in message
    assert "another/secret" not in message
    assert set(door.refused) == {"InvalidSignatureException"}


async def test_an_unknown_key_is_told_as_one(door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODY")
    assert "does not know the credentials" in (await refused(door)).message


async def test_another_region_is_another_signature(door: PromqlEndpoint):
    with pytest.raises(BackendRefused, match="check the secret access key, the region"):
        await answer(door, f"{INTERVAL}\nregion: us-east-1")


async def test_expired_credentials_are_told_as_such(door: PromqlEndpoint):
    door.identity.expires = 1.0
    assert "have expired" in (await refused(door)).message


async def test_what_is_not_allowed_names_both_actions_and_no_file_of_tokens(door: PromqlEndpoint):
    door.denied = True
    message = (await refused(door)).message
    assert "cloudwatch:GetMetricData and cloudwatch:ListMetrics" in message
    assert "IAM policy" in message
    assert "bearerTokenFile" not in message


@pytest.mark.parametrize("code", ["", "ThrottlingException"])
async def test_too_many_queries_at_once_are_to_be_asked_again_later(door: PromqlEndpoint, code: str):
    door.answer = lambda _: aws_error(429, code, "Rate exceeded") if code else web.Response(status=429)
    error = await refused(door, BackendUnavailable)
    assert "too many requests" in error.message
    assert error.retry_after > 1


async def test_what_is_more_than_cloudwatch_looks_at_is_to_be_asked_of_less(door: PromqlEndpoint):
    door.answer = lambda _: prometheus_error(422, "execution", "query scans more than 100000 series: secret")
    message = (await refused(door)).message
    assert "fewer namespaces or a shorter time" in message
    assert "secret" not in message


async def test_a_query_that_is_no_query_is_the_logs_matter(door: PromqlEndpoint):
    door.answer = lambda _: prometheus_error(400, "bad_data", "parse error")
    assert "rejected a query (bad_data)" in (await refused(door)).message


@pytest.mark.parametrize("status", [500, 503])
async def test_a_failure_of_cloudwatch_may_pass(door: PromqlEndpoint, status: int):
    door.answer = lambda _: aws_error(status, "InternalFailure", "")
    assert "AWS failed" in (await refused(door, BackendUnavailable)).message


async def test_a_redirect_is_not_followed_because_another_host_must_not_see_a_signature(door: PromqlEndpoint):
    async with run_promql() as other:
        other.answer = nothing
        door.answer = lambda asked: web.Response(status=307, headers={"Location": f"{other.url}{asked.path}"})
        assert "redirects" in (await refused(door)).message
    assert (other.asked, other.refused) == ([], [])


async def test_only_the_endpoint_is_signed_for(door: PromqlEndpoint):
    signer = CloudWatchSigner(CloudWatchSettings("otlp", "promql", endpoint_url=door.url))
    with pytest.raises(BackendUnavailable, match="is closed"):
        await signer.sign("GET", f"{door.url}/api/v1/query", {}, b"")
    await signer.open()
    assert "Authorization" in await signer.sign("GET", f"{door.url}/api/v1/query", {}, b"")
    for url in ("http://127.0.0.1:1/api/v1/query", f"{door.url}.example.com/api/v1/query"):
        with pytest.raises(BackendRefused, match="must not see a signature"):
            await signer.sign("GET", url, {}, b"")


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://monitoring.eu-west-1.amazonaws.com"),
        ("us-gov-east-1", "https://monitoring.us-gov-east-1.amazonaws.com"),
        ("cn-north-1", "https://monitoring.cn-north-1.amazonaws.com.cn"),
        ("eusc-de-east-1", "https://monitoring.eusc-de-east-1.amazonaws.eu"),
        ("us-iso-east-1", "https://monitoring.us-iso-east-1.c2s.ic.gov"),
    ],
)
async def test_without_an_endpoint_it_is_that_of_the_region(
    door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch, region: str, url: str
):
    settle(monkeypatch, replace(door, region=region))
    assert await CloudWatchSigner(CloudWatchSettings("otlp", "promql")).open() == url == endpoint(region)


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_CLOUDWATCH", "AWS_ENDPOINT_URL"])
async def test_the_endpoint_of_the_sdk_is_that_of_queries_unless_there_is_one_of_the_source(
    door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch, name: str
):
    monkeypatch.setenv(name, f"{door.url}/")
    assert await CloudWatchSigner(CloudWatchSettings("otlp", "promql")).open() == door.url
    assert (
        await CloudWatchSigner(CloudWatchSettings("otlp", "promql", endpoint_url="http://127.0.0.1:1")).open()
        == "http://127.0.0.1:1"
    )


@pytest.mark.parametrize(
    ("missing", "fix"),
    [
        (["AWS_DEFAULT_REGION"], "set region"),
        (["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"], "give the pod a role"),
    ],
    ids=["region", "credentials"],
)
async def test_what_is_missing_is_told_with_the_fix_before_anything_is_asked(
    door: PromqlEndpoint, monkeypatch: pytest.MonkeyPatch, missing: list[str], fix: str
):
    for name in missing:
        monkeypatch.delenv(name)
    with pytest.raises(BadConfiguration, match=fix):
        await source_of(door.url).__aenter__()
    diagnosis = await source_of(door.url).diagnose(Window(60))
    (finding,) = diagnosis.findings
    assert finding.check == "configuration"
    assert fix in finding.advice
    assert (door.asked, door.refused) == ([], [])


@pytest.mark.usefixtures("door")
async def test_an_endpoint_that_is_not_there_is_named():
    async with source_of("http://127.0.0.1:1") as source:
        with pytest.raises(BackendUnavailable, match=r"cannot be reached at http://127\.0\.0\.1:1"):
            await source.answer(QUERY)


async def test_an_endpoint_that_hangs_is_given_up_in_time(door: PromqlEndpoint):
    door.hold = True
    with pytest.raises(BackendTimeout, match="within 1s"):
        await answer(door, f"{INTERVAL}\ntimeout: 1s")


async def test_where_nothing_was_sent_the_doctor_asks_for_it_to_be_sent(door: PromqlEndpoint):
    (finding,) = (await source_of(door.url).diagnose(Window(60))).findings
    assert finding.what == "it keeps no series of cloudwatch-otel"
    assert finding.advice == "are metrics such as http.server.request.duration sent to it by OTLP, in this region and account?"


@pytest.mark.usefixtures("door")
async def test_an_endpoint_that_is_not_there_is_looked_for_by_what_is_configured():
    (finding,) = (await source_of("http://127.0.0.1:1").diagnose(Window(60))).findings
    assert (finding.what, finding.advice) == (
        "it cannot be reached at http://127.0.0.1:1: Connection refused",
        "check region, endpointUrl and the network",
    )


async def test_what_is_not_allowed_is_a_sentence_of_the_doctor(door: PromqlEndpoint):
    door.denied = True
    (finding,) = (await source_of(door.url).diagnose(Window(60))).findings
    assert finding.what == "AWS does not allow cloudwatch:GetMetricData and cloudwatch:ListMetrics"


async def test_whoever_asks_too_much_is_not_told_that_aws_may_be_down(door: PromqlEndpoint):
    door.answer = lambda _: aws_error(429, "ThrottlingException", "Rate exceeded")
    (finding,) = (await source_of(door.url).diagnose(Window(60))).findings
    assert finding.what.startswith("AWS says there are too many requests")
    assert finding.advice == ""


@pytest.fixture
def renewing(door: PromqlEndpoint, aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> PromqlEndpoint:
    """An endpoint for Pod Identity, which gives credentials for five minutes: they are always about to expire for the SDK."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in aws.pod_identity(tmp_path).items():
        monkeypatch.setenv(name, value)
    aws.issuer.lifetime = 300.0
    door.identities = aws.identities
    return door


async def test_credentials_are_renewed_between_queries(renewing: PromqlEndpoint, aws: Aws):
    async with source_of(renewing.url, INTERVAL) as source:
        await source.answer(QUERY)
        await source.answer(QUERY)
    assert renewing.refused == []
    assert len({asked.token for asked in renewing.asked}) > 1
    assert {asked.token for asked in renewing.asked} <= {identity.token for identity in aws.issuer.issued}


async def test_credentials_that_cannot_be_renewed_are_told_as_such(
    renewing: PromqlEndpoint, aws: Aws, monkeypatch: pytest.MonkeyPatch
):
    async with source_of(renewing.url, INTERVAL) as source:
        await source.answer(QUERY)
        aws.issuer.pod_token = "another-token"
        monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
        with pytest.raises(BackendError, match="credentials"):
            await source.answer(QUERY)


def twins(asked: Asked) -> web.Response:
    """Two zones export the same series in turns, each time more than the time before: of running totals that is one counter kept twice."""
    promql, series = asked.form.get("query", ""), []
    ranged, busiest = promql.endswith("s]"), "topk" in promql
    for zone, late in (("a", 0), ("b", 30)):
        labels = {"@resource.k8s.namespace.name": "shop", "@resource.k8s.deployment.name": "web", "zone": zone}
        if ranged and ("zone=" not in promql or f'zone="{zone}"' in promql):
            times = [QUERY.instant - 600 + late + 60 * minute for minute in range(10)]
            kept = [[time, {"count": str(time - QUERY.instant + 700), "sum": "1", "buckets": []}] for time in times]
            series.append({"metric": labels, "histograms": kept})
        elif busiest:
            series.append({"metric": {**labels, "trafficmetrics_asked": "0"}, "value": [QUERY.instant, "9"]})
    if not ranged and not busiest:
        marks = ("0.0", "0.1", *map(str, range(8)))
        asked_for = [mark for mark in marks if f'"trafficmetrics_asked", "{mark}"' in promql]
        series = [{"metric": {"trafficmetrics_asked": mark}, "value": [QUERY.instant, "2"]} for mark in asked_for]
    shape = "matrix" if ranged else "vector"
    return web.json_response({"status": "success", "data": {"resultType": shape, "result": series}})


@pytest.mark.parametrize(("temporality", "copies"), [("delta", False), ("cumulative", True)])
async def test_deltas_that_grow_are_not_taken_for_a_counter_that_is_kept_twice(
    door: PromqlEndpoint, *, temporality: str, copies: bool
):
    door.answer = twins
    diagnosis = await source_of(door.url, f"overrides: {{temporality: {temporality}}}").diagnose(Window(120))
    assert diagnosis.facts["intervalSeconds"] == 60
    assert ("replicas" in {finding.check for finding in diagnosis.findings}) is copies
