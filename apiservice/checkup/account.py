"""Who the server is to kube-apiserver, and what else its Deployment says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from apiservice.checkup.sight import Document
from apiservice.checkup.subject import Subject

__all__ = ["RELEASE", "Account", "account_of", "as_deployed"]

RELEASE = "meta.helm.sh/release-name"
"""The annotation by which Helm knows what it has made (``helm/helm``, pkg/action/validate.go)."""

_ASSUMED = "trafficmetrics"
_FLAG, _VARIABLE = "--cert-secret", "TRAFFICMETRICS_CERT_SECRET"
"""How a Deployment names the Secret; a flag goes before the environment."""


@dataclass(frozen=True, slots=True)
class Account:
    """The service account of the server. ``assumed`` is whether it was not seen, but is what the manifests call it."""

    namespace: str
    name: str
    assumed: bool = False

    @property
    def user(self) -> str:
        """The user it is (``kubernetes/kubernetes``, staging/src/k8s.io/apiserver/pkg/authentication/serviceaccount/util.go)."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> list[str]:
        """The groups it is in."""
        return ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"]

    def __str__(self) -> str:
        return f"account {self.namespace}/{self.name}{' (assumed)' if self.assumed else ''}"


def account_of(deployment: Document | None, me: str, subject: Subject) -> Account:
    """The account that the pods of a Deployment have; else the one that this runs as, in the namespace of the server."""
    if deployment is not None:
        return Account(subject.namespace, str(_pod(deployment).get("serviceAccountName") or "default"))
    prefix = f"system:serviceaccount:{subject.namespace}:"
    if me.startswith(prefix):
        return Account(subject.namespace, me.removeprefix(prefix))
    return Account(subject.namespace, _ASSUMED, assumed=True)


def as_deployed(subject: Subject, deployment: Document | None, api_service: Document | None = None) -> Subject:
    """The server with what its Deployment says of its certificate: flags and environment are in no configuration file.

    Also the Helm release that the Deployment is part of, else the APIService.
    """
    annotations = ((deployment or api_service or {}).get("metadata") or {}).get("annotations") or {}
    subject = replace(subject, release=str(annotations.get(RELEASE) or ""))
    if deployment is None or subject.cert_secret:
        return subject
    found = (_secret_of(container) for container in _pod(deployment).get("containers") or ())
    return replace(subject, cert_secret=next(filter(None, found), ""))


def _secret_of(container: Document) -> str:
    """The Secret that a container is told to keep its certificate in, "" where it is not."""
    words = [str(word) for key in ("command", "args") for word in container.get(key) or ()]
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if flag == _FLAG:
            return value if equals else following
    values = (entry.get("value") for entry in container.get("env") or () if entry.get("name") == _VARIABLE)
    return str(next(values, "") or "")


def _pod(deployment: Document) -> Document:
    return ((deployment.get("spec") or {}).get("template") or {}).get("spec") or {}
