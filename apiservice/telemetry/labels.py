"""What a request is counted under: labels from static lists, so that a client that invents a thousand names adds one series.

Values are those of Kubernetes' own servers (``k8s.io/apiserver``: pkg/endpoints/metrics/metrics.go, pkg/endpoints/installer.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apiservice.catalog import EDGES, SERVED, SOURCES, SURFACES
from apiservice.requestinfo import RequestInfo
from metrics_api.autoscaling import (
    CUSTOM_GROUP,
    CUSTOM_VERSIONS,
    EXTERNAL_GROUP,
    EXTERNAL_VERSIONS,
    METRICS,
    OF_NAMESPACE,
    RESOURCE_NAMES,
)
from metrics_api.resources import GROUP, VERSION

__all__ = ["COMPONENT", "READING", "RESOURCE_LABELS", "SCOPED", "Scoped", "clean_dry_run", "resource_of", "scoped"]

COMPONENT = "apiserver"
SCOPED = ("verb", "group", "version", "resource", "subresource", "scope", "component")
RESOURCE_LABELS = ("group", "version", "resource")
READING = frozenset({"get", "list", "watch", "head", "options"})
"""Verbs that change nothing."""

_VERBS = {
    "get": "GET",
    "head": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "post": "POST",
    "update": "PUT",
    "put": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_COLLECTIVE = frozenset({"list", "watch", "deletecollection"})
_PLURALS = frozenset((*(row.plural for row in SERVED), SOURCES, *SURFACES))
_RESOURCES: dict[tuple[str, str], frozenset[str]] = {
    (GROUP, VERSION): _PLURALS,
    **dict.fromkeys(((CUSTOM_GROUP, version) for version in CUSTOM_VERSIONS), frozenset((*RESOURCE_NAMES, OF_NAMESPACE))),
    **dict.fromkeys(((EXTERNAL_GROUP, version) for version in EXTERNAL_VERSIONS), frozenset(METRICS)),
}
"""What can be a resource in each version of each group."""

_SUBRESOURCES = frozenset(("", EDGES, *METRICS))
_HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
_OTHER = "other"


class Scoped(NamedTuple):
    """The labels named in :data:`SCOPED`, in their order."""

    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    scope: str = ""
    component: str = COMPONENT


def scoped(info: RequestInfo) -> Scoped:
    """What a request is about; only its verb where that is nothing this server has. Health checks have their path as subresource."""
    verb = _VERBS.get(info.verb, _OTHER)
    if not info.is_resource:
        path = info.path.rstrip("/")
        return Scoped(verb, subresource=path if path in _HEALTH else "")
    group, version, resource = resource_of(info)
    if not resource:
        return Scoped(verb)
    subresource = info.subresource if info.subresource in _SUBRESOURCES else _OTHER
    everywhere = "namespace" if info.namespace else "cluster"
    scope = everywhere if info.verb in _COLLECTIVE else "resource"
    return Scoped(verb, group, version, resource, subresource, scope)


def resource_of(info: RequestInfo) -> tuple[str, str, str]:
    """Group, version and resource; empty where that is nothing this server has."""
    if not info.is_resource or info.resource not in _RESOURCES.get((info.group, info.version), ()):
        return "", "", ""
    return info.group, info.version, info.resource


def clean_dry_run(values: Sequence[str]) -> str:
    """The ``dry_run`` label for the values of the parameter ``dryRun``: ``All`` is the only good one."""
    if not values:
        return ""
    return "All" if set(values) == {"All"} else "invalid"
