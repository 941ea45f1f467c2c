"""What nobody has foreseen, in a Secret or a ``caBundle``, is as good as nothing there, and ends no server."""

from __future__ import annotations

import base64
import logging
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apiservice.certificates import certificate_pem, make_authority, make_leaf
from apiservice.issuance.contents import Contents, certificates_of, read_contents, written
from apiservice.issuance.registration import Bystanders, Registration
from apiservice.issuance.renewal import LEAF_LIFE, renewal
from tests.doubles.clock import ManualClock
from tests.unit.apiservice.issuance.simulated import APIS, NAMES, SECRET, Cluster, Replica, finish


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def _mutations(certificate: x509.Certificate) -> list[bytes]:
    """A certificate with one byte of it changed, for every byte."""
    der = certificate.public_bytes(Encoding.DER)
    return [_pem(der[:place] + bytes([der[place] ^ 1]) + der[place + 1 :]) for place in range(len(der))]


def _with_version(certificate: x509.Certificate, version: int) -> bytes:
    """One that says to be of another version: cryptography has an exception of its own for it."""
    marked = b"\xa0\x03\x02\x01"
    return _pem(certificate.public_bytes(Encoding.DER).replace(marked + b"\x02", marked + bytes([version]), 1))


@pytest.mark.parametrize("key", ["ca.crt", "tls.crt", "caBundle"])
def test_a_certificate_with_any_byte_changed_is_used_or_not_there(key: str) -> None:
    clock = ManualClock()
    now = clock.now()
    authority = make_authority(now)
    leaf = make_leaf(authority, NAMES, now, LEAF_LIFE)
    whole = written(Contents(authority, leaf, (authority[0],)))
    with warnings.catch_warnings():
        # Of serial numbers that are none.
        warnings.simplefilter("ignore")
        for pem in _mutations(leaf[0] if key == "tls.crt" else authority[0]):
            registration = Registration(APIS[0], "1", pem if key == "caBundle" else b"")
            found = read_contents(whole | {key: base64.b64encode(pem).decode()})
            made = renewal(found, NAMES, now, bundled=registration.trusts, serving=authority[0])
            contents = made.contents if made else found.contents
            assert contents is not None
            Bystanders().bundle(registration, contents.trusted, now, 0.0)
            for trusted in (*contents.trusted, *registration.trusts):
                assert trusted.subject.rfc4514_string() is not None


@pytest.mark.parametrize("version", [3, 117])
def test_a_certificate_of_no_version_is_none(version: int) -> None:
    assert certificates_of(_with_version(make_authority(ManualClock().now())[0], version)) == ()


def test_an_odd_certificate_in_a_bundle_is_taken_out(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    finish(replica.issuer.start())
    cluster.set_bundle(cluster.bundle() + _with_version(make_authority(clock.now())[0], 117))
    replica.look()
    assert cluster.bundle() == cluster.data["ca.crt"]
    assert replica.issuer.trouble() is None


ODD = {
    "version": lambda now: _with_version(make_authority(now)[0], 117),
    "no-certificate": lambda _: _pem(b"\x30\x03\x02\x01\x05"),
    "no-base-64": lambda _: b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    "no-end": lambda _: b"-----BEGIN CERTIFICATE-----\nMAMCAQU=\n",
    "a-key": lambda _: b"-----BEGIN PRIVATE KEY-----\nMAMCAQU=\n-----END PRIVATE KEY-----\n",
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("first", [False, True], ids=["behind", "before"])
def test_what_cannot_be_read_in_a_bundle_takes_no_other_certificate_out_of_it(
    cluster: Cluster, replica: Replica, clock: ManualClock, odd: str, *, first: bool
) -> None:
    finish(replica.issuer.start())
    ours = cluster.bundle()
    theirs, broken = certificate_pem(make_authority(clock.now())[0]), ODD[odd](clock.now())
    cluster.set_bundle(broken + ours + theirs if first else ours + theirs + broken)
    replica.look()
    assert cluster.bundle() == ours + theirs
    assert replica.issuer.trouble() is None


def test_a_bundle_that_is_whole_is_left_as_it_is(cluster: Cluster, replica: Replica) -> None:
    finish(replica.issuer.start())
    written = b"# ours\n" + 2 * cluster.bundle()
    cluster.set_bundle(written)
    replica.look()
    assert cluster.bundle() == written


def test_an_odd_certificate_in_the_secret_has_it_made_anew(cluster: Cluster, replica: Replica, clock: ManualClock) -> None:
    finish(replica.issuer.start())
    before = cluster.data["ca.crt"]
    cluster.set_data(cluster.data | {"ca.crt": before + _with_version(make_authority(clock.now())[0], 117)})
    replica.look()
    assert cluster.data["ca.crt"].endswith(before)
    assert cluster.bundle() == cluster.data["ca.crt"]
    assert replica.issuer.trouble() is None


def test_a_look_that_fails_as_nobody_has_foreseen_leaves_the_pair_and_is_told_of(
    cluster: Cluster, replica: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    finish(replica.issuer.start())
    leaf, good = replica.leaf, cluster.documents[SECRET]
    assert leaf is not None
    cluster.documents[SECRET] = {**good, "data": ["neither", "a", "mapping"]}
    for _ in range(5):
        replica.look()
    assert replica.leaf == leaf
    assert certificate_pem(leaf) == replica.issuer.files()[0].read_bytes()
    trouble = str(replica.issuer.trouble())
    assert trouble.startswith("Secret mesh/issued and the APIServices of ")
    assert "AttributeError" in trouble
    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert trouble in told.message
    assert told.exc_info is not None
    cluster.documents[SECRET] = good
    replica.look()
    assert replica.issuer.trouble() is None
