"""TLS to the store: verified by default, with an authority of one's own, and with a certificate of ours where it is asked for."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backends.prometheus import PrometheusBackend
from backends.transport import TlsSettings
from metrics_api import Answer, BackendError, BackendRefused
from tests.backends.prometheus.queryapi import QueryApi, counted, query_api, question, settings
from tests.doubles.authority import CLIENT, Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority("store-ca")


@pytest.fixture
def directory(tmp_path: Path, authority: Authority) -> Path:
    (tmp_path / "ca.crt").write_text(authority.pem)
    (tmp_path / "other.crt").write_text(Authority("other-ca").pem)
    return tmp_path


@pytest.fixture
async def api(authority: Authority, directory: Path) -> AsyncIterator[QueryApi]:
    async with query_api(counted, authority.server_context("localhost", directory=directory)) as double:
        yield double


@pytest.fixture
async def strict(authority: Authority, directory: Path) -> AsyncIterator[QueryApi]:
    """A store that wants to see a certificate of the same authority."""
    context = authority.server_context("localhost", directory=directory)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority.pem)
    async with query_api(counted, context) as double:
        yield double


async def ask(api: QueryApi, tls: TlsSettings, **changes: object) -> Answer:
    async with PrometheusBackend(settings(api, tls=tls, **changes)) as source:
        return await source.answer(question())


async def refused(api: QueryApi, tls: TlsSettings, **changes: object) -> BackendError:
    with pytest.raises(BackendError) as caught:
        await ask(api, tls, **changes)
    assert not api.everything
    return caught.value


async def test_a_store_signed_by_our_authority_is_asked(api: QueryApi, directory: Path):
    assert (await ask(api, TlsSettings(ca_file=str(directory / "ca.crt")))).samples


@pytest.mark.parametrize("ca", ["", "other.crt"], ids=["the systems authorities", "another authority"])
async def test_a_store_signed_by_somebody_else_is_refused(api: QueryApi, directory: Path, ca: str):
    error = await refused(api, TlsSettings(ca_file=str(directory / ca) if ca else ""))
    assert type(error) is BackendRefused
    assert "is not trusted; set tls.caFile" in error.message


async def test_a_certificate_for_another_name_is_refused(api: QueryApi, directory: Path):
    error = await refused(api, TlsSettings(ca_file=str(directory / "ca.crt")), url=api.url.replace("localhost", "127.0.0.1"))
    assert type(error) is BackendRefused
    assert "127.0.0.1" in error.message


async def test_verification_can_be_switched_off(api: QueryApi):
    assert (await ask(api, TlsSettings(skip_verify=True))).samples


async def test_our_certificate_is_shown(strict: QueryApi, authority: Authority, directory: Path):
    certificate, key = authority.issue("trafficmetrics", usage=(CLIENT,)).save(directory, "client")
    tls = TlsSettings(ca_file=str(directory / "ca.crt"), cert_file=str(certificate), key_file=str(key))
    assert (await ask(strict, tls)).samples


async def test_a_missing_certificate_of_ours_is_named(strict: QueryApi, directory: Path):
    error = await refused(strict, TlsSettings(ca_file=str(directory / "ca.crt")))
    assert "check tls.certFile" in error.message


async def test_a_certificate_of_ours_that_the_store_does_not_trust_is_named(strict: QueryApi, directory: Path):
    certificate, key = Authority("other-ca").issue("trafficmetrics", usage=(CLIENT,)).save(directory, "client")
    tls = TlsSettings(ca_file=str(directory / "ca.crt"), cert_file=str(certificate), key_file=str(key))
    error = await refused(strict, tls)
    assert "check tls.certFile" in error.message


async def test_plain_http_where_tls_is_spoken_is_no_answer(api: QueryApi):
    error = await refused(api, TlsSettings(), url=api.url.replace("https", "http"))
    assert error.message.startswith('source "mesh": ')


async def test_tls_where_plain_http_is_spoken_is_named():
    async with query_api(counted) as api:
        error = await refused(api, TlsSettings(skip_verify=True), url=api.url.replace("http", "https"))
    assert type(error) is BackendRefused
    assert "TLS with https://" in error.message
