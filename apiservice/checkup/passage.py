"""The way of a request through kube-apiserver to the server: what it means when one does not arrive, or arrives as nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apiservice.checkup.remedies import installed, logs
from apiservice.checkup.subject import Subject
from apiservice.checkup.verdicts import ok, problem, warning
from metrics_api.diagnosis import Finding

__all__ = ["DISCOVERY", "LIST", "Reply", "meaning_of", "passage_findings"]

DISCOVERY = "/apis/metrics.smi-spec.io/v1alpha1"
"""Whoever is somebody may read this (ClusterRole ``system:discovery``), and nobody else may."""

LIST = f"{DISCOVERY}/trafficmetrics"
_ANONYMOUS = 'User "system:anonymous"'
_QUOTED = 300
_PROXYING = "error trying to reach service: "
"""How kube-apiserver begins what it says of a connection (``k8s.io/apimachinery``, pkg/util/proxy/transport.go)."""

_FRONT_PROXY = (
    "kubectl get cm -n kube-system extension-apiserver-authentication -o yaml: its requestheader-client-ca-file has to have signed"
    " the --proxy-client-cert-file of kube-apiserver, and requestheader-allowed-names has to allow its common name"
)
_DELEGATOR = "bind ClusterRole system:auth-delegator to the account of the server (deploy/base/rbac.yaml)"

_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        r"x509: (certificate is valid for|certificate is not valid for|cannot validate|.*legacy Common Name)",
        "the certificate of the server is not for {host}",
        "{mending}",
    ),
    (r"certificate has expired or is not yet valid", "the certificate of the server, or of its authority, has ended", "{mending}"),
    (r"x509:", "the caBundle of the APIService is not the authority of the server", "{mending}"),
    (r"remote error: tls:", "the server does not know the authority of the front proxy", "{front_proxy}"),
    (
        r"no such host",
        "kube-apiserver cannot find the address of the Service",
        "is spec.externalName of Service {place} a name that the control plane can look up?",
    ),
    (
        r"connection refused|no endpoints available|connection reset|EOF",
        "nobody answers where the Service leads",
        "kubectl get pods -n {namespace}; is targetPort of Service {place} the port {port} of the pods?",
    ),
    (
        r"timeout|deadline exceeded|no route to host|network is unreachable",
        "kube-apiserver cannot get through to the pods",
        "let the control plane connect to port {port} of the pods: firewalls between it and the nodes, NetworkPolicies of {namespace}",
    ),
    (r"attempted to redirect", "something between kube-apiserver and the server redirects", "is Service {place} this server's?"),
    (r"service unavailable", "kube-apiserver holds the APIService for unavailable", "kubectl get apiservice -o wide tells why"),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered to a request through kube-apiserver: the code of HTTP (0 without an answer), and what it says of a failure."""

    code: int
    text: str = ""
    milliseconds: int = 0


def meaning_of(text: str, subject: Subject, mending: str) -> tuple[str, str]:
    """What kube-apiserver means by what it says of a connection to the server, and what to do about it; both "" if nobody knows.

    The words are those of Go's ``net/http`` and ``crypto/x509``.
    """
    for pattern, meaning, advice in _MEANINGS:
        if re.search(pattern, text):
            filled = {
                "host": subject.host,
                "place": subject.place,
                "namespace": subject.namespace,
                "port": subject.port,
                "mending": mending,
                "front_proxy": _FRONT_PROXY,
            }
            return meaning.format(**filled), advice.format(**filled)
    return "", ""


def passage_findings(discovery: Reply, listed: Reply, who: str, subject: Subject, mending: str) -> Iterator[Finding]:
    """What two requests of ``who`` show: one that everybody may make who is somebody, and one for traffic.

    That the first is answered proves that the identity arrives: the server refuses it to the anonymous.
    """
    if discovery.code != 200:
        yield _failure(discovery, DISCOVERY, who, subject, mending)
    elif listed.code in (200, 403) and _ANONYMOUS not in listed.text:
        rows = ", and traffic is told" if listed.code == 200 else ""
        yield ok(
            "passage", f"a request through kube-apiserver arrives in the name of who sends it ({discovery.milliseconds} ms){rows}"
        )
    else:
        yield (_refusal(listed, LIST, who) if listed.code else None) or _own_failure(listed)


def _failure(reply: Reply, path: str, who: str, subject: Subject, mending: str) -> Finding:
    """Why nothing is answered at all, not even what is known without a look at the sources."""
    if refusal := _refusal(reply, path, who):
        return refusal
    text = reply.text[:_QUOTED].removeprefix(_PROXYING)
    if reply.code == 404:
        return problem("passage", f"{_answered(reply, path)}: kube-apiserver does not know the API", installed(subject))
    meaning, advice = meaning_of(text, subject, mending)
    what = f"{_answered(reply, path)}: {meaning} ({text})" if meaning else f"{_answered(reply, path)}: {text}"
    return problem("passage", what, advice or logs(subject))


def _own_failure(reply: Reply) -> Finding:
    """What the server says itself when traffic is asked for, which is about its sources."""
    what = f"{_answered(reply, LIST)}: {reply.text[:_QUOTED]}"
    advice = "what is wrong with the sources is told below, or by trafficmetrics doctor in the pod of the server"
    return problem("passage", what, advice)


def _answered(reply: Reply, path: str) -> str:
    return f"a request through kube-apiserver (GET {path}) is {f'answered {reply.code}' if reply.code else 'not answered'}"


def _refusal(reply: Reply, path: str, who: str) -> Finding | None:
    """Why it is not even looked at what is asked; None when that is not what happened."""
    text = reply.text[:_QUOTED]
    what = _answered(reply, path)
    if reply.code == 0:
        return problem("passage", f"{what}: {text}", f"kubectl get --raw {path}")
    if reply.code == 401:
        return problem("passage", f"{what}: the server does not accept kube-apiserver as its front proxy", _FRONT_PROXY)
    if reply.code == 403 and _ANONYMOUS in text:
        return problem("passage", f"{what}: the server trusts no front proxy, so everybody is anonymous", _FRONT_PROXY)
    if reply.code == 403:
        return warning("passage", f"{what}: {who} may not even read what is served", "bind ClusterRole system:discovery")
    if "accessreviews" in text or "tokenreviews" in text:
        return problem("passage", f"{what}: the server cannot ask who may do what: {text}", _DELEGATOR)
    return None
