"""Credentials come from where the SDK looks for them, are renewed in time, and when there are none it is said what to do.

Where nobody is configured who gives any, the source does not start. Who is configured and does not answer now is asked again later.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest

from backends.cloudwatch.credentials import PAUSE
from backends.cloudwatch.session import Aws
from metrics_api import BackendError, BackendRefused, BackendTimeout, BackendUnavailable, BadConfiguration
from tests.backends.cloudwatch.opening import settings
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import run_aws

DEAD = "http://127.0.0.1:1"
FIX = (
    "give the pod a role (EKS Pod Identity, or an IAM role for its service account), or set profile, "
    "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)

Pod = Callable[[Double, Path], Mapping[str, str]]
IRSA: Pod = Double.web_identity
POD_IDENTITY: Pod = Double.pod_identity
both_kinds = pytest.mark.parametrize("pod", [IRSA, POD_IDENTITY], ids=["service-account-role", "pod-identity"])


@pytest.fixture
async def aws(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Double]:
    """An AWS of which the environment knows the address and the region, but which it has no credentials for."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    # What cannot give credentials is asked again, but at once.
    monkeypatch.setattr("aiobotocore.utils.AioContainerMetadataFetcher.SLEEP_TIME", 0)

    async def at_once(*_: object) -> None:
        return None

    monkeypatch.setattr("aiobotocore.endpoint.AioEndpoint._sleep", at_once)
    async with run_aws() as double:
        for name, value in double.surroundings.items():
            monkeypatch.setenv(name, value)
        yield double


@pytest.fixture
def dress(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    """Gives the environment variables."""

    def give(variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


Dress = Callable[[Mapping[str, str]], None]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def listed(aws: Aws) -> None:
    await aws.call("cloudwatch", "list_metrics")


def callers(double: Double) -> list[str]:
    return [call.arn for call in double.called("ListMetrics")]


async def unable_to_start(**changes: object) -> str:
    with pytest.raises(BadConfiguration) as caught:
        async with Aws(settings(**changes)):
            pass
    (problem,) = caught.value.problems
    assert problem.startswith('source "aws": ')
    return problem


@pytest.mark.parametrize(
    ("pod", "caller"),
    [
        (IRSA, "arn:aws:sts::111122223333:assumed-role/traffic/session"),
        (POD_IDENTITY, "arn:aws:sts::111122223333:assumed-role/traffic/pod"),
        (lambda double, _: double.environment(), "arn:aws:iam::111122223333:user/reader"),
        (
            lambda double, folder: double.pod_identity(folder) | double.web_identity(folder),
            "arn:aws:sts::111122223333:assumed-role/traffic/session",
        ),
    ],
    ids=["service-account-role", "pod-identity", "keys", "both-kinds-of-role"],
)
async def test_who_we_are_is_what_the_environment_says(aws: Double, dress: Dress, tmp_path: Path, pod: Pod, caller: str):
    dress(pod(aws, tmp_path))
    async with Aws(settings()) as session:
        await listed(session)
        await listed(session)
    assert callers(aws) == [caller, caller]
    assert len(aws.issuer.issued) == (0 if caller.endswith("reader") else 1)


@pytest.mark.parametrize("configured", [True, False], ids=["configuration", "AWS_PROFILE"])
async def test_a_profile_is_used_before_the_keys_of_the_environment(
    aws: Double,
    dress: Dress,
    tmp_path: Path,
    configured: bool,  # noqa: FBT001
):
    keys = aws.environment()
    (tmp_path / "credentials").write_text(
        f"[traffic]\naws_access_key_id = {keys['AWS_ACCESS_KEY_ID']}\naws_secret_access_key = {keys['AWS_SECRET_ACCESS_KEY']}\n"
    )
    dress({"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")})
    dress({"AWS_ACCESS_KEY_ID": "somebody", "AWS_SECRET_ACCESS_KEY": "else"} if configured else {"AWS_PROFILE": "traffic"})
    async with Aws(settings(profile="traffic" if configured else "")) as session:
        await listed(session)
    assert callers(aws) == [aws.identity.arn]


async def test_the_endpoint_of_the_configuration_is_not_asked_for_credentials(aws: Double, dress: Dress, tmp_path: Path):
    dress(aws.web_identity(tmp_path) | {"AWS_ENDPOINT_URL": DEAD, "AWS_ENDPOINT_URL_STS": aws.url})
    async with run_aws() as proxy, Aws(settings(endpoint_url=proxy.url)) as session:
        proxy.identities.update(aws.identities)
        await listed(session)
        assert [call.operation for call in aws.calls] == ["AssumeRoleWithWebIdentity"]
        assert [call.operation for call in proxy.calls] == ["ListMetrics"]


@both_kinds
async def test_credentials_are_renewed_before_they_expire(aws: Double, dress: Dress, tmp_path: Path, pod: Pod):
    dress(pod(aws, tmp_path))
    aws.issuer.lifetime = 30
    async with Aws(settings()) as session:
        await listed(session)
        for identity in aws.issuer.issued:
            identity.expires = time.time() - 1
        aws.issuer.lifetime = 3600
        issued = len(aws.issuer.issued)
        for _ in range(3):
            await listed(session)
    assert [call.error for call in aws.called("ListMetrics")] == ["", "", "", ""]
    assert len(aws.issuer.issued) == issued + 1


@both_kinds
async def test_many_calls_renew_credentials_once(aws: Double, dress: Dress, tmp_path: Path, pod: Pod):
    dress(pod(aws, tmp_path))
    aws.issuer.lifetime = 30
    async with Aws(settings(concurrency=10)) as session:
        aws.issuer.lifetime, issued = 3600, len(aws.issuer.issued)
        await asyncio.gather(*(listed(session) for _ in range(10)))
    assert len(aws.issuer.issued) == issued + 1


async def test_the_token_of_a_pod_is_read_again_each_time(aws: Double, dress: Dress, tmp_path: Path):
    dress(aws.pod_identity(tmp_path))
    aws.issuer.lifetime = 30
    async with Aws(settings()) as session:
        aws.issuer.pod_token = "rotated"
        (tmp_path / "pod-identity-token").write_text("rotated")
        await listed(session)
    assert len(callers(aws)) == 1


async def test_a_role_that_is_taken_away_is_an_error_until_it_is_given_back(aws: Double, dress: Dress, tmp_path: Path):
    dress(aws.web_identity(tmp_path))
    aws.issuer.lifetime = 30
    clock = Clock()
    async with Aws(settings(), clock=clock) as session:
        tokens, aws.issuer.web_tokens = aws.issuer.web_tokens, dict.fromkeys(aws.issuer.web_tokens, "another role")
        with pytest.raises(BackendRefused) as caught:
            await listed(session)
        assert caught.value.message == (
            'source "aws": AWS gives no credentials: it refused AssumeRoleWithWebIdentity (AccessDenied); '
            "check the trust policy of the role"
        )
        aws.issuer.web_tokens = tokens
        clock.now += PAUSE
        await listed(session)


def _no_token(folder: Path, _: Double) -> None:
    for token in folder.glob("*-token"):
        token.unlink()


def _no_answer(_: Path, double: Double) -> None:
    double.fail("AssumeRoleWithWebIdentity", "drop", 9)
    double.fail("GetCredentials", "drop", 9)


def _throttled(_: Path, double: Double) -> None:
    double.throttle("AssumeRoleWithWebIdentity", 9)
    double.throttle("GetCredentials", 9)


def _expired_already(_: Path, double: Double) -> None:
    double.issuer.lifetime = -60


@both_kinds
@pytest.mark.parametrize("when", ["start", "renewal"])
@pytest.mark.parametrize("trouble", [_no_token, _no_answer, _throttled, _expired_already])
async def test_credentials_that_cannot_be_had_now_are_an_error_that_may_pass(
    aws: Double,
    dress: Dress,
    tmp_path: Path,
    pod: Pod,
    trouble: Callable[[Path, Double], None],
    when: str,
):
    dress(pod(aws, tmp_path))
    aws.issuer.lifetime = 30
    clock = Clock()
    if when == "start":
        trouble(tmp_path, aws)
    async with Aws(settings(), clock=clock) as session:
        if when == "renewal":
            trouble(tmp_path, aws)
        with pytest.raises(BackendError) as caught:
            await listed(session)
        assert type(caught.value) is BackendUnavailable
        assert "the AWS credentials" in caught.value.message or "AWS gives no credentials" in caught.value.message
        aws.recover()
        aws.issuer.lifetime = 3600
        dress(pod(aws, tmp_path))
        clock.now += PAUSE
        await listed(session)


async def test_credentials_that_do_not_come_are_part_of_the_time_of_a_call(aws: Double, dress: Dress, tmp_path: Path):
    dress(aws.pod_identity(tmp_path))
    aws.issuer.lifetime = 30
    async with Aws(settings(timeout=1)) as session:
        aws.fail("GetCredentials", "hang", None)
        with pytest.raises(BackendError, match="within 1s"):
            await listed(session)


@pytest.mark.usefixtures("aws")
async def test_without_credentials_it_does_not_start_and_says_what_to_do():
    assert await unable_to_start() == f'source "aws": there are no AWS credentials; {FIX}'


@pytest.mark.parametrize("configured", [True, False], ids=["configuration", "AWS_PROFILE"])
@pytest.mark.usefixtures("aws")
async def test_a_profile_that_does_not_exist_is_named(dress: Dress, configured: bool):  # noqa: FBT001
    if not configured:
        dress({"AWS_PROFILE": "nobody"})
    problem = await unable_to_start(profile="nobody" if configured else "")
    assert problem == f'source "aws": the files of AWS have no profile "nobody"; {FIX}'


@pytest.mark.parametrize(
    ("pod", "variables", "words"),
    [
        (None, {"AWS_ACCESS_KEY_ID": "AKIA"}, "half of the AWS credentials is missing (AWS_SECRET_ACCESS_KEY)"),
        (None, {"AWS_CONFIG_FILE": "{folder}/broken"}, '"{folder}/broken" is not a file of AWS profiles'),
        (IRSA, {"AWS_ROLE_ARN": ""}, "the AWS configuration is wrong: "),
    ],
    ids=["no-secret-key", "config-file", "no-role"],
)
async def test_what_is_written_wrong_is_named_at_the_start(
    aws: Double, dress: Dress, tmp_path: Path, pod: Pod | None, variables: Mapping[str, str], words: str
):
    (tmp_path / "broken").write_text("not-to-be-told")
    dress(pod(aws, tmp_path) if pod is not None else {})
    dress({name: value.format(folder=tmp_path) for name, value in variables.items()})
    problem = await unable_to_start()
    assert words.format(folder=tmp_path) in problem
    assert problem.endswith(f"; {FIX}")
    assert "not-to-be-told" not in problem


AGENT = "from container-role; does the agent that gives them"
MOUNTED = "cannot be read; is the token of the service account mounted there?"


@pytest.mark.parametrize(
    ("pod", "variables", "words"),
    [
        (IRSA, {"AWS_WEB_IDENTITY_TOKEN_FILE": "{folder}/none"}, f'cannot be retrieved, because "{{folder}}/none" {MOUNTED}'),
        (IRSA, {"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/x"}, "(AccessDenied); check the trust policy of the role"),
        (IRSA, {"AWS_WEB_IDENTITY_TOKEN_FILE": "{folder}/broken"}, "it refused AssumeRoleWithWebIdentity (InvalidIdentityToken)"),
        (
            IRSA,
            {"AWS_ENDPOINT_URL_STS": DEAD},
            f"cannot be retrieved from {DEAD}/ (EndpointConnectionError); may we connect to who",
        ),
        (POD_IDENTITY, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{DEAD}/"}, AGENT),
        (POD_IDENTITY, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/"}, "cannot be retrieved (ValueError)"),
        (POD_IDENTITY, {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{folder}/none"}, f'because "{{folder}}/none" {MOUNTED}'),
        (POD_IDENTITY, {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "{folder}/broken"}, AGENT),
    ],
    ids=[
        "no-web-token-file",
        "not-trusted",
        "not-a-token",
        "no-sts",
        "no-agent",
        "not-an-agent",
        "no-pod-token-file",
        "not-the-token",
    ],
)
async def test_credentials_that_cannot_be_had_at_the_start_do_not_keep_it_from_starting(
    aws: Double,
    dress: Dress,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    pod: Pod,
    variables: Mapping[str, str],
    words: str,
):
    (tmp_path / "broken").write_text("not-to-be-told")
    dress(pod(aws, tmp_path))
    dress({name: value.format(folder=tmp_path) for name, value in variables.items()})
    async with Aws(settings()) as session:
        (warning,) = [text for name, _, text in caplog.record_tuples if name == "backends.cloudwatch.credentials"]
        assert words.format(folder=tmp_path) in warning
        with pytest.raises(BackendError) as caught:
            await listed(session)
        assert words.format(folder=tmp_path) in caught.value.message
        assert FIX not in caught.value.message
        assert not session.signed_in
    assert "not-to-be-told" not in caplog.text + caught.value.message


@both_kinds
async def test_credentials_that_do_not_come_in_time_do_not_keep_it_from_starting(
    aws: Double, dress: Dress, tmp_path: Path, pod: Pod
):
    dress(pod(aws, tmp_path))
    for operation in ("GetCredentials", "AssumeRoleWithWebIdentity"):
        aws.fail(operation, "hang", None)
    clock = Clock()
    async with Aws(settings(timeout=1), clock=clock) as session:
        for _ in range(2):
            with pytest.raises(
                BackendTimeout, match="the AWS credentials did not come within 1s; may we connect to who gives them"
            ):
                await listed(session)
            clock.now += PAUSE
        aws.recover()
        await listed(session)


@both_kinds
async def test_who_has_just_given_no_credentials_is_not_asked_for_each_call(aws: Double, dress: Dress, tmp_path: Path, pod: Pod):
    dress(pod(aws, tmp_path))
    aws.fail("GetCredentials", "garbage", None)
    aws.fail("AssumeRoleWithWebIdentity", "garbage", None)
    clock = Clock()

    def asked() -> int:
        return len(aws.called("GetCredentials")) + len(aws.called("AssumeRoleWithWebIdentity"))

    async with Aws(settings(concurrency=10), clock=clock) as session:
        first = asked()
        assert first
        for _ in range(5):
            with pytest.raises(BackendUnavailable):
                await listed(session)
        assert asked() == first
        clock.now += PAUSE
        outcomes = await asyncio.gather(*(listed(session) for _ in range(10)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {BackendUnavailable}
        # One has asked for all of them.
        assert asked() == 2 * first
        aws.recover()
        clock.now += PAUSE
        await asyncio.gather(*(listed(session) for _ in range(10)))
        assert len(aws.issuer.issued) == 1
