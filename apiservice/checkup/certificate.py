"""The certificate that the server shows: would kube-apiserver accept it, who signed it, and how long it lasts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiservice.checkup.bundle import SOON, Bundle, day
from apiservice.checkup.verdicts import ok, problem, warning
from metrics_api.diagnosis import Finding

__all__ = ["Shown", "certificate_findings", "reach_findings"]

_FORGEABLE = frozenset({"md5", "sha1"})


@dataclass(frozen=True, slots=True)
class Shown:
    """What was shown at ``where`` (``host:port``): ``chain``, DER, the server's own certificate first.

    ``refusal`` says why it does not lead to the authorities that kube-apiserver was given, "" where it does, and where nobody knows
    them. ``failure`` is why nothing was shown.
    """

    where: str
    chain: tuple[bytes, ...] = ()
    refusal: str = ""
    failure: str = ""


def reach_findings(shown: Sequence[Shown], *, arrived: bool) -> Iterator[Finding]:
    """What is to be said of places where nothing was shown; ``arrived`` is whether kube-apiserver gets through to the server."""
    for where, failure in ((each.where, each.failure) for each in shown if each.failure):
        what = f"the certificate at {where} was not seen: {failure}"
        if arrived:
            yield ok("certificate", f"{what}; kube-apiserver gets through")
        else:
            yield warning("certificate", what, f"does anything listen there? is a NetworkPolicy or a firewall before {where}?")


def certificate_findings(
    shown: Sequence[Shown], host: str, bundle: Bundle | None, mending: str, now: dt.datetime
) -> Iterator[Finding]:
    """What is to be said of the certificates shown for ``host``; one shown in several places is told of once.

    ``bundle`` is None where the APIService was not seen.
    """
    alike: dict[tuple[tuple[bytes, ...], str], list[str]] = {}
    for each in shown:
        if each.chain:
            alike.setdefault((each.chain, each.refusal), []).append(each.where)
    for (chain, refusal), places in alike.items():
        yield from _judged(chain, refusal, " and ".join(places), host, bundle, mending, now)


def _judged(
    chain: Sequence[bytes], refusal: str, where: str, host: str, bundle: Bundle | None, mending: str, now: dt.datetime
) -> Iterator[Finding]:
    try:
        leaf, *others = (x509.load_der_x509_certificate(each) for each in chain)
        names, forgeable = _names(leaf), _forgeable([leaf, *others])
    except (ValueError, x509.InvalidVersion) as error:
        yield problem("certificate", f"the certificate at {where} cannot be read: {error}", mending)
        return
    what, signer, end = f"the certificate at {where}", _called(leaf.issuer), leaf.not_valid_after_utc
    if now > end:
        yield problem("certificate", f"{what} ended on {day(end)}", mending)
    elif now < leaf.not_valid_before_utc:
        advice = "synchronise the clock of whoever issued it (NTP), or of this machine"
        yield problem("certificate", f"{what} is not valid before {leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}", advice)
    elif not names:
        told = f"{what} has no subject alternative name, and kube-apiserver looks at nothing else: it has to be {host}"
        yield problem("certificate", told, mending)
    elif not any(_covers(name, host) for name in names):
        yield problem("certificate", f"{what} is for {', '.join(names)}, and not for {host}", mending)
    elif forgeable:
        yield problem("certificate", f"{what} is signed with {forgeable}, which kube-apiserver does not trust", mending)
    elif refusal:
        asked = f", and the caBundle of the APIService names {_authorities(bundle)}" if bundle and bundle.authorities else ""
        yield problem("certificate", f"{what} is signed by {signer}{asked}: {refusal}", mending)
    elif end - now < SOON:
        yield warning("certificate", f"{what} ends on {day(end)}, in {(end - now).days} days", mending)
    else:
        verified = "" if bundle and bundle.authorities else "; whether kube-apiserver trusts that is not known here"
        yield ok("certificate", f"{what} is for {host}, signed by {signer}, and ends on {day(end)}{verified}")


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _covers(name: str, host: str) -> bool:
    """Whether a name of a certificate is that of the host; a star stands for the first label."""
    wanted = host.lower()
    return name.lower() in (wanted, f"*.{wanted.partition('.')[2]}")


def _forgeable(chain: Sequence[x509.Certificate]) -> str:
    """The hash that is too weak for what it signs; the signature of an authority on itself does not matter."""
    used = [each.signature_hash_algorithm for each in chain if each.issuer != each.subject]
    return next((algorithm.name.upper() for algorithm in used if algorithm is not None and algorithm.name in _FORGEABLE), "")


def _authorities(bundle: Bundle) -> str:
    return ", ".join(_called(authority.subject) for authority in bundle.authorities)


def _called(name: x509.Name) -> str:
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[-1].value) if common else name.rfc4514_string() or "nobody"
