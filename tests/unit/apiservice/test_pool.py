"""Which client certificates come from a set of authorities: Kubernetes' rules, not stricter and not laxer."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apiservice.identity.pool import Pool, Untrusted
from tests.doubles.authority import CLIENT, SERVER, Authority, Credential, key_usage

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CA = (x509.BasicConstraints(ca=True, path_length=None), True)
ANY_USAGE = x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

VERSION_1_AUTHORITY = """-----BEGIN CERTIFICATE-----
MIIBHjCBxQIUCWcKLV0HYH1zZnn4AoiFe5cWS8IwCgYIKoZIzj0EAwIwETEPMA0G
A1UEAwwGb2xkLWNhMCAXDTI2MTEyMTIzMzg1MFoYDzIxMjYxMDI4MjMzODUwWjAR
MQ8wDQYDVQQDDAZvbGQtY2EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATfaRVM
3uFlnb3ce2UIG79LB1kcwypapu+1syvmIDcALmsBxWkH8MBYcTVSIrG7bUplN8SE
o815o3mdIBbeXJe3MAoGCCqGSM49BAMCA0gAMEUCIGyd5T4kDWF7/AOav+xHlRL0
2WPS9d9ao0KVugg95/NqAiEA7icWXecjiXoMSoCwIJ6VsfMeP4RBi1TtuxcjGza3
LLE=
-----END CERTIFICATE-----
"""
VERSION_1_LEAF = """-----BEGIN CERTIFICATE-----
MIIBKzCB0QIUKGQxImVPeaXbekwRVnDkoAUNL74wCgYIKoZIzj0EAwIwETEPMA0G
A1UEAwwGb2xkLWNhMCAXDTI2MTEyMTIzMzg1MFoYDzIxMjYxMDI4MjMzODUwWjAd
MQwwCgYDVQQKDANkZXYxDTALBgNVBAMMBGphbmUwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARujWX+FSFEolPN4/lSijVixLJacepWI4Hqdizkr7Y+Vqw2dHCyLb5B
dz5h3Jv43G1pm8NZRAHlBGd47k64qB4cMAoGCCqGSM49BAMCA0kAMEYCIQCQ9mto
KgmiWZvit22uU8OoOOstCEa4mD1tPOWcG9yHsgIhAI9KCsuV7Z9KawqWVfS7EXCR
cUF/SkoONwnLjbWvg5Jr
-----END CERTIFICATE-----
"""
"""Both made with ``openssl x509 -req`` and no extension file, as many tutorials do; valid until 2126."""

SIGNED_BY_THE_LEAF = """-----BEGIN CERTIFICATE-----
MIIBKjCB0AIUTm7gevMRySRIfrE56QAzaCHCeSMwCgYIKoZIzj0EAwIwHTEMMAoG
A1UECgwDZGV2MQ0wCwYDVQQDDARqYW5lMCAXDTI2MTEyMTIzNTMzM1oYDzIxMjYx
MDI4MjM1MzMzWjAQMQ4wDAYDVQQDDAVhZG1pbjBZMBMGByqGSM49AgEGCCqGSM49
AwEHA0IABDQsz5RuQQETsthir/t0C7N525WtJuQ+RaHemfFUKgakV5kAaEazf61c
4soH93jT9LQCwARDKjvF8nkoWtfAK6cwCgYIKoZIzj0EAwIDSQAwRgIhAPF27cnp
ZncCMTCnjbxmdXbW8pzg16BbzRU4LvPqO2OyAiEAtADnjVI9KgR4kwcgOuJdYR9g
81+OfZyth6j8piECuO4=
-----END CERTIFICATE-----
"""
"""An ``admin`` the owner of the leaf's key made up."""


def accepts(pool: Pool | Authority, credential: Credential, now: dt.datetime = NOW) -> bool:
    """Whether a pool takes a certificate."""
    pool = pool if isinstance(pool, Pool) else Pool([pool.certificate])
    try:
        return pool.verify(credential.chain, now) == credential.certificate
    except Untrusted:
        return False


@pytest.mark.parametrize("use_rsa", [False, True], ids=["ecdsa", "rsa"])
@pytest.mark.parametrize("minimal", [False, True], ids=["kubeadm", "openssl"])
def test_certificates_of_the_authority_are_accepted(*, use_rsa: bool, minimal: bool) -> None:
    authority = Authority("kubernetes", use_rsa=use_rsa, minimal=minimal)
    assert accepts(authority, authority.issue("jane", ["dev"]))


def test_a_version_1_leaf_is_accepted() -> None:
    leaf = x509.load_pem_x509_certificate(VERSION_1_LEAF.encode())
    assert leaf.version is x509.Version.v1
    assert Pool.parse(VERSION_1_AUTHORITY).verify([leaf.public_bytes(Encoding.DER)], NOW) == leaf


def test_a_version_1_leaf_cannot_sign_another_leaf() -> None:
    """It has no extension to say that it is no authority; only an operator can say that one is."""
    chain = [
        x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER) for pem in (SIGNED_BY_THE_LEAF, VERSION_1_LEAF)
    ]
    with pytest.raises(Untrusted, match="no certificate authority"):
        Pool.parse(VERSION_1_AUTHORITY).verify(chain, NOW)
    assert Pool.parse(VERSION_1_LEAF).verify(chain, NOW).subject.rfc4514_string() == "CN=admin"


def test_an_authority_of_the_same_name_with_another_key_is_not_it() -> None:
    assert not accepts(Authority("kubernetes"), Authority("kubernetes").issue("jane"))


def test_a_certificate_that_signs_itself_is_not_accepted() -> None:
    impostor = Authority("kubernetes")
    assert not accepts(Authority("kubernetes"), Credential(impostor.certificate, impostor.key))


def test_a_certificate_trusted_by_itself_is_accepted() -> None:
    leaf = Authority("kubernetes").issue("jane")
    assert accepts(Pool([leaf.certificate]), leaf)


@pytest.mark.parametrize(
    ("usage", "accepted"),
    [
        pytest.param((CLIENT,), True, id="client"),
        pytest.param((SERVER, CLIENT), True, id="both"),
        pytest.param((ANY_USAGE,), True, id="any"),
        pytest.param(None, True, id="unrestricted"),
        pytest.param((SERVER,), False, id="server"),
    ],
)
def test_only_certificates_for_clients_are_accepted(usage: tuple[x509.ObjectIdentifier, ...] | None, *, accepted: bool) -> None:
    authority = Authority("kubernetes")
    assert accepts(authority, authority.issue("jane", usage=usage)) is accepted


def test_a_restriction_of_the_authority_binds_what_it_signs() -> None:
    authority = Authority("servers", extensions=[CA, (x509.ExtendedKeyUsage([SERVER]), False)])
    assert not accepts(authority, authority.issue("jane", usage=(CLIENT,)))


@pytest.mark.parametrize(
    ("moment", "accepted"),
    [
        pytest.param(NOW, True, id="now"),
        pytest.param(NOW - DAY, False, id="too-early"),
        pytest.param(NOW + 2 * DAY, False, id="expired"),
    ],
)
def test_a_certificate_is_accepted_while_it_is_valid(moment: dt.datetime, *, accepted: bool) -> None:
    authority = Authority("kubernetes", lifetime=(-9 * DAY, 9 * DAY))
    assert accepts(authority, authority.issue("jane"), moment) is accepted


def test_an_expired_authority_vouches_for_nobody() -> None:
    authority = Authority("kubernetes", lifetime=(-2 * DAY, -DAY))
    assert not accepts(authority, authority.issue("jane"))


def test_a_certificate_verified_once_is_not_accepted_after_it_expires() -> None:
    authority = Authority("kubernetes", lifetime=(-DAY, 9 * DAY))
    pool, leaf = Pool([authority.certificate]), authority.issue("jane")
    assert [accepts(pool, leaf, moment) for moment in (NOW, NOW + 2 * DAY, NOW)] == [True, False, True]


def test_intermediates_are_used_in_any_order() -> None:
    root = Authority("root")
    leaf = Authority("second", issuer=Authority("first", issuer=root)).issue("jane")
    assert len(leaf.intermediates) == 2
    assert accepts(root, leaf)
    assert accepts(root, leaf.with_intermediates(*reversed(leaf.intermediates)))
    assert not accepts(root, leaf.with_intermediates(leaf.intermediates[0]))


def test_an_intermediate_may_be_an_anchor() -> None:
    intermediate = Authority("intermediate", issuer=Authority("root"))
    assert accepts(intermediate, intermediate.issue("jane").with_intermediates())


def test_a_leaf_cannot_sign_another_leaf() -> None:
    root = Authority("root")
    not_an_authority = Authority("jane", issuer=root, extensions=[(x509.BasicConstraints(ca=False, path_length=None), True)])
    assert not accepts(root, not_an_authority.issue("admin"))
    without_extensions = Authority("jane", issuer=root, extensions=[])
    assert not accepts(root, without_extensions.issue("admin"))


def test_an_authority_that_may_not_sign_does_not() -> None:
    authority = Authority("kubernetes", extensions=[CA, (key_usage(signs=False), True)])
    assert not accepts(authority, authority.issue("jane"))


@pytest.mark.parametrize(("length", "accepted"), [(0, False), (1, True)])
def test_the_path_is_no_longer_than_the_authority_allows(length: int, *, accepted: bool) -> None:
    root = Authority("root", extensions=[(x509.BasicConstraints(ca=True, path_length=length), True)])
    assert accepts(root, Authority("intermediate", issuer=root).issue("jane")) is accepted


def test_a_path_of_endless_intermediates_is_given_up() -> None:
    authority = root = Authority("root")
    for level in range(12):
        authority = Authority(f"level-{level}", issuer=authority)
    assert not accepts(root, authority.issue("jane"))


def test_a_maze_of_intermediates_is_given_up() -> None:
    layers = [[Authority("root")]]
    for level in range(5):
        keys = [Authority(f"level-{level}", issuer=issuer) for issuer in layers[-1] for _ in range(2)]
        layers.append(keys[:6])
    leaf = layers[-1][0].issue("jane").with_intermediates(*(authority.certificate for layer in layers[1:] for authority in layer))
    with pytest.raises(Untrusted, match="too many branches"):
        Pool([Authority("root").certificate] * 40).verify(leaf.chain, NOW)


def test_a_critical_extension_nobody_understands_is_refused() -> None:
    authority = Authority("kubernetes")
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert accepts(authority, authority.issue("jane", extensions=[(unknown, False)]))
    assert not accepts(authority, authority.issue("jane", extensions=[(unknown, True)]))


@pytest.mark.parametrize(
    ("constraint", "names", "accepted"),
    [
        pytest.param(x509.DNSName("corp.example"), (), True, id="nothing-to-constrain"),
        pytest.param(x509.DNSName("corp.example"), ("jane.other.example",), False, id="an-alternative-name"),
        pytest.param(x509.DirectoryName(x509.Name([])), (), False, id="directory-names"),
    ],
)
def test_constraints_on_names_are_never_overlooked(constraint: x509.GeneralName, names: tuple[str, ...], *, accepted: bool) -> None:
    authority = Authority("corp", extensions=[CA, (x509.NameConstraints([constraint], None), True)])
    assert accepts(authority, authority.issue("jane", names=names)) is accepted


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        pytest.param(Authority("other").issue("jane"), "unknown authority", id="unknown-authority"),
        pytest.param(Authority("kubernetes").issue("jane"), "the signature is not its own", id="same-name"),
        pytest.param(Authority("other").issue("jane", lifetime=(-2 * DAY, -DAY)), "expired at", id="expired"),
        pytest.param(Authority("other").issue("jane", lifetime=(DAY, 2 * DAY)), "not valid before", id="too-early"),
    ],
)
def test_a_refusal_names_the_certificate_and_the_reason(credential: Credential, reason: str) -> None:
    with pytest.raises(Untrusted, match=f"CN=jane.*{reason}"):
        Pool([Authority("kubernetes").certificate]).verify(credential.chain, NOW)


def test_a_certificate_that_is_none_is_refused() -> None:
    with pytest.raises(Untrusted, match="cannot be read"):
        Pool([Authority("kubernetes").certificate]).verify([b"nonsense"], NOW)


def test_a_bundle_holds_several_authorities() -> None:
    old, new = Authority("kubernetes"), Authority("kubernetes")
    pool = Pool.parse(f"# old\n{old.pem}\n# new\n{new.pem}")
    assert accepts(pool, old.issue("jane"))
    assert accepts(pool, new.issue("jane"))
    assert pool.pem == old.pem + new.pem


@pytest.mark.parametrize("pem", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_bundle_without_authorities_is_an_error(pem: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pool.parse(pem)
