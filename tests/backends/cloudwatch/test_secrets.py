"""Secrets reach AWS and nobody else: no error and no line that a server logs has one."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
from aiohttp import web

from backends.cloudwatch.session import Aws
from metrics_api import BackendError
from tests.backends.cloudwatch.opening import settings
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import Identity, run_aws

SECRET, TOKEN = "secret/key+of-ours", "session-token-of-ours"
FAULTS = ("throttle", "error", "html", "half", "drop", "garbage", "denied", "wrong-secret", "unknown-key", "expired", "down")


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """The log of a server that tells as much as it ever does: of libraries warnings and errors alone."""
    caplog.set_level(logging.WARNING)
    for name in ("backends", "metrics_api"):
        caplog.set_level(1, name)
    monkeypatch.setattr("aiobotocore.utils.AioContainerMetadataFetcher.SLEEP_TIME", 0)

    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr("aiobotocore.endpoint.AioEndpoint._sleep", at_once)
    return caplog


@pytest.fixture
async def double(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    async with run_aws() as double:
        double.identity = Identity("ASIAOFOURS", SECRET, TOKEN)
        double.identities = double.issuer.identities = {"ASIAOFOURS": double.identity}
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


def go_wrong(double: Double, fault: str) -> None:
    match fault:
        case "denied":
            double.denied.add("cloudwatch:ListMetrics")
        case "wrong-secret":
            double.identities["ASIAOFOURS"] = Identity("ASIAOFOURS", "another", TOKEN)
        case "unknown-key":
            double.identities.clear()
        case "expired":
            double.identity.expires = 1
        case _:
            double.fail("ListMetrics", fault, None)  # type: ignore[arg-type]  # the rest are faults


def has_told(error: BaseException, log: pytest.LogCaptureFixture) -> str:
    return "\n".join([str(error), repr(error), *traceback.format_exception(error), log.text])


@pytest.mark.parametrize("fault", FAULTS)
async def test_no_secret_is_in_an_error_or_in_a_log(double: Double, told: pytest.LogCaptureFixture, fault: str):
    changes = {"endpoint_url": "http://127.0.0.1:1"} if fault == "down" else {}
    async with Aws(settings(**changes)) as aws:
        if fault != "down":
            await aws.call("cloudwatch", "list_metrics")
            assert double.calls[0].arn == double.identity.arn, "AWS was told"
            go_wrong(double, fault)
        with pytest.raises(BackendError) as caught:
            await aws.call("cloudwatch", "list_metrics")
        text = has_told(caught.value, told) + repr(aws)
    assert "ListMetrics" in text
    assert not [secret for secret in (SECRET, TOKEN, "AWS4-HMAC") if secret in text]


Pod = Callable[[Double, Path], Mapping[str, str]]
both_kinds = pytest.mark.parametrize(
    "pod", [Double.web_identity, Double.pod_identity], ids=["service-account-role", "pod-identity"]
)


@pytest.fixture
def surroundings(double: Double, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pod: Pod) -> Double:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name, value in pod(double, tmp_path).items():
        monkeypatch.setenv(name, value)
    return double


def secrets_of(double: Double) -> list[str]:
    issued = [secret for identity in double.issuer.issued for secret in (identity.secret_key, identity.token)]
    return [*issued, *double.issuer.web_tokens, double.issuer.pod_token, "a-token-that-is-wrong"]


@both_kinds
@pytest.mark.parametrize("trouble", ["wrong-token", "token-of-two-lines", "drop", "html", "garbage", "throttle"])
@pytest.mark.parametrize("when", ["start", "renewal"])
async def test_no_token_of_a_pod_is_in_an_error_or_in_a_log(
    surroundings: Double, told: pytest.LogCaptureFixture, tmp_path: Path, trouble: str, when: str
):
    double = surroundings

    def spoil() -> None:
        (token,) = tmp_path.glob("*-token")
        if trouble == "wrong-token":
            token.write_text("a-token-that-is-wrong")
        elif trouble == "token-of-two-lines":
            token.write_text("a-token-that-is-wrong\r\nX-Other: yes")
        else:
            for operation in ("AssumeRoleWithWebIdentity", "GetCredentials"):
                double.fail(operation, trouble, None)  # type: ignore[arg-type]  # the rest are faults

    double.issuer.lifetime = 30
    if when == "start":
        spoil()
    async with Aws(settings()) as aws:
        if when == "renewal":
            spoil()
        with pytest.raises(BackendError) as caught:
            await aws.call("cloudwatch", "list_metrics")
        text = has_told(caught.value, told)
    assert "credentials" in text
    assert not [secret for secret in secrets_of(double) if secret in text]


class Issuer:
    """Gives credentials that soon expire, to pods of either kind; half an answer, which does not say how long it is, when it is broken."""

    def __init__(self) -> None:
        self.is_broken = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30))
        given = {"AccessKeyId": "ASIAOFOURS", "SecretAccessKey": SECRET, "Expiration": expiry}
        text, ending = json.dumps(given | {"Token": TOKEN})[:-1], "}"
        if request.method == "POST":
            inside = "".join(f"<{name}>{value}</{name}>" for name, value in (given | {"SessionToken": TOKEN}).items())
            text = f"<R><AssumeRoleWithWebIdentityResult><Credentials>{inside}"
            ending = "</Credentials></AssumeRoleWithWebIdentityResult></R>"
        return web.Response(text=text if self.is_broken else text + ending)


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", issuer.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield issuer
    await runner.cleanup()


@both_kinds
@pytest.mark.parametrize("when", ["start", "renewal"])
@pytest.mark.usefixtures("surroundings")
async def test_half_an_answer_with_credentials_is_not_told(
    issuer: Issuer, told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, when: str
):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", issuer.url)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{issuer.url}/")
    issuer.is_broken = when == "start"

    async def ask() -> None:
        async with Aws(settings()) as aws:
            await aws.call("cloudwatch", "list_metrics")
            issuer.is_broken = True
            await aws.call("cloudwatch", "list_metrics")

    with pytest.raises(BackendError) as caught:
        await ask()
    text = has_told(caught.value, told)
    assert "the AWS credentials cannot be retrieved" in text
    assert not [secret for secret in (SECRET, TOKEN) if secret in text]
