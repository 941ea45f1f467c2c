"""The authority that kube-apiserver verifies the server with: the ``caBundle`` of an APIService, and who has to fill it in."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from apiservice.checkup.account import RELEASE
from apiservice.checkup.remedies import logs
from apiservice.checkup.sight import Document
from apiservice.checkup.subject import Subject
from apiservice.checkup.verdicts import problem, warning
from apiservice.issuance.contents import bundled, pem_of
from metrics_api.diagnosis import Finding

__all__ = ["SOON", "Bundle", "authorities_in", "bundle_findings", "bundle_of", "day", "mending"]

SOON = dt.timedelta(days=21)
"""A certificate that ends before is told of: time enough for somebody who is on holiday. cert-manager renews 30 days before, too."""

_INJECTED = "cert-manager.io/inject-ca-from"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What an APIService says of the authority. ``authorities`` are empty where it names none, or what it names cannot be read.

    ``pem`` are these, and ``damaged`` says that there is something else beside them.
    """

    given: bool
    verified: bool
    authorities: tuple[x509.Certificate, ...] = ()
    pem: str = ""
    damaged: bool = False


def bundle_of(api_service: Document) -> Bundle:
    """The bundle of an APIService."""
    spec = api_service.get("spec") or {}
    text, verified = spec.get("caBundle") or "", not spec.get("insecureSkipTLSVerify")
    try:
        authorities, damaged = bundled(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return Bundle(bool(text), verified)
    return Bundle(bool(text), verified, authorities, pem_of(authorities).decode(), damaged)


def authorities_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM text; ValueError when there is none, or one that cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from error


def bundle_findings(name: str, api_service: Document, subject: Subject, now: dt.datetime) -> Iterator[Finding]:
    """What is wrong with the bundle of the APIService of this name."""
    bundle, mend = bundle_of(api_service), mending(subject, api_service)
    if not bundle.verified:
        what = f"APIService {name} has insecureSkipTLSVerify: whoever can pose as the server learns who asks, and answers them"
        yield problem("apiservice", what, f"take it out, and fill in caBundle: {mend}")
    elif not bundle.given:
        what = f"APIService {name} has no caBundle: kube-apiserver verifies the server with the roots of its system"
        yield problem("apiservice", what, mend)
    elif not bundle.authorities:
        yield problem("apiservice", f"the caBundle of APIService {name} cannot be read: it holds no PEM certificates", mend)
    elif (last := max(authority.not_valid_after_utc for authority in bundle.authorities)) < now:
        yield problem("apiservice", f"the caBundle of APIService {name} ended on {day(last)}", mend)
    elif last - now < SOON:
        yield warning("apiservice", f"the caBundle of APIService {name} ends on {day(last)}", mend)
    elif bundle.damaged:
        what = f"a part of the caBundle of APIService {name} is no certificate: kube-apiserver passes over it, others may not"
        yield warning("apiservice", what, mend)


def mending(subject: Subject, api_service: Document | None) -> str:
    """How certificate and bundle are brought together again, which depends on who keeps them."""
    annotations = ((api_service or {}).get("metadata") or {}).get("annotations") or {}
    if certificate := annotations.get(_INJECTED):
        namespace, _, name = str(certificate).partition("/")
        return f"kubectl describe certificate -n {namespace} {name}; kubectl logs -n cert-manager deploy/cert-manager-cainjector"
    if subject.cert_secret:
        return (
            f"the server does it, within a minute, as soon as it may: {logs(subject)};"
            f" kubectl delete secret -n {subject.namespace} {subject.cert_secret} lets it begin anew"
        )
    if release := annotations.get(RELEASE):
        whose = "where the chart makes both (certificate.mode: helm)"
        return f"{whose}, helm upgrade {release} brings them together; elsewhere deploy/issue-certificate does"
    return "deploy/issue-certificate makes a certificate and its bundle"


def day(moment: dt.datetime) -> str:
    """A moment, as exactly as matters for what lasts for weeks."""
    return f"{moment:%Y-%m-%d}"
