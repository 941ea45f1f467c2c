"""Certificate authorities made for a test: the control plane's own, and the wrong ones a forger would use."""

from __future__ import annotations

import datetime as dt
import ipaddress
import warnings
from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Pair", "private_key_pem", "public_key_pem"]

_VALID = (dt.timedelta(hours=-1), dt.timedelta(days=1))


class Pair(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """A certificate authority that lives as long as the test run.

    Keys are P-256: a control plane needs half a dozen, and RSA keys would take most of its start. With an ``issuer`` it claims to be
    one that the issuer has signed, which may not be believed: issuers here sign leaves alone. Such an authority shows its own
    certificate with everything it signs.
    """

    def __init__(self, common_name: str, issuer: Authority | None = None) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        signer = issuer or self
        builder = _builder(self._name, signer._name, self._key.public_key(), _VALID)
        self._certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(signer._key, hashes.SHA256())
        )
        self._shown = self.certificate if issuer else b""

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM: what others trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def of(cls, pair: Pair) -> Authority:
        """The owner of a certificate, acting as the authority it need not be."""
        authority = cls("anybody")
        authority._key, authority._name = _private_key(pair.key), x509.load_pem_x509_certificate(pair.certificate).subject
        authority._shown = pair.certificate
        return authority

    @property
    def itself(self) -> Pair:
        """The authority's own certificate, to be shown as if it were somebody's."""
        return Pair(self.certificate, private_key_pem(self._key))

    def client(
        self,
        common_name: str,
        organizations: Iterable[str] = (),
        *,
        usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        valid: tuple[dt.timedelta, dt.timedelta] = _VALID,
    ) -> Pair:
        """A client certificate; Kubernetes reads the common name as the user and the organizations as the groups.

        ``usage`` and ``valid`` (from when to when, counted from now) make it one that is none.
        """
        return self._issue(_name(common_name, organizations), usage, [], valid)

    def server(self, *hosts: str) -> Pair:
        """A serving certificate for these host names and IP addresses."""
        return self._issue(_name(hosts[0]), ExtendedKeyUsageOID.SERVER_AUTH, [_general_name(host) for host in hosts], _VALID)

    def _issue(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        valid: tuple[dt.timedelta, dt.timedelta],
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._name, key.public_key(), valid)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Pair(certificate.public_bytes(serialization.Encoding.PEM) + self._shown, private_key_pem(key))


def private_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as PKCS#8 PEM, not encrypted."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def public_key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half of the key, PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _name(common_name: str, organizations: Iterable[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    # Not validated: an empty name breaks the rules, and is what somebody without a name would try.
    with warnings.catch_warnings(action="ignore"):
        return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, valid: tuple[dt.timedelta, dt.timedelta]
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + valid[0])
        .not_valid_after(now + valid[1])
    )
