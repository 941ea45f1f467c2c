"""A serving certificate when nobody gives one: a small authority of our own, and a leaf for the names the server is reached by.

The authority outlives its leaves, so an APIService that was given it as ``caBundle`` keeps working when a leaf is renewed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from metrics_api.errors import BadConfiguration

__all__ = [
    "SKEW",
    "ServingPair",
    "Signed",
    "certificate_pem",
    "covers",
    "ensure_serving_pair",
    "extension_of",
    "is_readable",
    "is_signed_by",
    "key_pem",
    "lasts",
    "make_authority",
    "make_leaf",
    "matching",
    "service_names",
]

_AUTHORITY_LIFE = dt.timedelta(days=3650)
_LEAF_LIFE = dt.timedelta(days=365)
_RENEWAL = dt.timedelta(days=30)
SKEW = dt.timedelta(minutes=5)
"""Certificates begin that much in the past, for clients whose clock is behind."""

Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
"""A certificate and the private key that belongs to it."""

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class ServingPair:
    """PEM files: the certificate, its key, and the authority to put into ``caBundle``."""

    certificate: Path
    key: Path
    authority: Path


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names a Service is reached by, and those of the machine itself; the aggregator checks the third."""
    return (
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
    )


def ensure_serving_pair(directory: Path, names: Sequence[str], now: dt.datetime) -> ServingPair:
    """The pair in ``directory``, made or renewed if need be; files are readable for the owner alone.

    A pair is kept while it covers all ``names`` (host names and IP addresses) and has 30 days left. Raises
    :class:`metrics_api.errors.BadConfiguration` when the directory cannot be written.
    """
    pair = ServingPair(directory / "apiserver.crt", directory / "apiserver.key", directory / "ca.crt")
    authority_key = directory / "ca.key"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        authority = _read(pair.authority, authority_key)
        if authority is None or not lasts(authority[0], now, _RENEWAL):
            authority = make_authority(now)
            _write(authority, pair.authority, authority_key)
        leaf = _read(pair.certificate, pair.key)
        kept = leaf is not None and lasts(leaf[0], now, _RENEWAL) and covers(leaf[0], names) and is_signed_by(leaf[0], authority[0])
        if not kept:
            _write(make_leaf(authority, names, now, _LEAF_LIFE), pair.certificate, pair.key)
    except OSError as error:
        raise BadConfiguration(
            [
                f"certDir {directory}: a serving certificate cannot be kept there ({error.strerror}); make it writable or give tlsCertFile"
            ]
        ) from error
    return pair


def _read(certificate: Path, key: Path) -> Signed | None:
    """What the two files hold; None when they are absent, broken, or do not belong together."""
    try:
        return matching(filter(is_readable, [x509.load_pem_x509_certificate(certificate.read_bytes())]), key.read_bytes())
    except (FileNotFoundError, ValueError, x509.InvalidVersion):
        return None


def is_readable(certificate: x509.Certificate) -> bool:
    """Whether a certificate says properly whose it is and how long it is good: that is parsed only when it is asked for."""
    try:
        certificate.subject.rfc4514_string()
        certificate.issuer.rfc4514_string()
        ordered = certificate.not_valid_before_utc <= certificate.not_valid_after_utc
    except (ValueError, TypeError):
        return False
    return ordered


def matching(certificates: Iterable[x509.Certificate], key: bytes) -> Signed | None:
    """The first certificate that belongs to a private key (PEM), and that key; None when there is none, or the key is broken."""
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        return None
    public = private.public_key()
    return next(((each, private) for each in certificates if _public_key(each) == public), None)


def _public_key(certificate: x509.Certificate) -> object:
    """None for a key of a kind that is not known here."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def lasts(certificate: x509.Certificate, now: dt.datetime, margin: dt.timedelta) -> bool:
    """Whether a certificate is valid, and will be for as long as ``margin``."""
    return certificate.not_valid_before_utc <= now and now + margin <= certificate.not_valid_after_utc


def covers(leaf: x509.Certificate, names: Sequence[str]) -> bool:
    """Whether a certificate is for all of these host names and IP addresses."""
    covered = extension_of(leaf, x509.SubjectAlternativeName)
    return covered is not None and set(_general_names(names)) <= set(covered)


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """An extension of a certificate; None when it is not there, or when the extensions cannot be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def is_signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether an authority has signed a certificate itself."""
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def make_authority(now: dt.datetime) -> Signed:
    """A new authority, good for ten years; it signs leaves alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"trafficmetrics-ca@{int(now.timestamp())}")
    certificate = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def make_leaf(authority: Signed, names: Sequence[str], now: dt.datetime, life: dt.timedelta) -> Signed:
    """A certificate of that authority for these host names and IP addresses, good for ``life`` or until the authority's own end."""
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    life = min(life, issuer.not_valid_after_utc - now)
    certificate = (
        _builder(_name("trafficmetrics"), issuer.subject, key.public_key(), now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return list(_each_general_name(names))


def _each_general_name(names: Sequence[str]) -> Iterator[x509.GeneralName]:
    for name in names:
        try:
            yield x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            yield x509.DNSName(name)


def _write(signed: Signed, certificate: Path, key: Path) -> None:
    """Each file in one step: a reader sees the old or the new one, and one who gets an old and a new file reads again."""
    _replace(key, key_pem(signed))
    _replace(certificate, certificate_pem(signed[0]))


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def key_pem(signed: Signed) -> bytes:
    """The private key as PEM, not encrypted."""
    return signed[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _replace(file: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
        Path(temporary).replace(file)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise
