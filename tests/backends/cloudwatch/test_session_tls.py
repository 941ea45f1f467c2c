"""TLS to AWS, or to what stands before it: verified, with an authority of one's own, and with a certificate of ours where it is wanted."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.cloudwatch.session import Aws
from backends.transport import TlsSettings
from metrics_api import BackendError, BackendRefused
from tests.backends.cloudwatch.opening import settings
from tests.doubles.authority import CLIENT, Authority
from tests.doubles.cloudwatch import Aws as Double
from tests.doubles.cloudwatch import run_aws


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("proxy-ca")


@pytest.fixture
def folder(tmp_path: Path, authority: Authority) -> Path:
    (tmp_path / "ca.crt").write_text(authority.pem)
    (tmp_path / "other.crt").write_text(Authority("other-ca").pem)
    return tmp_path


@pytest.fixture
async def aws(
    authority: Authority, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[Double]:
    """Behind TLS; it asks for a certificate of the same authority when the test says so."""
    context = authority.server_context("localhost", "127.0.0.1", directory=folder)
    if getattr(request, "param", False):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.pem)
    async with run_aws(context=context) as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


async def ask(tls: TlsSettings) -> None:
    async with Aws(settings(tls=tls), attempts=1) as session:
        await session.call("cloudwatch", "list_metrics")


async def test_what_our_authority_has_signed_is_asked(aws: Double, folder: Path):
    await ask(TlsSettings(ca_file=str(folder / "ca.crt")))
    assert len(aws.calls) == 1


@pytest.mark.parametrize("other", [True, False], ids=["other-authority", "system"])
async def test_what_is_not_trusted_is_not_asked(aws: Double, folder: Path, other: bool):  # noqa: FBT001
    with pytest.raises(BackendRefused, match=r"the certificate of https://127.0.0.1:\d+.* is not trusted; set tls.caFile"):
        await ask(TlsSettings(ca_file=str(folder / "other.crt") if other else ""))
    assert aws.calls == []


async def test_verification_is_off_only_when_it_was_switched_off(aws: Double):
    await ask(TlsSettings(skip_verify=True))
    assert len(aws.calls) == 1


async def test_the_bundle_of_the_environment_is_trusted(aws: Double, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(folder / "ca.crt"))
    await ask(TlsSettings())
    assert len(aws.calls) == 1


@pytest.mark.parametrize("aws", [True], indirect=True, ids=["strict"])
async def test_a_certificate_of_ours_is_shown_where_it_is_asked_for(aws: Double, authority: Authority, folder: Path):
    trusted = str(folder / "ca.crt")
    certificate, key = authority.issue("trafficmetrics", usage=(CLIENT,)).save(folder, "client")
    await ask(TlsSettings(ca_file=trusted, cert_file=str(certificate), key_file=str(key)))
    assert len(aws.calls) == 1
    with pytest.raises(BackendError, match=r"check (endpointUrl, )?tls.certFile"):
        await ask(TlsSettings(ca_file=trusted))
    assert len(aws.calls) == 1


async def test_plain_http_where_tls_is_spoken_is_no_answer(aws: Double, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url.replace("https", "http"))
    with pytest.raises(BackendError):
        await ask(TlsSettings())


async def test_tls_where_plain_http_is_spoken_is_named(monkeypatch: pytest.MonkeyPatch):
    async with run_aws() as plain:
        for name, value in plain.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", plain.url.replace("http", "https"))
        with pytest.raises(BackendRefused, match=r"TLS with https.* failed; check endpointUrl"):
            await ask(TlsSettings())
