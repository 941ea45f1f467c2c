"""The certificate that is shown: whatever kube-apiserver would not accept is said in its own words, with a real handshake."""

from __future__ import annotations

import base64
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web

from apiservice.checkup.bundle import Bundle, bundle_of
from apiservice.checkup.certificate import Shown, certificate_findings, reach_findings
from apiservice.checkup.handshake import shown_at
from tests.doubles.authority import SERVER, Authority, Credential
from tests.unit.apiservice.checkup.documents import AUTHORITY, HOST, NOW, YEAR, api_service, served, told

MEND = "mend it"
BUNDLE = bundle_of(api_service())


def found(*shown: Shown, bundle: Bundle | None = BUNDLE) -> list[tuple[str, str, str, str]]:
    return told(certificate_findings(shown, HOST, bundle, MEND, NOW))


def days(first: float, last: float) -> tuple[dt.timedelta, dt.timedelta]:
    return dt.timedelta(days=first), dt.timedelta(days=last)


def test_a_good_one_says_who_signed_it_and_when_it_ends():
    shown = served("trafficmetrics", HOST)
    ends = f"{shown.certificate.not_valid_after_utc:%Y-%m-%d}"
    assert found(Shown("10.1.0.4:6443", shown.chain)) == [
        (
            "ok",
            "certificate",
            f"the certificate at 10.1.0.4:6443 is for {HOST}, signed by serving-ca, and ends on {ends}",
            "",
        )
    ]


def test_one_that_is_shown_in_several_places_is_told_of_once():
    chain, other = served(HOST).chain, served(HOST).chain
    lines = found(Shown("a:1", chain), Shown("b:1", other), Shown("c:1", chain))
    assert [line[2].partition(" is for ")[0] for line in lines] == ["the certificate at a:1 and c:1", "the certificate at b:1"]


def test_a_star_stands_for_one_label():
    assert found(Shown("a:1", served("*.trafficmetrics.svc").chain))[0][0] == "ok"
    assert found(Shown("a:1", served("*.svc").chain))[0][0] == "problem"


WRONG: dict[str, tuple[Credential, str, str, str]] = {
    "ended": (served(HOST, lifetime=days(-9, -2)), "problem", f"ended on {NOW - dt.timedelta(days=2):%Y-%m-%d}", MEND),
    "ends-soon": (
        served(HOST, lifetime=days(-9, 20.5)),
        "warning",
        f"ends on {NOW + dt.timedelta(days=20.5):%Y-%m-%d}, in 20 days",
        MEND,
    ),
    "no-names": (
        served(),
        "problem",
        f"has no subject alternative name, and kube-apiserver looks at nothing else: it has to be {HOST}",
        MEND,
    ),
    "other-names": (served("a.b.svc", "10.0.0.1"), "problem", f"is for a.b.svc, 10.0.0.1, and not for {HOST}", MEND),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_certificate(case: str):
    credential, level, what, advice = WRONG[case]
    assert found(Shown("a:1", credential.chain)) == [(level, "certificate", f"the certificate at a:1 {what}", advice)]


def test_one_that_is_not_valid_yet_is_about_a_clock():
    ((level, _, what, advice),) = found(Shown("a:1", served(HOST, lifetime=days(1, 90)).chain))
    assert (level, what.partition(" before ")[0]) == ("problem", "the certificate at a:1 is not valid")
    assert advice.startswith("synchronise the clock")


def test_one_that_is_signed_with_sha_1():
    # Nobody makes such certificates any more, so one is changed to say that it is: sha256WithRSAEncryption to sha1WithRSAEncryption.
    (strong,) = served(HOST, authority=Authority("old-ca", use_rsa=True, lifetime=YEAR)).chain
    signature = bytes.fromhex("2a864886f70d01010b")
    weak = strong.replace(signature, signature[:-1] + b"\x05")
    assert found(Shown("a:1", (weak,))) == [
        ("problem", "certificate", "the certificate at a:1 is signed with SHA1, which kube-apiserver does not trust", MEND)
    ]


def test_what_is_no_certificate_is_a_problem_and_no_error():
    ((level, _, what, _),) = found(Shown("a:1", (b"nothing",)))
    assert (level, what.partition(":1 ")[2].partition(":")[0]) == ("problem", "cannot be read")


def test_who_may_not_see_the_bundle_is_told_so():
    ((level, _, what, _),) = found(Shown("a:1", served(HOST).chain), bundle=None)
    assert (level, what.partition("; ")[2]) == ("ok", "whether kube-apiserver trusts that is not known here")


@pytest.mark.parametrize(("arrived", "level"), [(True, "ok"), (False, "warning")], ids=["arrives", "does-not"])
def test_a_place_that_cannot_be_reached_matters_if_kube_apiserver_does_not_get_through_either(arrived: bool, level: str):  # noqa: FBT001
    ((found_level, check, what, _),) = told(reach_findings([Shown("a:1", failure="Connection refused")], arrived=arrived))
    assert (found_level, check) == (level, "certificate")
    assert what.startswith("the certificate at a:1 was not seen: Connection refused")


# Handshakes


@asynccontextmanager
async def serving(credential: Credential, folder: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*credential.save(folder, "serving"))
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_what_is_shown_is_seen_and_verified_as_kube_apiserver_does(tmp_path: Path):
    credential = served(HOST)
    async with serving(credential, tmp_path) as port:
        shown = await shown_at("127.0.0.1", port, HOST, AUTHORITY.pem)
    assert shown == Shown(f"127.0.0.1:{port}", credential.chain)


async def test_intermediates_are_seen_and_may_be_what_is_trusted(tmp_path: Path):
    middle = Authority("middle", issuer=AUTHORITY, lifetime=YEAR)
    async with serving(served(HOST, authority=middle), tmp_path) as port:
        by_root = await shown_at("127.0.0.1", port, HOST, AUTHORITY.pem)
        by_middle = await shown_at("127.0.0.1", port, HOST, middle.pem)
    assert (by_root.refusal, by_middle.refusal, len(by_root.chain)) == ("", "", 2)


async def test_another_authority_is_named_beside_the_one_that_signed(tmp_path: Path):
    other = Authority("other-ca")
    bundle = bundle_of({"spec": {"caBundle": base64.b64encode(other.pem.encode()).decode()}})
    async with serving(served(HOST), tmp_path) as port:
        shown = await shown_at("127.0.0.1", port, HOST, bundle.pem)
    ((level, _, what, advice),) = found(shown, bundle=bundle)
    assert (level, advice) == ("problem", MEND)
    assert what.startswith(
        f"the certificate at 127.0.0.1:{port} is signed by serving-ca, and the caBundle of the APIService names other-ca: "
    )


async def test_a_common_name_is_no_name(tmp_path: Path):
    credential = AUTHORITY.issue(HOST, usage=(SERVER,), lifetime=YEAR)
    async with serving(credential, tmp_path) as port:
        shown = await shown_at("127.0.0.1", port, HOST, AUTHORITY.pem)
    assert "ostname mismatch" in shown.refusal
    assert "no subject alternative name" in found(shown)[0][2]


async def test_nobody_and_somebody_who_speaks_no_tls_are_failures(monkeypatch: pytest.MonkeyPatch):
    assert (await shown_at("127.0.0.1", 1, HOST, "")).failure == "Connect call failed ('127.0.0.1', 1)"
    monkeypatch.setattr("apiservice.checkup.handshake._PATIENCE", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as deaf:
        shown = await shown_at("127.0.0.1", deaf.getsockname()[1], HOST, AUTHORITY.pem)
    assert (shown.failure, shown.chain) == ("no answer within 0.2s", ())
