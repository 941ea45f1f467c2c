"""A certificate of our own: good for verified TLS, kept while it lasts, readable by nobody else."""

from __future__ import annotations

import datetime as dt
import os
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from apiservice.certificates import ServingPair, ensure_serving_pair, service_names
from apiservice.serving import ServingTLS
from metrics_api.errors import BadConfiguration
from tests.doubles.authority import Authority
from tests.doubles.clock import ManualClock

NOW = dt.datetime.now(dt.UTC)
NAMES = service_names("trafficmetrics", "monitoring")


@pytest.fixture
def pair(tmp_path: Path) -> ServingPair:
    return ensure_serving_pair(tmp_path / "certs", NAMES, NOW)


def leaf(pair: ServingPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes())


def contents(pair: ServingPair) -> list[bytes]:
    return [file.read_bytes() for file in (pair.certificate, pair.key, pair.authority)]


def test_the_names_are_those_the_aggregator_and_the_machine_use() -> None:
    assert NAMES == (
        "trafficmetrics",
        "trafficmetrics.monitoring",
        "trafficmetrics.monitoring.svc",
        "trafficmetrics.monitoring.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    )


async def test_clients_that_trust_the_authority_reach_the_server_by_every_name(pair: ServingPair) -> None:
    tls = ServingTLS(lambda: (pair.certificate, pair.key), str, ManualClock())
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.context).start()
        url = f"https://127.0.0.1:{runner.addresses[0][1]}/"
        strict = ssl.create_default_context(cafile=str(pair.authority))
        strict.verify_flags |= ssl.VERIFY_X509_STRICT
        async with aiohttp.ClientSession() as session:
            for name in NAMES:
                async with session.get(url, ssl=strict, server_hostname=name) as answer:
                    assert answer.status == 404
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(url, ssl=strict, server_hostname="other.monitoring.svc")
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get(url, ssl=ssl.create_default_context())
    finally:
        await runner.cleanup()


def test_keys_are_elliptic_and_files_are_private(pair: ServingPair, tmp_path: Path) -> None:
    assert isinstance(leaf(pair).public_key(), ec.EllipticCurvePublicKey)
    files = sorted((tmp_path / "certs").iterdir())
    assert [file.name for file in files] == ["apiserver.crt", "apiserver.key", "ca.crt", "ca.key"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert (tmp_path / "certs").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("later", [dt.timedelta(0), dt.timedelta(days=334)])
def test_a_pair_is_kept_while_it_lasts(pair: ServingPair, tmp_path: Path, later: dt.timedelta) -> None:
    before = contents(pair)
    assert contents(ensure_serving_pair(tmp_path / "certs", NAMES[:3], NOW + later)) == before


def test_a_leaf_is_renewed_in_time_and_the_authority_stays(pair: ServingPair, tmp_path: Path) -> None:
    authority, before = pair.authority.read_bytes(), leaf(pair)
    later = NOW + dt.timedelta(days=340)
    after = leaf(ensure_serving_pair(tmp_path / "certs", NAMES, later))
    assert after.serial_number != before.serial_number
    assert after.not_valid_after_utc > later + dt.timedelta(days=300)
    assert pair.authority.read_bytes() == authority
    after.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))


def test_another_name_makes_another_leaf(pair: ServingPair, tmp_path: Path) -> None:
    authority = pair.authority.read_bytes()
    renewed = leaf(ensure_serving_pair(tmp_path / "certs", service_names("other", "shop"), NOW))
    names = renewed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "other.shop.svc" in names.get_values_for_type(x509.DNSName)
    assert pair.authority.read_bytes() == authority


def test_an_authority_at_its_end_is_replaced_with_its_leaf(pair: ServingPair, tmp_path: Path) -> None:
    before = contents(pair)
    later = NOW + dt.timedelta(days=3640)
    after = ensure_serving_pair(tmp_path / "certs", NAMES, later)
    assert not set(contents(after)) & set(before)
    assert leaf(after).not_valid_after_utc > later
    leaf(after).verify_directly_issued_by(x509.load_pem_x509_certificate(after.authority.read_bytes()))


@pytest.mark.parametrize("file", ["apiserver.crt", "apiserver.key", "ca.crt", "ca.key"])
@pytest.mark.parametrize("damage", ["gone", "empty", "garbage", "foreign"])
def test_a_damaged_file_is_replaced(pair: ServingPair, tmp_path: Path, file: str, damage: str) -> None:
    damaged = tmp_path / "certs" / file
    foreign = Authority("foreign").issue("foreign")
    match damage:
        case "gone":
            damaged.unlink()
        case "empty":
            damaged.write_bytes(b"")
        case "garbage":
            damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        case _:
            damaged.write_bytes(foreign.key_pem if file.endswith(".key") else foreign.pem)
    repaired = ensure_serving_pair(tmp_path / "certs", NAMES, NOW)
    leaf(repaired).verify_directly_issued_by(x509.load_pem_x509_certificate(repaired.authority.read_bytes()))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(repaired.certificate, repaired.key)
    assert repaired == pair


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(BadConfiguration, match=f"certDir {blocked / 'certs'}.*tlsCertFile"):
        ensure_serving_pair(blocked / "certs", NAMES, NOW)


def test_nothing_is_left_when_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(BadConfiguration, match="No space left"):
        ensure_serving_pair(tmp_path, NAMES, NOW)
    assert not list(tmp_path.iterdir())
