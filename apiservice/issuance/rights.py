"""The rights it takes to keep a Secret and the ``caBundle``s, and how to give one that is missing.

Those that hint are given why kube-apiserver has refused a call, and answer the end of a sentence: "" when it is not a missing right.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from apiservice.kube import KubeError

__all__ = [
    "commands_for_bundles",
    "commands_for_creation",
    "commands_for_secret",
    "grant_create",
    "grant_registration",
    "grant_secret",
    "granting",
]

_USER = re.compile(r'User "([^"]+)" cannot ')
"""What RBAC says (``k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go``); others forbid for reasons of their own."""

_ACCOUNT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")


def grant_secret(error: KubeError, namespace: str, secret: str) -> str:
    """How to let the caller read and write one Secret."""
    return _hint(error, lambda who: commands_for_secret(who, namespace, secret))


def grant_create(error: KubeError, namespace: str) -> str:
    """How to let the caller make it."""
    return _hint(error, lambda who: commands_for_creation(who, namespace))


def grant_registration(error: KubeError, names: tuple[str, ...]) -> str:
    """How to let the caller read APIServices of these names and write their ``caBundle``."""
    return _hint(error, lambda who: commands_for_bundles(who, names))


def commands_for_secret(who: str, namespace: str, secret: str) -> str:
    """The commands that let somebody (:func:`granting`) read and write one Secret."""
    rule = f"get,update --resource=secrets --resource-name={secret}"
    return granting("role", "trafficmetrics-issued-secret", rule, who, namespace)


def commands_for_creation(who: str, namespace: str) -> str:
    """The commands that let somebody make it: a right to create cannot be for one name alone."""
    return granting("role", "trafficmetrics-issued-secret-creation", "create --resource=secrets", who, namespace)


def commands_for_bundles(who: str, names: tuple[str, ...]) -> str:
    """The commands that let somebody read APIServices of these names and write their ``caBundle``."""
    named = "".join(f" --resource-name={name}" for name in names)
    rule = f"get,patch --resource=apiservices.apiregistration.k8s.io{named}"
    return granting("clusterrole", "trafficmetrics-issued-bundle", rule, who)


def granting(kind: str, name: str, rule: str, who: str, namespace: str = "") -> str:
    """The commands that give a right: ``VERBS --resource=RESOURCES``, as a role or a clusterrole of this name.

    ``who`` is given it, as kubectl wants to be told: ``--user=NAME`` or ``--serviceaccount=NAMESPACE:NAME``.
    """
    place = f" -n {namespace}" if namespace else ""
    return f"kubectl create {kind} {name}{place} --verb={rule} && kubectl create {kind}binding {name}{place} --{kind}={name} {who}"


def _hint(error: KubeError, commands: Callable[[str], str]) -> str:
    user = _USER.search(error.message)
    if error.status != 403 or user is None:
        return ""
    return f"; let this server do it: {commands(_subject(user[1]))}"


def _subject(user: str) -> str:
    """Who was refused, as kubectl wants to be told."""
    account = _ACCOUNT.fullmatch(user)
    return f"--serviceaccount={account[1]}:{account[2]}" if account else f"--user={user}"
