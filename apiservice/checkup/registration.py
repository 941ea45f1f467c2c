"""The APIService: does kube-apiserver know who answers, is it us, and does it hold us for available."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from apiservice.checkup.bundle import bundle_findings, mending
from apiservice.checkup.passage import meaning_of
from apiservice.checkup.remedies import installed, logs, upgraded
from apiservice.checkup.sight import Document, Seen, Unseen
from apiservice.checkup.subject import OWN, Subject
from apiservice.checkup.verdicts import ok, problem, warning
from metrics_api.diagnosis import Finding, Level

__all__ = ["followed", "port_of", "registration_findings"]

_INSTALL_OTHER = "kubectl apply -k deploy/autoscaling, or switch surfaces.customMetrics and externalMetrics off"
_HIGHEST = 10_000
"""Kubernetes' own groups begin above (``kubernetes/kubernetes``, pkg/controlplane/apiserver/aggregator.go)."""


def port_of(api_service: Document) -> int:
    """The port of the Service that requests are sent to."""
    return int(((api_service.get("spec") or {}).get("service") or {}).get("port") or 443)


def followed(subject: Subject, seen: Seen) -> tuple[Subject, list[Finding]]:
    """The server behind the Service that its APIService names, where nobody has said which Service that is, and a word about it.

    Names that are flags of a Deployment are in no configuration file.
    """
    service = (seen.get("spec") or {}).get("service") if isinstance(seen, Mapping) else None
    if not subject.assumed or not service:
        return subject, []
    found = replace(subject, service=str(service.get("name")), namespace=str(service.get("namespace")))
    if found.place == subject.place:
        return subject, []
    advice = "if it is another, say so: --service-name and --service-namespace, or the same keys of server"
    return found, [
        ok("apiservice", f"the server is taken to be the one behind {found.place}, where APIService {OWN} leads", advice)
    ]


def registration_findings(name: str, seen: Seen, subject: Subject, now: dt.datetime) -> Iterator[Finding]:
    """What is to be said of the APIService of this name; nothing when nobody could look at it."""
    if isinstance(seen, Unseen):
        return
    if seen is None:
        what = f"there is no APIService {name}: kube-apiserver does not know who answers"
        yield problem("apiservice", what, installed(subject) if name == OWN else _INSTALL_OTHER)
        return
    spec = seen.get("spec") or {}
    service = spec.get("service")
    if not service:
        what = f"APIService {name} names no Service: kube-apiserver answers itself, as it does for a CustomResourceDefinition"
        yield problem(
            "apiservice", what, f"delete the CustomResourceDefinitions of {name.partition('.')[2]}, then {installed(subject)}"
        )
        return
    place = f"{service.get('namespace')}/{service.get('name')}"
    if place != subject.place:
        yield _another(name, place, subject)
        return
    found = [*bundle_findings(name, seen, subject, now), *_availability(name, seen, subject), *_priority(name, spec)]
    yield from found
    if not any(finding.level is Level.PROBLEM for finding in found):
        yield ok("apiservice", f"APIService {name} leads to {place}:{port_of(seen)}, and is available")


def _another(name: str, place: str, subject: Subject) -> Finding:
    what = f"APIService {name} leads to {place}, and this server stands behind {subject.place}"
    if name == OWN:
        return problem("apiservice", what, "correct its spec.service, or server.serviceName and server.serviceNamespace")
    return problem("apiservice", f"{what}: a cluster has one provider of that API", _INSTALL_OTHER)


def _availability(name: str, api_service: Document, subject: Subject) -> Iterator[Finding]:
    condition = _available(api_service)
    if condition is None:
        what = f"kube-apiserver has not looked yet whether APIService {name} is available"
        yield warning("apiservice", what, f"kubectl wait --for=condition=Available apiservice/{name}")
    elif condition.get("status") != "True":
        reason, message = str(condition.get("reason", "")), str(condition.get("message", ""))
        what = f"APIService {name} is not available, {reason}: {message}"
        yield problem("apiservice", what, _advice(reason, message, api_service, subject))


def _available(api_service: Document) -> Mapping[str, Any] | None:
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == "Available"), None)


def _advice(reason: str, message: str, api_service: Document, subject: Subject) -> str:
    """What to do about each of the reasons that kube-apiserver gives.

    ``kubernetes/kubernetes``: staging/src/k8s.io/kube-aggregator/pkg/controllers/status/remote/remote_available_controller.go.
    """
    pods = f"kubectl get pods -n {subject.namespace}; {logs(subject)}"
    match reason:
        case "ServiceNotFound":
            make = upgraded(subject) if subject.release else "make the Service of deploy/base/service.yaml"
            return f"{make}, or correct spec.service of the APIService"
        case "ServicePortError":
            return "let spec.service.port of the APIService and a port of the Service be the same (443 in deploy/base)"
        case "EndpointsNotFound" | "MissingEndpoints":
            return f"no replica is ready: {pods}"
        case "ServiceAccessError" | "EndpointsAccessError":
            return "kube-apiserver cannot read its own store: see its log"
        case _:
            _, advice = meaning_of(message, subject, mending(subject, api_service))
            return advice or pods


def _priority(name: str, spec: Mapping[str, Any]) -> Iterator[Finding]:
    priority = spec.get("groupPriorityMinimum") or 0
    if priority >= _HIGHEST:
        what = f"APIService {name} has groupPriorityMinimum {priority}: kubectl get pods may mean the traffic of pods"
        yield warning("apiservice", what, "groupPriorityMinimum: 100")
