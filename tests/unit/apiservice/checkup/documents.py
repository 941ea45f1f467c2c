"""Objects as kube-apiserver tells of them, of an installation that is well; each test breaks one."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from apiservice.checkup.replicas import Behind
from apiservice.checkup.sight import Place, Unseen
from metrics_api.diagnosis import Finding
from tests.doubles.authority import SERVER, Authority, Credential

__all__ = ["API", "AUTHORITY", "DEPLOY", "HIDDEN", "HOST", "NOW", "api_service", "behind", "listed", "served", "service", "told"]

Document = dict[str, Any]

API = "v1alpha1.metrics.smi-spec.io"
HOST = "trafficmetrics.trafficmetrics.svc"
DEPLOY = Path(__file__).parents[4] / "deploy"
NOW = dt.datetime.now(dt.UTC)
YEAR = (dt.timedelta(hours=-1), dt.timedelta(days=365))
AUTHORITY = Authority("serving-ca", lifetime=YEAR)
HIDDEN = Unseen(Place("something", "get on somethings", "/"))
"""What the caller may not see."""


def told(findings: Iterable[Finding]) -> list[tuple[str, str, str, str]]:
    """Level, check, what and advice of each finding."""
    return [(each.level.value, each.check, each.what, each.advice) for each in findings]


def api_service(
    available: tuple[str, str, str] | None = ("True", "Passed", "all checks passed"), pem: str | None = AUTHORITY.pem, **spec: Any
) -> Document:
    """An APIService with this condition (status, reason, message) and this authority."""
    given = {} if pem is None else {"caBundle": base64.b64encode(pem.encode()).decode()}
    place = {"name": "trafficmetrics", "namespace": "trafficmetrics", "port": 443}
    conditions = [] if available is None else [dict(zip(("status", "reason", "message"), available, strict=True), type="Available")]
    return {
        "metadata": {"name": API},
        "spec": {"service": place, "groupPriorityMinimum": 100, **given, **spec},
        "status": {"conditions": conditions},
    }


def served(*names: str, lifetime: tuple[dt.timedelta, dt.timedelta] = YEAR, authority: Authority = AUTHORITY) -> Credential:
    """A serving certificate for these names."""
    return authority.issue("trafficmetrics", usage=(SERVER,), names=names, lifetime=lifetime)


def listed(*items: Document) -> Document:
    return {"items": list(items)}


def service(**spec: Any) -> Document:
    selector = {"app.kubernetes.io/name": "trafficmetrics"}
    ports = [{"name": "metrics", "port": 9090}, {"name": "https", "port": 443, "targetPort": "https"}]
    return {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.9", "selector": selector, "ports": ports, **spec}}


def behind(
    pods: Sequence[tuple[str, str, bool | None]],
    *,
    wanted: int | None = 2,
    budget: bool = True,
    name: str = "trafficmetrics",
    **others: Any,
) -> Behind:
    """Pods (address, node, ready) behind the Service, so many of which its Deployment wants; None is without a Deployment."""
    labels = {"app.kubernetes.io/name": "trafficmetrics"}
    endpoints = [{"addresses": [address], "nodeName": node, "conditions": {"ready": ready}} for address, node, ready in pods]
    piece = {"ports": [{"name": "https", "port": 6443}], "endpoints": endpoints}
    pod = {"serviceAccountName": "reader", "containers": [{"args": ["serve", "--cert-secret=trafficmetrics-issued"]}]}
    deployment = {
        "metadata": {"name": name},
        "spec": {"replicas": wanted, "template": {"metadata": {"labels": {**labels, "release": "1"}}, "spec": pod}},
    }
    other = {"metadata": {"name": "other"}, "spec": {"template": {"metadata": {"labels": {"app": "other"}}}}}
    budgets = (
        [{"spec": {"selector": {"matchLabels": labels}}}] if budget else [{"spec": {"selector": {"matchLabels": {"app": "other"}}}}]
    )
    found = {
        "service": service(),
        "slices": listed(piece),
        "deployments": listed(other, *([] if wanted is None else [deployment])),
        "budgets": listed(*budgets),
        "port": 443,
    }
    return Behind(**{**found, **others})
