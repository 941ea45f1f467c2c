"""A set of certificate authorities, and whether a client's certificate comes from them.

The rules are those of Go's ``crypto/x509`` (``Certificate.Verify``), because that is what Kubernetes applies to the same certificates,
and clusters are full of certificates that stricter verifiers refuse: version 1 leaves made with ``openssl x509 -req``, authorities
without key identifiers, leaves without a subject alternative name. Signatures are checked by ``cryptography``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from cachetools import LRUCache
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from apiservice.identity.user import Unauthorized

__all__ = ["Pool", "Untrusted"]

E = TypeVar("E", bound=x509.ExtensionType)

_LONGEST = 8
"""Certificates in a chain, the authority's included; OpenSSL's handshake allows more, no cluster has them."""

_MOST_SIGNATURES = 32
"""Signatures checked for one chain, so that a client cannot make the server walk a maze of cross-signed intermediates."""

_UNREADABLE = (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
"""What ``cryptography`` raises for certificates that break their own format."""

_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        # Nobody here asks for a certificate policy, so none can be missing.
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)

_NAMES = (x509.DNSName, x509.RFC822Name, x509.IPAddress, x509.UniformResourceIdentifier)
"""The kinds of alternative names Go knows. It does not understand a critical extension with none of these."""

_HASHES = frozenset({"sha256", "sha384", "sha512"})
"""What Go verifies signatures over: MD5 and SHA-1 can be forged, the others it does not have."""


class Untrusted(Unauthorized):
    """The certificate does not lead to this set of authorities, or may not be used by a client."""


class _Verified(NamedTuple):
    certificate: x509.Certificate
    not_before: dt.datetime
    not_after: dt.datetime


class Pool:
    """Trust anchors. ``pem`` holds them as text, in the order given, without the remarks around them."""

    def __init__(self, anchors: Sequence[x509.Certificate]) -> None:
        self._anchors = tuple(anchors)
        self.pem = "".join(anchor.public_bytes(Encoding.PEM).decode("ascii") for anchor in anchors)
        self._verified: LRUCache[tuple[bytes, ...], _Verified] = LRUCache(256)

    @classmethod
    def parse(cls, pem: str) -> Pool:
        """The authorities in a PEM text; ValueError when it holds none, or one that cannot be read."""
        try:
            return cls(x509.load_pem_x509_certificates(pem.encode()))
        except x509.InvalidVersion as error:
            raise ValueError(str(error)) from error

    def verify(self, chain: Sequence[bytes], now: dt.datetime) -> x509.Certificate:
        """The certificate ``chain`` begins with, DER, once it is known to come from this pool and to be a client's.

        The rest of the chain are intermediates, in any order. Raises :class:`Untrusted`. Results are remembered for as long as every
        certificate of the path is valid: the aggregator shows the same certificate with every request.
        """
        key = tuple(chain)
        known = self._verified.get(key)
        if known is None or not known.not_before <= now <= known.not_after:
            known = self._verified[key] = self._find_path(key, now)
        return known.certificate

    def _find_path(self, chain: tuple[bytes, ...], now: dt.datetime) -> _Verified:
        try:
            leaf, *intermediates = (x509.load_der_x509_certificate(certificate) for certificate in chain)
            path = _Search(self._anchors, intermediates, now).path_from(leaf)
        except _UNREADABLE as error:
            raise Untrusted(f"certificate cannot be read: {error}") from error
        return _Verified(
            leaf,
            max(certificate.not_valid_before_utc for certificate in path),
            min(certificate.not_valid_after_utc for certificate in path),
        )


class _Search:
    """Depth-first search for a path from a leaf to an anchor; the reason of the last dead end is what gets reported."""

    def __init__(self, anchors: Sequence[x509.Certificate], intermediates: Sequence[x509.Certificate], now: dt.datetime) -> None:
        self._anchors = anchors
        self._intermediates = intermediates
        self._now = now
        self._signatures = 0
        self._reason = "it is signed by an unknown authority"

    def path_from(self, leaf: x509.Certificate) -> list[x509.Certificate]:
        """The path, leaf first; raises :class:`Untrusted`."""
        problem = _problem(leaf, self._now)
        if problem:
            raise Untrusted(f"certificate {_subject(leaf)}: {problem}")
        path = [leaf] if leaf in self._anchors and not _chain_problem([leaf]) else self._extend([leaf])
        if path is None:
            raise Untrusted(f"certificate {_subject(leaf)}: {self._reason}")
        return path

    def _extend(self, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        child = path[-1]
        for issuer, is_anchor in [
            *((anchor, True) for anchor in self._anchors),
            *((other, False) for other in self._intermediates),
        ]:
            if issuer.subject != child.issuer or issuer in path or len(path) >= _LONGEST:
                continue
            self._signatures += 1
            if self._signatures > _MOST_SIGNATURES:
                raise Untrusted(f"certificate {_subject(path[0])}: its chain has too many branches")
            problem = _issuing_problem(issuer, child, len(path) - 1, is_anchor=is_anchor) or _problem(issuer, self._now)
            if problem:
                self._reason = f"its issuer {_subject(issuer)}: {problem}"
                continue
            longer = [*path, issuer]
            if not is_anchor:
                found = self._extend(longer)
                if found:
                    return found
                continue
            problem = _chain_problem(longer)
            if not problem:
                return longer
            self._reason = problem
        return None


def _problem(certificate: x509.Certificate, now: dt.datetime) -> str:
    """What is wrong with a certificate by itself; "" when nothing is."""
    if now < certificate.not_valid_before_utc:
        return f"not valid before {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now > certificate.not_valid_after_utc:
        return f"expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    for extension in certificate.extensions:
        value = extension.value
        understood = extension.oid in _UNDERSTOOD and (
            not isinstance(value, x509.SubjectAlternativeName) or any(isinstance(name, _NAMES) for name in value)
        )
        if extension.critical and not understood:
            return f"it has the extension {extension.oid.dotted_string}, which is not supported here"
    return ""


def _issuing_problem(issuer: x509.Certificate, child: x509.Certificate, intermediates: int, *, is_anchor: bool) -> str:
    """Why ``issuer`` may not have signed ``child``, below which there are so many ``intermediates``; "" when it may and did."""
    constraints = _extension(issuer, x509.BasicConstraints)
    if constraints is None:
        # Version 1 has no extensions: such an authority is one because an operator says so, never because a client sends it.
        if issuer.version is not x509.Version.v1 or not is_anchor:
            return "it is no certificate authority"
    elif not constraints.ca:
        return "it is no certificate authority"
    elif constraints.path_length is not None and intermediates > constraints.path_length:
        return "it may not have that many authorities below it"
    usage = _extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "it may not sign certificates"
    algorithm = child.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in _HASHES:
        return f"its signatures use {algorithm.name.upper()}, which is not trusted"
    try:
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return "the signature is not its own"
    return ""


def _chain_problem(path: Sequence[x509.Certificate]) -> str:
    """What is wrong with a path as a whole; "" when nothing is. What an authority restricts binds all that it signs."""
    for certificate in path:
        usage = _extension(certificate, x509.ExtendedKeyUsage)
        if usage is not None and not {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
            return f"{_subject(certificate)} is not meant for clients: the extended key usage clientAuth is missing"
    constraints = [found for certificate in path[1:] if (found := _extension(certificate, x509.NameConstraints))]
    if constraints and any(_extension(certificate, x509.SubjectAlternativeName) for certificate in path[:-1]):
        return "an authority constrains names, and it has alternative names: that is not supported here"
    if any(isinstance(name, x509.DirectoryName) for found in constraints for name in _constrained(found)):
        return "an authority constrains directory names, which is not supported here"
    return ""


def _constrained(constraints: x509.NameConstraints) -> list[x509.GeneralName]:
    return [*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())]


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _subject(certificate: x509.Certificate) -> str:
    return repr(certificate.subject.rfc4514_string())
