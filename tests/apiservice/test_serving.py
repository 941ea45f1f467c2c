"""The serving side of TLS: what is offered, who is asked for a certificate, and changes without a restart."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from apiservice.identity import DelegatedAuthenticator, Trust
from apiservice.identity.pool import Pool
from apiservice.identity.requestheader import FrontProxy
from apiservice.serving import PERIOD, ServingTLS
from metrics_api.errors import BadConfiguration
from tests.apiservice.door import Door, NoTokens, Trusting, open_door
from tests.doubles.authority import SERVER, Authority
from tests.doubles.clock import ManualClock

NAMES = ("localhost", "127.0.0.1")
ALICE = {"X-Remote-User": "alice"}


def believing(*, clients: Authority | None = None, proxies: tuple[Authority, ...] = ()) -> Trust:
    """Trust in a client authority, and in front proxies of any name."""
    proxy = FrontProxy(Pool([proxy.certificate for proxy in proxies])) if proxies else None
    return Trust(Pool([clients.certificate]) if clients else None, proxy)


@pytest.fixture
def trusting() -> Trusting:
    return Trusting(Trust())


@pytest.fixture
async def door(trusting: Trusting, tmp_path: Path) -> AsyncIterator[Door]:
    clock = ManualClock()
    async with open_door(DelegatedAuthenticator(trusting, NoTokens(), clock), trusting, clock, tmp_path) as door:
        yield door


async def test_nobody_is_asked_for_a_certificate_while_no_authority_is_known(door: Door) -> None:
    assert (await door.ask(Authority("front-proxy-ca").issue("proxy"), ALICE)).name == "system:anonymous"


async def test_authorities_that_become_known_later_are_used(door: Door, trusting: Trusting) -> None:
    authority = Authority("front-proxy-ca")
    trusting.current = believing(proxies=(authority,))
    assert await door.tls.refresh()
    assert (await door.ask(authority.issue("proxy"), ALICE)).name == "alice"


async def test_a_front_proxy_that_came_before_its_authority_was_known_is_asked_again(door: Door, trusting: Trusting) -> None:
    """It keeps its connections for ever, and on the first nobody has asked it for a certificate."""
    authority = Authority("front-proxy-ca")
    connector = aiohttp.TCPConnector(ssl=door.client_context(authority.issue("proxy")), limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        names = []
        for trust in (Trust(), believing(proxies=(authority,))):
            trusting.current = trust
            await door.tls.refresh()
            async with session.get(door.url, headers=ALICE) as answer:
                names.append((await answer.json())["name"])
    assert names == ["system:anonymous", "alice"]


async def test_a_change_of_authorities_is_followed_at_once(door: Door, trusting: Trusting) -> None:
    changed, authority = asyncio.Event(), Authority("front-proxy-ca")
    following = asyncio.ensure_future(door.tls.follow(changed))
    trusting.current = believing(proxies=(authority,))
    changed.set()
    async with asyncio.timeout(5):
        while door.tls.context.verify_mode is ssl.CERT_NONE:  # noqa: ASYNC110 - a context tells nobody
            await asyncio.sleep(0.01)
    assert not changed.is_set()
    assert (await door.ask(authority.issue("proxy"), ALICE)).name == "alice"
    following.cancel()
    await asyncio.wait([following])


async def test_the_front_proxy_authority_is_rotated_without_a_restart(door: Door, trusting: Trusting) -> None:
    old, new = Authority("front-proxy-ca"), Authority("front-proxy-ca")
    old_proxy, new_proxy = old.issue("proxy"), new.issue("proxy")

    trusting.current = believing(proxies=(old,))
    await door.tls.refresh()
    assert (await door.ask(old_proxy, ALICE)).name == "alice"
    with pytest.raises(aiohttp.ClientError):
        await door.ask(new_proxy, ALICE)

    trusting.current = believing(proxies=(old, new))
    await door.tls.refresh()
    assert (await door.ask(old_proxy, ALICE)).name == "alice"
    assert (await door.ask(new_proxy, ALICE)).name == "alice"

    trusting.current = believing(proxies=(new,))
    await door.tls.refresh()
    assert (await door.ask(new_proxy, ALICE)).name == "alice"
    with pytest.raises(aiohttp.ClientError):
        await door.ask(old_proxy, ALICE)


async def test_a_connection_made_before_the_rotation_loses_its_identity_too(door: Door, trusting: Trusting) -> None:
    old, new = Authority("front-proxy-ca"), Authority("front-proxy-ca")
    trusting.current = believing(proxies=(old,))
    await door.tls.refresh()
    connector = aiohttp.TCPConnector(ssl=door.client_context(old.issue("proxy")), limit=1)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(door.url, headers=ALICE) as answer:
            assert (await answer.json())["name"] == "alice"
        trusting.current = believing(proxies=(new,))
        async with session.get(door.url, headers=ALICE) as answer:
            assert answer.status == 401


async def test_an_intermediate_may_be_trusted_as_it_is(door: Door, trusting: Trusting) -> None:
    intermediate = Authority("intermediate", issuer=Authority("root"))
    trusting.current = believing(clients=intermediate)
    await door.tls.refresh()
    assert (await door.ask(intermediate.issue("jane").with_intermediates())).name == "jane"


async def test_both_sets_of_authorities_get_in_and_stay_apart(door: Door, trusting: Trusting) -> None:
    clients, proxies = Authority("same-name"), Authority("same-name")
    trusting.current = believing(clients=clients, proxies=(proxies,))
    await door.tls.refresh()
    assert (await door.ask(proxies.issue("proxy"), ALICE)).name == "alice"
    assert (await door.ask(clients.issue("proxy"), ALICE)).name == "proxy"


async def test_a_changed_serving_certificate_is_served_to_new_connections(door: Door, tmp_path: Path) -> None:
    renewed = door.authority.issue("localhost", usage=(SERVER,), names=NAMES)
    assert not await door.tls.refresh()
    renewed.save(tmp_path, "serving")
    assert await door.tls.refresh()
    assert await served_serial(door) == renewed.certificate.serial_number


@pytest.mark.parametrize("broken", ["certificate", "key", "absent", "version", "end"])
async def test_a_broken_pair_leaves_the_old_one_in_place(
    door: Door, tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    serial = await served_serial(door)
    match broken:
        case "certificate":
            (tmp_path / "serving.crt").write_text("no certificate")
        case "version" | "end":
            served = x509.load_pem_x509_certificate((tmp_path / "serving.crt").read_bytes())
            (tmp_path / "serving.crt").write_bytes(spoiled(served, broken))
        case "key":
            (tmp_path / "serving.key").write_bytes(Authority("other").issue("other").key_pem)
        case _:
            (tmp_path / "serving.crt").unlink()
    with caplog.at_level(logging.ERROR):
        assert not await door.tls.refresh()
    assert "stays in use" in caplog.text
    assert await served_serial(door) == serial
    good = door.authority.issue("localhost", usage=(SERVER,), names=NAMES)
    good.save(tmp_path, "serving")
    assert await door.tls.refresh()
    assert await served_serial(door) == good.certificate.serial_number


async def test_changes_are_looked_for_all_the_time(tmp_path: Path) -> None:
    authority, clock = Authority("serving-ca"), ManualClock()
    files = authority.issue("localhost", usage=(SERVER,)).save(tmp_path, "serving")
    loop, looks, enough = asyncio.get_running_loop(), [], asyncio.Event()

    def look() -> str:
        looks.append("")
        if len(looks) == 4:
            loop.call_soon_threadsafe(enough.set)
        return ""

    tls = ServingTLS(lambda: files, look, clock)
    watching = asyncio.ensure_future(tls.keep_fresh())
    await enough.wait()
    watching.cancel()
    assert set(clock.slept) == {PERIOD}


@pytest.mark.parametrize(
    ("pair", "named"),
    [
        pytest.param("absent", "serving.crt", id="absent"),
        pytest.param("mismatched", "do not make a pair", id="mismatched"),
        pytest.param("encrypted", "do not make a pair", id="encrypted"),
        pytest.param("version", "cannot be read", id="version"),
        pytest.param("end", "cannot be read", id="end"),
    ],
)
def test_a_first_pair_that_cannot_be_used_is_told(tmp_path: Path, pair: str, named: str) -> None:
    credential = Authority("serving-ca").issue("localhost")
    files = credential.save(tmp_path, "serving")
    if pair == "absent":
        files[0].unlink()
    elif pair == "mismatched":
        files[1].write_bytes(Authority("other").issue("other").key_pem)
    elif pair in ("version", "end"):
        files[0].write_bytes(spoiled(credential.certificate, pair))
    else:
        files[1].write_bytes(credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(BadConfiguration, match=named):
        ServingTLS(lambda: files, str, ManualClock())


@pytest.mark.parametrize(
    ("version", "ciphers", "taken"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_3, "DEFAULT", True, id="1.3"),
        pytest.param(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True, id="1.2-with-forward-secrecy"),
        pytest.param(ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", False, id="1.2-with-cbc"),
        pytest.param(ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", False, id="1.2-without-forward-secrecy"),
    ],
)
async def test_only_modern_tls_is_spoken(door: Door, version: ssl.TLSVersion, ciphers: str, *, taken: bool) -> None:
    context = door.client_context()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    if taken:
        assert (await handshake(door, context)).version() == version.name.replace("_", ".")
    else:
        with pytest.raises(ConnectionResetError):
            await handshake(door, context)


async def test_tls_1_1_is_refused(door: Door) -> None:
    context = door.client_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSVersion"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ConnectionResetError):
        await handshake(door, context)


async def test_http_1_1_is_what_is_negotiated_and_a_probe_without_a_name_is_served(door: Door) -> None:
    context = door.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert (await handshake(door, context)).selected_alpn_protocol() == "http/1.1"


def spoiled(certificate: x509.Certificate, what: str) -> bytes:
    """The certificate, of a version of X.509 that there is not, or with an end in the year 0; OpenSSL takes both for certificates."""
    der = certificate.public_bytes(Encoding.DER)
    if what == "version":
        der = der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x03", 1)
    else:
        # The end is written with four digits of the year instead of two; all that it is in becomes longer by two bytes.
        der = re.sub(rb"\x30\x1e(\x17\r.{13})\x17\r.{13}", b"\x30\x20\\1\x18\x0f00000101000000Z", der, count=1, flags=re.DOTALL)
        outer, inner = (int.from_bytes(der[at : at + 2]) + 2 for at in (2, 6))
        der = der[:2] + outer.to_bytes(2) + der[4:6] + inner.to_bytes(2) + der[8:]
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


async def handshake(door: Door, context: ssl.SSLContext) -> ssl.SSLObject:
    """A TLS connection by address, as a kubelet probes; what came of it."""
    port = int(door.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        return tls
    finally:
        writer.close()
        await writer.wait_closed()


async def served_serial(door: Door) -> int:
    """The serial number of the certificate a new connection sees."""
    der = (await handshake(door, door.client_context())).getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number
