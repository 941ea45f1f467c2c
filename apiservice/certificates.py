"""A serving certificate when nobody gives one: a small authority of our own, and a leaf for the names the server is reached by.

The authority outlives its leaves, so an APIService that was given it as ``caBundle`` keeps working when a leaf is renewed.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from metrics_api.errors import BadConfiguration

__all__ = ["ServingPair", "ensure_serving_pair", "service_names"]

_AUTHORITY_LIFE = dt.timedelta(days=3650)
_LEAF_LIFE = dt.timedelta(days=365)
_RENEWAL = dt.timedelta(days=30)
_SKEW = dt.timedelta(minutes=5)
"""Certificates begin that much in the past, for clients whose clock is behind."""

Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


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
        if authority is None or not _lasts(authority[0], now):
            authority = _make_authority(now)
            _write(authority, pair.authority, authority_key)
        leaf = _read(pair.certificate, pair.key)
        if leaf is None or not _lasts(leaf[0], now) or not _covers(leaf[0], names) or not _is_signed_by(leaf[0], authority[0]):
            _write(_make_leaf(authority, names, now), pair.certificate, pair.key)
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
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = load_pem_private_key(key.read_bytes(), None)
    except (FileNotFoundError, ValueError, TypeError):
        return None
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.public_key() != loaded.public_key():
        return None
    return loaded, private


def _lasts(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return certificate.not_valid_before_utc <= now and now + _RENEWAL <= certificate.not_valid_after_utc


def _covers(leaf: x509.Certificate, names: Sequence[str]) -> bool:
    try:
        covered = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return set(_general_names(names)) <= set(covered)


def _is_signed_by(leaf: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _make_authority(now: dt.datetime) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"trafficmetrics-ca@{int(now.timestamp())}")
    certificate = (
        _builder(name, name, key.public_key(), now, _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _make_leaf(authority: Signed, names: Sequence[str], now: dt.datetime) -> Signed:
    issuer, issuer_key = authority
    key = ec.generate_private_key(ec.SECP256R1())
    life = min(_LEAF_LIFE, issuer.not_valid_after_utc - now)
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
        .not_valid_before(now - _SKEW)
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
    _replace(key, signed[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _replace(certificate, signed[0].public_bytes(Encoding.PEM))


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
