"""What brings back a part of an installation, which depends on how it was installed: by Helm, by the manifests, or by other names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apiservice.checkup.account import Account
from apiservice.checkup.subject import OWN, Subject
from apiservice.issuance.rights import commands_for_bundles, commands_for_creation, commands_for_secret, granting

__all__ = ["applied", "installed", "inventory_granted", "issuing_granted", "logs", "upgraded"]

_MANIFESTS = "trafficmetrics"
"""The name of all in ``deploy/base``: Service, account and namespace."""

_SECRET = "trafficmetrics-issued"
"""The one that ``deploy/base/issuing.yaml`` names."""


def upgraded(subject: Subject) -> str:
    """How its release is brought back to what the chart says; only where there is one."""
    return f"helm upgrade {subject.release} -n {subject.namespace} --reuse-values deploy/charts/trafficmetrics"


def installed(subject: Subject) -> str:
    """How all of it is brought back."""
    return upgraded(subject) if subject.release else "kubectl apply -k deploy/base, or helm upgrade"


def applied(subject: Subject, file: str) -> str:
    """How the object in a file of ``deploy/base`` is brought back."""
    if subject.release:
        return upgraded(subject)
    if subject.place == f"{_MANIFESTS}/{_MANIFESTS}":
        return f"kubectl apply -f deploy/base/{file}"
    return f"apply deploy/base/{file} as {subject.place}"


def logs(subject: Subject) -> str:
    """How the log of every replica is seen: of a Deployment kubectl takes one pod, a ready one first."""
    label = f"app.kubernetes.io/instance={subject.release}" if subject.release else f"app.kubernetes.io/name={_MANIFESTS}"
    return f"kubectl logs -n {subject.namespace} -l {label} --prefix --tail=50"


def issuing_granted(verbs: Mapping[str, Sequence[str]], account: Account, subject: Subject) -> str:
    """How the account is let keep its certificate: ``verbs`` are those that it lacks, of each resource."""
    if subject.release:
        return f"{upgraded(subject)}, which grants it"
    if _by_manifests(account) and (subject.cert_secret, subject.registered) == (_SECRET, (OWN,)):
        return "kubectl apply -f deploy/base/issuing.yaml"
    secrets, who = set(verbs.get("secrets", ())), _who(account)
    commands = [commands_for_secret(who, subject.namespace, subject.cert_secret)] if secrets - {"create"} else []
    commands += [commands_for_creation(who, subject.namespace)] if "create" in secrets else []
    commands += [commands_for_bundles(who, subject.registered)] if set(verbs) - {"secrets"} else []
    return " && ".join(commands)


def inventory_granted(resource: str, account: Account, subject: Subject) -> str:
    """How the account is let watch a resource."""
    if subject.release:
        return f"{upgraded(subject)}, which grants it"
    if _by_manifests(account):
        return f"add {resource} to ClusterRole trafficmetrics-inventory: kubectl apply -f deploy/base/rbac.yaml"
    return granting("clusterrole", f"trafficmetrics-inventory-{resource}", f"list,watch --resource={resource}", _who(account))


def _by_manifests(account: Account) -> bool:
    """Whether it is the account that they bind."""
    return (account.namespace, account.name) == (_MANIFESTS, _MANIFESTS)


def _who(account: Account) -> str:
    return f"--serviceaccount={account.namespace}:{account.name}"
