"""Who may read: do the roles that people have anyway, ``view``, ``edit`` and ``admin``, include the traffic of their namespace."""

from __future__ import annotations

from collections.abc import Iterator

from apiservice.checkup.remedies import upgraded
from apiservice.checkup.sight import Document, Place, Seen, Unseen, items_of
from apiservice.checkup.subject import Subject
from apiservice.checkup.verdicts import ok, warning
from metrics_api.diagnosis import Finding
from metrics_api.resources import GROUP

__all__ = ["ROLES_PLACE", "reader_findings"]

_LABEL = "rbac.authorization.k8s.io/aggregate-to-view"

ROLES_PLACE = Place(
    "the ClusterRoles of readers",
    "list on clusterroles.rbac.authorization.k8s.io",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    {"labelSelector": f"{_LABEL}=true"},
)
"""Those that Kubernetes puts into ``view``, and by that into ``edit`` and ``admin``."""


def reader_findings(seen: Seen, subject: Subject) -> Iterator[Finding]:
    """What is to be said of the roles that people read by; nothing when nobody could look at them."""
    if isinstance(seen, Unseen):
        return
    if any(_tells(role) for role in items_of(seen)):
        yield ok("readers", "whoever has view, edit or admin in a namespace may read its traffic")
        return
    what = f"no ClusterRole with the label {_LABEL} lets its holder list pods.{GROUP}: only administrators may read traffic"
    yield warning("readers", what, upgraded(subject) if subject.release else "kubectl apply -f deploy/base/readers.yaml")


def _tells(role: Document) -> bool:
    return any(
        {GROUP, "*"} & set(rule.get("apiGroups") or ())
        and {"pods", "*"} & set(rule.get("resources") or ())
        and {"list", "*"} & set(rule.get("verbs") or ())
        for rule in role.get("rules") or ()
    )
