"""Certificate authorities for a test: as kubeadm makes them, as people make them with openssl, and wrong ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["CLIENT", "SERVER", "Authority", "Credential", "name_of"]

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credential:
    """A certificate, its key, and the intermediates shown with it."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes
    intermediates: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        """Certificate and intermediates, as a server or client loads them."""
        return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in (self.certificate, *self.intermediates))

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def chain(self) -> tuple[bytes, ...]:
        """What a server sees of it, DER."""
        return tuple(certificate.public_bytes(Encoding.DER) for certificate in (self.certificate, *self.intermediates))

    def save(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write the two files and tell where they are."""
        files = directory / f"{name}.crt", directory / f"{name}.key"
        files[0].write_bytes(self.pem)
        files[1].write_bytes(self.key_pem)
        return files

    def with_intermediates(self, *certificates: x509.Certificate) -> Credential:
        """The same, shown with other intermediates."""
        return replace(self, intermediates=certificates)


class Authority:
    """An authority. By default it is like kubeadm's: key identifiers, critical key usage, an alternative name of its own.

    ``minimal`` makes one that has nothing but basic constraints, and leaves that have no extensions at all unless told.
    """

    def __init__(
        self,
        common_name: str,
        *,
        minimal: bool = False,
        use_rsa: bool = False,
        issuer: Authority | None = None,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] | None = None,
        lifetime: tuple[dt.timedelta, dt.timedelta] = (-_HOUR, _HOUR * 24),
    ) -> None:
        self._minimal = minimal
        self._use_rsa = use_rsa
        self.key = _new_key(use_rsa=use_rsa)
        self.above = issuer
        if extensions is None:
            extensions = [(x509.BasicConstraints(ca=True, path_length=None), True)]
            if not minimal:
                extensions += [
                    (key_usage(signs=True), True),
                    (x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False),
                    (x509.SubjectAlternativeName([x509.DNSName(common_name)]), False),
                ]
        subject = name_of(common_name)
        signer = issuer or self
        issuer_name = issuer.certificate.subject if issuer else subject
        self.certificate: x509.Certificate = _sign(subject, issuer_name, self.key, signer.key, lifetime, extensions)

    @property
    def pem(self) -> str:
        """The certificate, as a trust bundle holds it."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(
        self,
        common_name: str | x509.Name,
        organizations: Sequence[str] = (),
        *,
        usage: Sequence[x509.ObjectIdentifier] | None = (CLIENT,),
        names: Sequence[str] = (),
        lifetime: tuple[dt.timedelta, dt.timedelta] = (-_HOUR, _HOUR * 24),
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    ) -> Credential:
        """A leaf; ``usage`` None leaves the extended key usage out. It is shown with every authority between it and the root."""
        key = _new_key(use_rsa=self._use_rsa)
        wanted = list(extensions)
        if usage is not None:
            wanted.append((x509.ExtendedKeyUsage(usage), False))
        if names:
            wanted.append((x509.SubjectAlternativeName([_general(name) for name in names]), False))
        if not self._minimal:
            wanted += [
                (x509.BasicConstraints(ca=False, path_length=None), True),
                (key_usage(signs=False), True),
                (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False),
            ]
        subject = name_of(common_name, organizations) if isinstance(common_name, str) else common_name
        certificate = _sign(subject, self.certificate.subject, key, self.key, lifetime, wanted)
        return Credential(certificate, key, tuple(self._between()))

    def server_context(self, *names: str, directory: Path) -> ssl.SSLContext:
        """The TLS side of a server that is none of ours."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(names[0], usage=(SERVER,), names=names).save(directory, "double"))
        return context

    def _between(self) -> list[x509.Certificate]:
        between: list[x509.Certificate] = []
        authority: Authority = self
        while authority.above is not None:
            between.append(authority.certificate)
            authority = authority.above
        return between


def name_of(common_name: str, organizations: Sequence[str] = ()) -> x509.Name:
    """A subject as Kubernetes reads it: user and groups."""
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def key_usage(*, signs: bool) -> x509.KeyUsage:
    """What kubeadm writes for authorities and for leaves."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=True,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_key(*, use_rsa: bool) -> CertificateIssuerPrivateKeyTypes:
    return rsa.generate_private_key(65_537, 2048) if use_rsa else ec.generate_private_key(ec.SECP256R1())


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _sign(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificateIssuerPrivateKeyTypes,
    signer: CertificateIssuerPrivateKeyTypes,
    lifetime: tuple[dt.timedelta, dt.timedelta],
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + lifetime[0])
        .not_valid_after(now + lifetime[1])
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer, hashes.SHA256())
