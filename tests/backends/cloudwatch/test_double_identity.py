"""Who may ask the double: signatures, permissions, and temporary credentials that end."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, CredentialRetrievalError

from tests.backends.cloudwatch.conftest import Connect
from tests.doubles.cloudwatch import Aws, Identity

HOUR = 3600
ASKS = {
    "cloudwatch": lambda client: client.list_metrics(),
    "xray": lambda client: client.get_service_graph(StartTime=0, EndTime=60),
    "application-signals": lambda client: client.list_services(StartTime=0, EndTime=HOUR),
    "sts": lambda client: client.get_caller_identity(),
}


async def refusal(connect: Connect, service: str, **signed: Any) -> tuple[str, int, str]:
    """The code, the status and the message with which a call is refused."""
    async with connect(service, **signed) as client:
        with pytest.raises(ClientError) as refused:
            await ASKS[service](client)
    error = refused.value.response["Error"]
    return error["Code"], refused.value.response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]


@pytest.mark.parametrize("service", ASKS)
async def test_a_signed_question_is_answered_and_its_caller_known(aws: Aws, connect: Connect, service: str):
    async with connect(service) as client:
        await ASKS[service](client)
    assert [(call.service, call.status, call.arn, call.error) for call in aws.calls] == [(service, 200, aws.identity.arn, "")]


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("cloudwatch", "SignatureDoesNotMatch"),
        ("sts", "SignatureDoesNotMatch"),
        ("xray", "InvalidSignatureException"),
        ("application-signals", "InvalidSignatureException"),
    ],
)
async def test_a_wrong_secret_does_not_match(aws: Aws, connect: Connect, service: str, code: str):
    wrong = Identity(aws.identity.access_key, "another-secret")
    found = await refusal(connect, service, identity=wrong)
    assert found[:2] == (code, 403)
    assert "signature we calculated does not match" in found[2]


async def test_an_unknown_key_and_a_foreign_token_are_invalid(aws: Aws, connect: Connect):
    for who in (Identity("AKIANOBODY", "x"), Identity(aws.identity.access_key, aws.identity.secret_key, "token")):
        assert (await refusal(connect, "cloudwatch", identity=who))[:2] == ("InvalidClientTokenId", 403)
        assert (await refusal(connect, "xray", identity=who))[:2] == ("UnrecognizedClientException", 403)


async def test_a_signature_for_another_region_is_refused(connect: Connect):
    code, status, message = await refusal(connect, "cloudwatch", region="us-east-1")
    assert (code, status) == ("SignatureDoesNotMatch", 403)
    assert "'us-east-1'" in message


SCOPE = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20200101/eu-west-1/monitoring/aws4_request"


def signed(aws: Aws, service: str = "monitoring", body: bytes = b"{}") -> AWSRequest:
    """A request of ListMetrics, signed for a service."""
    headers = {"X-Amz-Target": "GraniteServiceVersion20100801.ListMetrics", "Content-Type": "application/x-amz-json-1.0"}
    request = AWSRequest("POST", f"{aws.url}/", headers, body)
    SigV4Auth(Credentials(aws.identity.access_key, aws.identity.secret_key), service, aws.region).add_auth(request)
    return request


async def send(request: AWSRequest, body: bytes | None = None, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(request.url, data=request.body if body is None else body, headers=dict(request.headers) | headers) as response,
    ):
        return response.status, await response.text()


async def test_whatever_was_signed_must_arrive_unchanged(aws: Aws):
    request = signed(aws)
    assert (await send(request))[0] == 200
    changed = [
        await send(request, b'{"Namespace": "Shop"}'),
        await send(request, **{"X-Amz-Target": "GraniteServiceVersion20100801.GetMetricData"}),
        await send(request, Authorization=request.headers["Authorization"].replace("SignedHeaders=", "SignedHeaders=accept;")),
        await send(signed(aws, "xray")),
    ]
    assert [(status, "InvalidSignature" in text) for status, text in changed] == [(403, True)] * 4
    assert "correct service: 'monitoring'" in changed[3][1]


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": ""}, "Missing Authentication Token"),
        ({"Authorization": "Bearer x"}, "Missing Authentication Token"),
        ({"X-Amz-Date": "20200101T000000Z"}, "too far"),
        ({"X-Amz-Date": "today"}, "basic format"),
        ({"Authorization": f"{SCOPE}, SignedHeaders=x-amz-date, Signature={'0' * 64}"}, "must be signed headers"),
        ({"Authorization": f"{SCOPE}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"}, "does not match YYYYMMDD"),
    ],
    ids=["none", "another scheme", "an old date", "no date", "no host", "another day"],
)
async def test_what_is_no_signature_of_now_is_refused(aws: Aws, headers: dict[str, str], message: str):
    status, text = await send(signed(aws), **headers)
    assert status == 403
    assert message in text


async def test_a_signature_is_good_for_a_quarter_of_an_hour(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    for minutes, status in ((14, 200), (16, 403), (-16, 403)):
        then = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda then=then: then)
        assert (await send(signed(aws)))[0] == status


async def test_credentials_end_when_the_test_says(aws: Aws, connect: Connect):
    who = aws.issuer.issue("arn:aws:sts::111122223333:assumed-role/traffic/x")
    async with connect("cloudwatch", identity=who) as client:
        await client.list_metrics()
        who.expires = time.time()
        with pytest.raises(ClientError, match=r"\(ExpiredToken\).*token included in the request is expired"):
            await client.list_metrics()
    assert (await refusal(connect, "xray", identity=who))[0] == "ExpiredTokenException"


@pytest.mark.parametrize(
    ("service", "action", "code"),
    [
        ("cloudwatch", "cloudwatch:ListMetrics", "AccessDenied"),
        ("xray", "xray:GetServiceGraph", "AccessDeniedException"),
        ("application-signals", "application-signals:ListServices", "AccessDeniedException"),
    ],
)
async def test_a_denied_action_is_named_with_who_asked(aws: Aws, connect: Connect, service: str, action: str, code: str):
    aws.denied.add(action)
    assert await refusal(connect, service) == (
        code,
        403,
        f"User: {aws.identity.arn} is not authorized to perform: {action} because no identity-based policy allows the {action} action",
    )
    aws.recover()
    async with connect(service) as client:
        await ASKS[service](client)


async def test_cloudwatch_s_codes_are_those_of_either_protocol(aws: Aws, connect: Connect):
    aws.denied.add("cloudwatch:ListMetrics")
    aws.query_errors = False
    assert (await refusal(connect, "cloudwatch"))[0] == "AccessDeniedException"
    assert aws.calls[-1].error == "AccessDeniedException"


async def test_anyone_may_ask_who_they_are(aws: Aws, connect: Connect):
    aws.denied.add("sts:GetCallerIdentity")
    async with connect("sts") as client:
        answer = await client.get_caller_identity()
    assert (answer["Arn"], answer["Account"]) == (aws.identity.arn, "111122223333")


@pytest.fixture
def surroundings(aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The environment of a pod, and no keys."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    variables = aws.web_identity(tmp_path) if request.param == "web" else aws.pod_identity(tmp_path)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


async def listed(times: int = 1) -> None:
    """Asks with whatever credentials the environment tells of."""
    config = AioConfig(retries={"total_max_attempts": 1})
    async with AioSession().create_client("cloudwatch", config=config) as client:
        for _ in range(times):
            await client.list_metrics()


ROLES = pytest.mark.parametrize(
    ("surroundings", "operation", "arn"),
    [
        ("web", "AssumeRoleWithWebIdentity", "arn:aws:sts::111122223333:assumed-role/traffic/session"),
        ("pod", "GetCredentials", "arn:aws:sts::111122223333:assumed-role/traffic/pod"),
    ],
    indirect=["surroundings"],
    ids=["IRSA", "Pod Identity"],
)


@ROLES
@pytest.mark.usefixtures("surroundings")
async def test_a_pod_gets_credentials_once_and_signs_with_them(aws: Aws, operation: str, arn: str):
    await listed(times=3)
    assert [call.operation for call in aws.calls] == [operation] + ["ListMetrics"] * 3
    assert {call.arn for call in aws.called("ListMetrics")} == {arn}


@ROLES
@pytest.mark.usefixtures("surroundings")
async def test_a_pod_gets_new_credentials_before_they_end(aws: Aws, operation: str, arn: str):
    aws.issuer.lifetime = 60
    await listed(times=2)
    assert [call.operation for call in aws.calls][-4:] == [operation, "ListMetrics"] * 2
    assert {call.arn for call in aws.called("ListMetrics")} == {arn}
    assert abs((aws.issuer.issued[0].expires or 0) - time.time() - 60) < 5


@pytest.mark.parametrize("surroundings", ["web"], indirect=True)
@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda issuer: issuer.web_tokens.clear(), "InvalidIdentityToken"),
        (lambda issuer: issuer.expired_tokens.update(issuer.web_tokens), "ExpiredTokenException"),
        (lambda issuer: issuer.web_tokens.update(dict.fromkeys(issuer.web_tokens, "arn:aws:iam::1:role/other")), "AccessDenied"),
    ],
    ids=["an unknown token", "an old token", "another role"],
)
async def test_a_web_identity_that_is_not_accepted_gets_nothing(aws: Aws, spoil: Any, code: str):
    spoil(aws.issuer)
    with pytest.raises(ClientError, match=code):
        await listed()
    assert aws.issuer.issued == []


@pytest.mark.parametrize("surroundings", ["pod"], indirect=True)
@pytest.mark.usefixtures("surroundings")
async def test_a_pod_with_a_wrong_token_gets_nothing(aws: Aws, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.SLEEP_TIME", 0)
    aws.issuer.pod_token = "another"
    with pytest.raises(CredentialRetrievalError, match="not accepted"):
        await listed()
    assert aws.issuer.issued == []


async def test_there_is_nothing_else(aws: Aws, connect: Connect):
    async with aiohttp.ClientSession() as session, session.get(f"{aws.url}/elsewhere") as response:
        assert response.status == 404
    async with connect("cloudwatch") as client:
        with pytest.raises(ClientError, match=r"the double of AWS has no cloudwatch:DescribeAlarms"):
            await client.describe_alarms()
